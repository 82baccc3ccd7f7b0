//! What is said about files that cannot be read, and keys and types that do not exist.

use insta::assert_snapshot;

use crate::folder::{Folder, told};

#[test]
fn the_main_file_must_exist() {
    assert_snapshot!(Folder::empty().told(), @r#"
    batond.toml: cannot read it: No such file or directory (os error 2) (create it, or name another with --config)
    "#);
}

#[test]
fn other_files_are_looked_at_even_without_the_main_file() {
    let folder = Folder::empty()
        .and("conf.d/a.toml", "worker = 1\n")
        .variable("BATOND_WORKERS", "many");
    assert_snapshot!(folder.told(), @r#"
    batond.toml: cannot read it: No such file or directory (os error 2) (create it, or name another with --config)
    conf.d/a.toml:1:1: worker: is not a known key (did you mean workers?)
        worker = 1
        ^^^^^^
    BATOND_WORKERS: workers: must be an integer such as 0, not "many"
    "#);
}

#[test]
fn a_folder_is_not_a_file() {
    let folder = Folder::empty()
        .and("batond.toml/x", "")
        .and("conf.d/a.toml/x", "");
    assert_snapshot!(folder.told(), @r#"
    batond.toml: cannot read it: Is a directory (os error 21)
    conf.d/a.toml: cannot read it: Is a directory (os error 21)
    "#);
}

#[test]
fn conf_d_must_be_a_folder() {
    assert_snapshot!(Folder::with("").and("conf.d", "").told(), @r#"
    conf.d: cannot list the folder: Not a directory (os error 20)
    "#);
}

#[test]
fn a_file_without_end_is_not_read_to_the_end() {
    assert_snapshot!(Folder::with("#".repeat((1 << 20) + 1)).told(), @r#"
    batond.toml: is larger than 1 MiB, so it is not a configuration
    "#);
    Folder::with("#".repeat(1 << 20)).good();
}

#[test]
fn a_file_must_be_utf8() {
    assert_snapshot!(Folder::with(b"workers = 1\n# \xc3\xa4 \xe4\n").told(), @r#"
    batond.toml:2:5: is not UTF-8 from here on
        # ä �
            ^
    "#);
}

#[test]
fn a_byte_order_mark_does_no_harm() {
    Folder::with("\u{feff}workers = 1\n").good();
    assert_snapshot!(told("\u{feff}worker = 1\n"), @r#"
    batond.toml:1:1: worker: is not a known key (did you mean workers?)
        worker = 1
        ^^^^^^
    "#);
}

#[test]
fn toml_must_be_toml() {
    assert_snapshot!(told("[limits]\nclients = 5 5\n"), @r#"
    batond.toml:2:11: is not TOML: string values must be quoted, expected literal string
        clients = 5 5
                  ^^^
    "#);
}

#[test]
fn toml_may_not_end_early() {
    assert_snapshot!(told("[limits]\nheader_bytes = \"16KiB\n"), @r#"
    batond.toml:2:22: is not TOML: invalid basic string, expected `"`
        header_bytes = "16KiB
                             ^
    "#);
    assert_snapshot!(told("[limits]\nheader_bytes ="), @r#"
    batond.toml:2:15: is not TOML: string values must be quoted, expected literal string
        header_bytes =
                      ^
    "#);
    assert_snapshot!(told("[limits"), @r#"
    batond.toml:1:8: is not TOML: unclosed table, expected `]`
        [limits
               ^
    "#);
}

#[test]
fn one_broken_file_does_not_hide_what_is_wrong_in_the_others() {
    let folder = Folder::with("workers = \n[service.chat]\n")
        .and("conf.d/a.toml", "[limits]\nclients = 0\nclient = 0\n")
        .and("conf.d/b.toml", "[[[\n")
        // Its listener and backends may stand in a broken file.
        .and("conf.d/c.toml", "[service.news]\nlisteners = [\"wss\"]\n");
    assert_snapshot!(folder.told(), @r#"
    batond.toml:1:11: is not TOML: string values must be quoted, expected literal string
        workers = 
                  ^
    conf.d/a.toml:2:11: limits.clients: must be from 1 to 10000000, not 0
        clients = 0
                  ^
    conf.d/a.toml:3:1: limits.client: is not a known key (did you mean clients?)
        client = 0
        ^^^^^^
    conf.d/b.toml:1:3: is not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
        [[[
          ^
    "#);
}

#[test]
fn nothing_stands_in_a_file_twice() {
    assert_snapshot!(told("\
[limits]
clients = 1
clients = 2
[listener.wss]
address = \"[::]:443\"
[listener.\"wss\"]
address = \"[::]:444\"
[limits]
handshakes = 0
"), @r#"
    batond.toml:3:1: "clients" stands in this file twice (keep one)
        clients = 2
        ^^^^^^^
    batond.toml:6:11: "wss" stands in this file twice (keep one)
        [listener."wss"]
                  ^^^^^
    batond.toml:7:1: "address" stands in this file twice (keep one)
        address = "[::]:444"
        ^^^^^^^
    batond.toml:8:2: "limits" stands in this file twice (keep one)
        [limits]
         ^^^^^^
    batond.toml:9:14: limits.handshakes: must be from 1 to 1000000, not 0
        handshakes = 0
                     ^
    "#);
}

#[test]
fn unknown_keys_are_told_with_the_nearest_one() {
    assert_snapshot!(told("\
worker = 1
[listner.wss]
adress = \"[::]:443\"
[certificate.a]
chian = \"a\"
[service.chat]
host = [\"a\"]
backends = [{ address = \"a:1\", units = \"a.service\" }]
[service.chat.restart]
max-held = 5
[restart]
closecode = 1012
[limits]
header_byte = \"16KiB\"
[metrics]
listn = \"[::]:1\"
"), @r#"
    batond.toml:1:1: worker: is not a known key (did you mean workers?)
        worker = 1
        ^^^^^^
    batond.toml:2:2: listner: is not a known key (did you mean listener?)
        [listner.wss]
         ^^^^^^^
    batond.toml:4:14: certificate.a.key: is missing (add it, for example key = "/etc/ssl/example.key")
        [certificate.a]
                     ^
    batond.toml:5:1: certificate.a.chian: is not a known key (did you mean chain?)
        chian = "a"
        ^^^^^
    batond.toml:7:1: service.chat.host: is not a known key (did you mean hosts?)
        host = ["a"]
        ^^^^
    batond.toml:8:32: service.chat.backends[0].units: is not a known key (did you mean unit?)
        backends = [{ address = "a:1", units = "a.service" }]
                                       ^^^^^
    batond.toml:10:1: service.chat.restart.max-held: is not a known key (did you mean max_held?)
        max-held = 5
        ^^^^^^^^
    batond.toml:12:1: restart.closecode: is not a known key (did you mean close_code?)
        closecode = 1012
        ^^^^^^^^^
    batond.toml:14:1: limits.header_byte: is not a known key (did you mean header_bytes?)
        header_byte = "16KiB"
        ^^^^^^^^^^^
    batond.toml:16:1: metrics.listn: is not a known key (did you mean listen?)
        listn = "[::]:1"
        ^^^^^
    "#);
}

#[test]
fn unknown_keys_are_told_with_the_known_ones() {
    assert_snapshot!(told("[limits]\ncolour = \"red\"\n[\"a b\".c]\n"), @r#"
    batond.toml:2:1: limits.colour: is not a known key (known here: clients, handshakes, handshake_timeout, stall_timeout, header_bytes)
        colour = "red"
        ^^^^^^
    batond.toml:3:2: "a b": is not a known key (known here: workers, listener, certificate, service, restart, limits, metrics)
        ["a b".c]
         ^^^^^
    "#);
}

#[test]
fn a_dotted_key_in_quotes_is_one_unknown_key() {
    assert_snapshot!(told("\"limits.clients\" = 5\n\"listener[0]\" = 5\n"), @r#"
    batond.toml:1:1: "limits.clients": is not a known key (known here: workers, listener, certificate, service, restart, limits, metrics)
        "limits.clients" = 5
        ^^^^^^^^^^^^^^^^
    batond.toml:2:1: "listener[0]": is not a known key (known here: workers, listener, certificate, service, restart, limits, metrics)
        "listener[0]" = 5
        ^^^^^^^^^^^^^
    "#);
}

#[test]
fn types_must_fit() {
    assert_snapshot!(told("\
workers = \"4\"
limits = 5
[listener]
wss = \"[::]:443\"
[certificate.a]
chain = 1979-05-27
key = [\"a\"]
names = \"example.org\"
[service.chat]
hosts = [\"a\", 5, [\"b\"]]
backends = [\"a:1\", 8080, { address = 8080 }]
[restart]
deadline = 30
close_code = 1012.0
reason = true
[restart.retry]
low = 1
[metrics]
listen = { port = 1 }
"), @r#"
    batond.toml:1:11: workers: must be an integer such as 0, not a string
        workers = "4"
                  ^^^
    batond.toml:2:10: limits: must be a table, not an integer
        limits = 5
                 ^
    batond.toml:4:7: listener.wss: must be a table, not a string
        wss = "[::]:443"
              ^^^^^^^^^^
    batond.toml:6:9: certificate.a.chain: must be a string such as "/etc/ssl/example.pem", not a date or time
        chain = 1979-05-27
                ^^^^^^^^^^
    batond.toml:7:7: certificate.a.key: must be a string such as "/etc/ssl/example.key", not a list
        key = ["a"]
              ^^^^^
    batond.toml:8:9: certificate.a.names: must be a list such as ["example.org"], not a string
        names = "example.org"
                ^^^^^^^^^^^^^
    batond.toml:10:15: service.chat.hosts[1]: must be a string such as "example.org", not an integer
        hosts = ["a", 5, ["b"]]
                      ^
    batond.toml:10:18: service.chat.hosts[2]: must be a string such as "example.org", not a list
        hosts = ["a", 5, ["b"]]
                         ^^^^^
    batond.toml:11:20: service.chat.backends[1]: must be a string such as "127.0.0.1:8080", not an integer
        backends = ["a:1", 8080, { address = 8080 }]
                           ^^^^
    batond.toml:11:38: service.chat.backends[2].address: must be a string such as "127.0.0.1:8080", not an integer
        backends = ["a:1", 8080, { address = 8080 }]
                                             ^^^^
    batond.toml:13:12: restart.deadline: must be a string such as "30s", not an integer
        deadline = 30
                   ^^
    batond.toml:14:14: restart.close_code: must be an integer such as 1012, not a decimal number
        close_code = 1012.0
                     ^^^^^^
    batond.toml:15:10: restart.reason: must be a string such as "service restart", not true or false
        reason = true
                 ^^^^
    batond.toml:16:1: restart.retry: must be a string such as "1s-5s", not a table
        [restart.retry]
        ^^^^^^^^^^^^^^^
    batond.toml:19:10: metrics.listen: must be a string such as "127.0.0.1:9912", not a table
        listen = { port = 1 }
                 ^^^^^^^^^^^^
    "#);
}

#[test]
fn a_number_may_be_too_large_for_any_range() {
    assert_snapshot!(told("workers = 99999999999999999999\n"), @r#"
    batond.toml:1:11: workers: is out of range
        workers = 99999999999999999999
                  ^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn lines_may_end_as_on_windows() {
    assert_snapshot!(told("[limits]\r\nclients = \"5\"\r\nclient = 6\r\n"), @r#"
    batond.toml:2:11: limits.clients: must be an integer such as 100000, not a string
        clients = "5"
                  ^^^
    batond.toml:3:1: limits.client: is not a known key (did you mean clients?)
        client = 6
        ^^^^^^
    "#);
}

#[test]
fn columns_are_characters_and_tabs_stay_tabs() {
    assert_snapshot!(told("restart = { reason = \"ü\", retri =\t\"1s-5s\" }\n").replace('\t', "<tab>"), @r#"
    batond.toml:1:27: restart.retri: is not a known key (did you mean retry?)
        restart = { reason = "ü", retri =<tab>"1s-5s" }
                                  ^^^^^
    "#);
}
