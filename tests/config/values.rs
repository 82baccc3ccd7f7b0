//! What is said about values that are wrong by themselves.

use insta::assert_snapshot;

use crate::folder::{Folder, told};

#[test]
fn numbers_have_ranges() {
    assert_snapshot!(told("\
workers = 1025
[limits]
clients = 0
handshakes = 1000001
[restart]
max_held = -1
"), @r#"
    batond.toml:1:11: workers: must be from 0 to 1024, not 1025
        workers = 1025
                  ^^^^
    batond.toml:3:11: limits.clients: must be from 1 to 10000000, not 0
        clients = 0
                  ^
    batond.toml:4:14: limits.handshakes: must be from 1 to 1000000, not 1000001
        handshakes = 1000001
                     ^^^^^^^
    batond.toml:6:12: restart.max_held: must be from 0 to 1000000, not -1
        max_held = -1
                   ^^
    "#);
}

#[test]
fn the_ends_of_the_ranges_are_allowed() {
    Folder::with(
        "\
workers = 1024
[limits]
clients = 1
handshakes = 1_000_000
handshake_timeout = \"100ms\"
header_bytes = 8192
[restart]
deadline = \"1h\"
close_timeout = \"5m\"
spread = \"55m\"
retry = \"0s-1h\"
hold = \"0s\"
max_held = 0
",
    )
    .good();
}

#[test]
fn times_have_units_and_ranges() {
    assert_snapshot!(told("\
[limits]
handshake_timeout = \"10\"
[restart]
deadline = \"soon\"
close_timeout = \"1ms\"
hold = \"1h\"
spread = \"fast\"
[service.chat.restart]
deadline = \"-5s\"
"), @r#"
    batond.toml:2:21: limits.handshake_timeout: "10" has no unit (write "10s" for seconds, "10ms" for milliseconds)
        handshake_timeout = "10"
                            ^^^^
    batond.toml:4:12: restart.deadline: "soon" is not a length of time (write it as "30s", "500ms" or "1m 30s")
        deadline = "soon"
                   ^^^^^^
    batond.toml:5:17: restart.close_timeout: must be from 10ms to 5m, not 1ms
        close_timeout = "1ms"
                        ^^^^^
    batond.toml:6:8: restart.hold: must be from 0s to 10m, not 1h
        hold = "1h"
               ^^^^
    batond.toml:7:10: restart.spread: "fast" is not a length of time (write it as "30s", "500ms" or "1m 30s"); or "auto"
        spread = "fast"
                 ^^^^^^
    batond.toml:8:10: service.chat: is on no listener, since there is none (add a table [listener.NAME] with an address)
        [service.chat.restart]
                 ^^^^
    batond.toml:8:10: service.chat.backends: is missing (add it, for example backends = ["127.0.0.1:8080"])
        [service.chat.restart]
                 ^^^^
    batond.toml:9:12: service.chat.restart.deadline: "-5s" is not a length of time (write it as "30s", "500ms" or "1m 30s")
        deadline = "-5s"
                   ^^^^^
    "#);
}

#[test]
fn sizes_have_units_and_ranges() {
    assert_snapshot!(told("[limits]\nheader_bytes = \"16K\"\n"), @r#"
    batond.toml:2:16: limits.header_bytes: "16K" is not a number of bytes (write it as "16KiB", "16KB" or 16384)
        header_bytes = "16K"
                       ^^^^^
    "#);
    assert_snapshot!(told("[limits]\nheader_bytes = 4096\n"), @r#"
    batond.toml:2:16: limits.header_bytes: must be from 8KiB to 1MiB, not "4096"
        header_bytes = 4096
                       ^^^^
    "#);
    assert_snapshot!(told("[limits]\nheader_bytes = \"2MiB\"\n"), @r#"
    batond.toml:2:16: limits.header_bytes: must be from 8KiB to 1MiB, not "2MiB"
        header_bytes = "2MiB"
                       ^^^^^^
    "#);
}

#[test]
fn listeners_have_addresses_not_names() {
    assert_snapshot!(told("\
[listener.a]
address = \"localhost:443\"
[listener.b]
address = \":443\"
[listener.c]
address = \"unix:run/x.sock\"
[metrics]
listen = \"9912\"
"), @r#"
    batond.toml:2:11: listener.a.address: "localhost:443" is not an address to listen on (write the address itself: a name may have several, and may not be known when the host starts)
        address = "localhost:443"
                  ^^^^^^^^^^^^^^^
    batond.toml:4:11: listener.b.address: ":443" is not an address to listen on (write "[::]:443" for all addresses)
        address = ":443"
                  ^^^^^^
    batond.toml:6:11: listener.c.address: "run/x.sock" is not an absolute path (write it as "unix:/run/x.sock")
        address = "unix:run/x.sock"
                  ^^^^^^^^^^^^^^^^^
    batond.toml:8:10: metrics.listen: "9912" is not an address to listen on (write it as "[::]:443", "192.0.2.1:443" or "unix:/run/x.sock")
        listen = "9912"
                 ^^^^^^
    "#);
}

#[test]
fn trust_is_given_to_addresses() {
    assert_snapshot!(told("\
[listener.a]
address = \"[::]:443\"
trusted = [\"10.0.0.0/8\", \"10.1.2.3/8\", \"unix\", \"everyone\"]
"), @r#"
    batond.toml:3:26: listener.a.trusted[1]: "10.1.2.3/8" has bits behind its prefix (write "10.0.0.0/8" for the block, or "10.1.2.3" for the one address)
        trusted = ["10.0.0.0/8", "10.1.2.3/8", "unix", "everyone"]
                                 ^^^^^^^^^^^^
    batond.toml:3:48: listener.a.trusted[3]: "everyone" is neither a block of addresses nor "unix" (write it as "10.0.0.0/8", "::1" or "unix")
        trusted = ["10.0.0.0/8", "10.1.2.3/8", "unix", "everyone"]
                                                       ^^^^^^^^^^
    "#);
}

#[test]
fn hosts_paths_and_backends_are_just_that() {
    assert_snapshot!(told("\
listener.a.address = \"[::]:443\"
[service.chat]
hosts = [\"https://example.org\", \"bücher.example\", \"*\", \"a.*.example\", \"Ok.example.\"]
paths = [\"chat\", \"/chat?room=1\", \"/a b\", \"/ok\"]
backends = [
    \"http://127.0.0.1:8080\",
    \"127.0.0.1\",
    { address = \"chat:0\", unit = \"chat\" },
    \"ok:1\",
]
unit = \"chat.socket\"
"), @r#"
    batond.toml:3:10: service.chat.hosts[0]: "https://example.org" is more than a host (write it without scheme, port and path)
        hosts = ["https://example.org", "bücher.example", "*", "a.*.example", "Ok.example."]
                 ^^^^^^^^^^^^^^^^^^^^^
    batond.toml:3:33: service.chat.hosts[1]: "bücher.example" is not ASCII (write the name in punycode, as xn--…)
        hosts = ["https://example.org", "bücher.example", "*", "a.*.example", "Ok.example."]
                                        ^^^^^^^^^^^^^^^^
    batond.toml:3:51: service.chat.hosts[2]: "*" is not a host (leave `hosts` out for any host)
        hosts = ["https://example.org", "bücher.example", "*", "a.*.example", "Ok.example."]
                                                          ^^^
    batond.toml:3:56: service.chat.hosts[3]: "a.*.example" has a star in it (a star may only be the whole first label: "*.example.org")
        hosts = ["https://example.org", "bücher.example", "*", "a.*.example", "Ok.example."]
                                                               ^^^^^^^^^^^^^
    batond.toml:4:10: service.chat.paths[0]: "chat" is not a path (begin it with "/")
        paths = ["chat", "/chat?room=1", "/a b", "/ok"]
                 ^^^^^^
    batond.toml:4:18: service.chat.paths[1]: "/chat?room=1" is not a path (leave out what follows the path)
        paths = ["chat", "/chat?room=1", "/a b", "/ok"]
                         ^^^^^^^^^^^^^^
    batond.toml:4:34: service.chat.paths[2]: "/a b" is not a path (write spaces and what is not ASCII percent-encoded, as %20)
        paths = ["chat", "/chat?room=1", "/a b", "/ok"]
                                         ^^^^^^
    batond.toml:6:5: service.chat.backends[0]: "http://127.0.0.1:8080" is not an address to connect to (leave out the scheme and the path: batond speaks plain HTTP to backends)
            "http://127.0.0.1:8080",
            ^^^^^^^^^^^^^^^^^^^^^^^
    batond.toml:7:5: service.chat.backends[1]: "127.0.0.1" is not an address to connect to (add the port)
            "127.0.0.1",
            ^^^^^^^^^^^
    batond.toml:8:17: service.chat.backends[2].address: "chat:0" is not an address to connect to (nothing listens on port 0)
            { address = "chat:0", unit = "chat" },
                        ^^^^^^^^
    batond.toml:8:34: service.chat.backends[2].unit: "chat" is not the name of a unit (did you mean "chat.service"?)
            { address = "chat:0", unit = "chat" },
                                         ^^^^^^
    batond.toml:11:8: service.chat.unit: "chat.socket" is not a service unit (name the one that runs the program: "chat.service"?)
        unit = "chat.socket"
               ^^^^^^^^^^^^^
    "#);
}

#[test]
fn lists_hold_nothing_twice_and_something() {
    assert_snapshot!(told("\
[listener.a]
address = \"[::]:443\"
[service.chat]
listeners = [\"a\", \"a\"]
hosts = [\"example.org\", \"EXAMPLE.org.\"]
paths = [\"/\", \"/\"]
backends = [\"a:1\", { address = \"a:1\" }]
[service.news]
hosts = []
paths = []
backends = []
"), @r#"
    batond.toml:4:19: service.chat.listeners[1]: stands in the list twice (remove one)
        listeners = ["a", "a"]
                          ^^^
    batond.toml:5:25: service.chat.hosts[1]: stands in the list twice (remove one)
        hosts = ["example.org", "EXAMPLE.org."]
                                ^^^^^^^^^^^^^^
    batond.toml:6:15: service.chat.paths[1]: stands in the list twice (remove one)
        paths = ["/", "/"]
                      ^^^
    batond.toml:7:20: service.chat.backends[1]: has the address of another backend (remove one)
        backends = ["a:1", { address = "a:1" }]
                           ^^^^^^^^^^^^^^^^^^^
    batond.toml:9:9: service.news.hosts: is empty (leave it out for any host)
        hosts = []
                ^^
    batond.toml:10:9: service.news.paths: is empty (leave it out for every path)
        paths = []
                ^^
    batond.toml:11:12: service.news.backends: is empty (add one, for example "127.0.0.1:8080")
        backends = []
                   ^^
    "#);
}

#[test]
fn names_are_plain() {
    assert_snapshot!(told("\
[listener.\"a b\"]
address = \"[::]:443\"
[listener.stored]
address = \"[::]:444\"
[service.-x]
backends = [\"a:1\"]
[certificate.\"\"]
"), @r#"
    batond.toml:1:11: listener."a b": may not be named so (use ASCII letters, digits, '-', '_' and '.', and begin with a letter or a digit)
        [listener."a b"]
                  ^^^^^
    batond.toml:3:11: listener.stored: may not be named so (systemd gives this name to sockets without a name)
        [listener.stored]
                  ^^^^^^
    batond.toml:5:10: service.-x: may not be named so (use ASCII letters, digits, '-', '_' and '.', and begin with a letter or a digit)
        [service.-x]
                 ^^
    batond.toml:7:14: certificate."": may not be named so (use ASCII letters, digits, '-', '_' and '.', and begin with a letter or a digit)
        [certificate.""]
                     ^^
    batond.toml:7:14: certificate."".chain: is missing (add it, for example chain = "/etc/ssl/example.pem")
        [certificate.""]
                     ^^
    batond.toml:7:14: certificate."".key: is missing (add it, for example key = "/etc/ssl/example.key")
        [certificate.""]
                     ^^
    "#);
}

#[test]
fn a_private_key_is_never_shown() {
    let told = told(
        "\
[limits]
clients = 0
[restart]
reason = \"-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEI\"
hold = \"-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEI\"
",
    );
    assert!(!told.contains("MC4CAQ"), "{told}");
    assert_snapshot!(told, @r#"
    batond.toml:2:11: limits.clients: must be from 1 to 10000000, not 0
    batond.toml:4:10: restart.reason: (a private key) has a control character in it (write it in one line)
    batond.toml:5:8: restart.hold: (a private key) is not a length of time (write it as "30s", "500ms" or "1m 30s")
    "#);
}
