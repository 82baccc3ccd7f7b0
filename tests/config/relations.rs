//! What is said about things that do not go together.

use insta::assert_snapshot;

use crate::folder::{Folder, told};

#[test]
fn a_service_needs_a_listener() {
    assert_snapshot!(told("[service.chat]\nbackends = [\"a:1\"]\n"), @r#"
    batond.toml:1:10: service.chat: is on no listener, since there is none (add a table [listener.NAME] with an address)
        [service.chat]
                 ^^^^
    "#);
    assert_snapshot!(told("\
listener.a.address = \"[::]:443\"
[service.chat]
listeners = []
backends = [\"a:1\"]
"), @r#"
    batond.toml:3:13: service.chat.listeners: is empty, so no client reaches the service (leave it out for all listeners)
        listeners = []
                    ^^
    "#);
}

#[test]
fn a_service_names_listeners_that_exist() {
    assert_snapshot!(told("\
listener.wss.address = \"[::]:443\"
listener.plain.address = \"[::]:80\"
[service.chat]
listeners = [\"wsss\", \"plain\", \"other\"]
backends = [\"a:1\"]
"), @r#"
    batond.toml:4:14: service.chat.listeners[0]: no listener is named "wsss" (did you mean "wss"?)
        listeners = ["wsss", "plain", "other"]
                     ^^^^^^
    batond.toml:4:31: service.chat.listeners[2]: no listener is named "other" (there are: wss, plain)
        listeners = ["wsss", "plain", "other"]
                                      ^^^^^^^
    "#);
    assert_snapshot!(told("[service.chat]\nlisteners = [\"wss\"]\nbackends = [\"a:1\"]\n"), @r#"
    batond.toml:2:14: service.chat.listeners[0]: no listener is named "wss" (there is none yet: add a table [listener.NAME])
        listeners = ["wss"]
                     ^^^^^
    "#);
}

#[test]
fn a_listener_names_certificates_that_exist() {
    assert_snapshot!(told("\
[listener.wss]
address = \"[::]:443\"
certificates = [\"exampel\", \"exampel\"]
"), @r#"
    batond.toml:3:17: listener.wss.certificates[0]: no certificate is named "exampel" (there is none yet: add a table [certificate.NAME])
        certificates = ["exampel", "exampel"]
                        ^^^^^^^^^
    batond.toml:3:28: listener.wss.certificates[1]: stands in the list twice (remove one)
        certificates = ["exampel", "exampel"]
                                   ^^^^^^^^^
    "#);
}

#[test]
fn what_must_be_there_is_missed() {
    assert_snapshot!(told("\
[listener.wss]
[certificate.example]
[service.chat]
[service.news]
backends = [{ unit = \"news.service\" }]
"), @r#"
    batond.toml:1:11: listener.wss.address: is missing (add it, for example address = "[::]:443")
        [listener.wss]
                  ^^^
    batond.toml:2:14: certificate.example.chain: is missing (add it, for example chain = "/etc/ssl/example.pem")
        [certificate.example]
                     ^^^^^^^
    batond.toml:2:14: certificate.example.key: is missing (add it, for example key = "/etc/ssl/example.key")
        [certificate.example]
                     ^^^^^^^
    batond.toml:3:10: service.chat.backends: is missing (add it, for example backends = ["127.0.0.1:8080"])
        [service.chat]
                 ^^^^
    batond.toml:4:10: service.news: service chat already answers for any host, path /, on listener wss (give one of them other hosts or paths)
        [service.news]
                 ^^^^
    batond.toml:5:13: service.news.backends[0].address: is missing (add it, for example address = "127.0.0.1:8080")
        backends = [{ unit = "news.service" }]
                    ^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn two_listeners_need_two_addresses() {
    assert_snapshot!(told("\
[listener.a]
address = \"[::]:443\"
[listener.b]
address = \"[::]:443\"
[listener.c]
address = \"192.0.2.1:443\"
[listener.d]
address = \"unix:/run/x.sock\"
[listener.e]
address = \"unix:/run/x.sock\"
[listener.f]
address = \"127.0.0.1:9912\"
[metrics]
listen = \"127.0.0.1:9912\"
"), @r#"
    batond.toml:4:11: listener.b.address: is the address of listener.a.address, too (give each its own)
        address = "[::]:443"
                  ^^^^^^^^^^
    batond.toml:6:11: listener.c.address: cannot be bound beside [::]:443, the address of listener.a.address (one takes the other in)
        address = "192.0.2.1:443"
                  ^^^^^^^^^^^^^^^
    batond.toml:10:11: listener.e.address: is the address of listener.d.address, too (give each its own)
        address = "unix:/run/x.sock"
                  ^^^^^^^^^^^^^^^^^^
    batond.toml:14:10: metrics.listen: is the address of listener.f.address, too (give each its own)
        listen = "127.0.0.1:9912"
                 ^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn two_services_cannot_answer_for_the_same() {
    assert_snapshot!(told("\
listener.a.address = \"127.0.0.1:0\"
listener.b.address = \"127.0.0.1:0\"
[service.chat]
hosts = [\"example.org\", \"*.example.org\"]
paths = [\"/chat\", \"/talk\"]
backends = [\"a:1\"]
[service.news]
listeners = [\"b\"]
hosts = [\"news.example\", \"EXAMPLE.org\"]
paths = [\"/news\", \"/talk\"]
backends = [\"a:1\"]
[service.wild]
hosts = [\"*.example.org\"]
paths = [\"/chat\"]
backends = [\"a:1\"]
"), @r#"
    batond.toml:10:19: service.news.paths[1]: service chat already answers for example.org, path /talk, on listener b (give one of them other hosts or paths)
        paths = ["/news", "/talk"]
                          ^^^^^^^
    batond.toml:14:10: service.wild.paths[0]: service chat already answers for *.example.org, path /chat, on listener a (give one of them other hosts or paths)
        paths = ["/chat"]
                 ^^^^^^^
    "#);
}

#[test]
fn two_services_cannot_answer_for_everything() {
    assert_snapshot!(told("\
listener.a.address = \"127.0.0.1:0\"
[service.chat]
backends = [\"a:1\"]
[service.news]
backends = [\"a:1\"]
[service.shop]
listeners = [\"a\"]
backends = [\"a:1\"]
[service.play]
hosts = [\"play.example\"]
backends = [\"a:1\"]
[service.more]
hosts = [\"play.example\"]
backends = [\"a:1\"]
"), @r#"
    batond.toml:4:10: service.news: service chat already answers for any host, path /, on listener a (give one of them other hosts or paths)
        [service.news]
                 ^^^^
    batond.toml:7:13: service.shop.listeners: service chat already answers for any host, path /, on listener a (give one of them other hosts or paths)
        listeners = ["a"]
                    ^^^^^
    batond.toml:13:9: service.more.hosts: service play already answers for play.example, path /, on listener a (give one of them other hosts or paths)
        hosts = ["play.example"]
                ^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn services_that_differ_in_one_thing_get_along() {
    Folder::with(
        "\
listener.a.address = \"127.0.0.1:0\"
listener.b.address = \"127.0.0.1:0\"
service.a = { listeners = [\"a\"], backends = [\"a:1\"] }
service.b = { listeners = [\"b\"], backends = [\"a:1\"] }
service.c = { paths = [\"/c\"], backends = [\"a:1\"] }
service.d = { hosts = [\"d.example\"], backends = [\"a:1\"] }
service.e = { hosts = [\"*.example\"], backends = [\"a:1\"] }
",
    )
    .good();
}

#[test]
fn nothing_is_concluded_from_what_could_not_be_read() {
    // None of these makes a second problem: not the listener whose name cannot be known, not the
    // services that would be the same without the key that is wrong.
    assert_snapshot!(told("\
[lisener.wss]
address = \"[::]:443\"
[listener.plain]
address = 80
[service.chat]
listeners = [\"wss\", \"plain\"]
backends = [\"a:1\"]
[service.news]
path = [\"/news\"]
backend = [\"a:1\"]
[service.shop]
hosts = \"shop.example\"
backends = [\"a:1\"]
[service.play]
hosts = [\"play example\"]
backends = [\"a:1\"]
"), @r#"
    batond.toml:1:2: lisener: is not a known key (did you mean listener?)
        [lisener.wss]
         ^^^^^^^
    batond.toml:4:11: listener.plain.address: must be a string such as "[::]:443", not an integer
        address = 80
                  ^^
    batond.toml:9:1: service.news.path: is not a known key (did you mean paths?)
        path = ["/news"]
        ^^^^
    batond.toml:10:1: service.news.backend: is not a known key (did you mean backends?)
        backend = ["a:1"]
        ^^^^^^^
    batond.toml:12:9: service.shop.hosts: must be a list such as ["example.org"], not a string
        hosts = "shop.example"
                ^^^^^^^^^^^^^^
    batond.toml:15:10: service.play.hosts[0]: "play example" is not a host name (look at its part "play example")
        hosts = ["play example"]
                 ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn all_problems_are_told_in_one_run_in_the_order_of_the_files() {
    let folder = Folder::with(
        "\
[service.chat]
listeners = [\"wss\"]
backends = [\"a:1\"]
[limits]
clients = 0
colour = 1
",
    )
    .and("conf.d/2.toml", "[restart]\nclose_code = 1006\n")
    .and("conf.d/1.toml", "[listener.ws]\naddress = \"x\"\n")
    .variable("BATOND_WORKERS", "-1");
    assert_snapshot!(folder.told(), @r#"
    batond.toml:2:14: service.chat.listeners[0]: no listener is named "wss" (did you mean "ws"?)
        listeners = ["wss"]
                     ^^^^^
    batond.toml:5:11: limits.clients: must be from 1 to 10000000, not 0
        clients = 0
                  ^
    batond.toml:6:1: limits.colour: is not a known key (known here: clients, handshakes, handshake_timeout, stall_timeout, header_bytes)
        colour = 1
        ^^^^^^
    conf.d/1.toml:2:11: listener.ws.address: "x" is not an address to listen on (write it as "[::]:443", "192.0.2.1:443" or "unix:/run/x.sock")
        address = "x"
                  ^^^
    conf.d/2.toml:2:14: restart.close_code: 1006 is reserved and never sent (1012 tells clients to come back; 1000-1003, 1007-1014 and 3000-4999 may be sent, RFC 6455 section 7.4)
        close_code = 1006
                     ^^^^
    BATOND_WORKERS: workers: must be from 0 to 1024, not -1
    "#);
}
