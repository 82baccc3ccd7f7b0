//! The main file, conf.d and the environment, one over the other.

use std::time::Duration;

use batond::config::{Address, Source, TrustedPeer};
use insta::assert_snapshot;

use crate::folder::Folder;

const MAIN: &str = "\
[listener.wss]
address = \"127.0.0.1:0\"
trusted = [\"10.0.0.0/8\", \"::1\"]
[service.chat]
paths = [\"/chat\"]
backends = [\"a:1\", \"b:1\"]
[limits]
clients = 1
handshakes = 1
";

#[test]
fn without_layers_the_main_file_is_all() {
    let config = Folder::with(MAIN).good();
    assert_eq!(config.limits.clients, 1);
    assert_eq!(config.limits.handshakes, 1);
    assert_eq!(config.limits.header_bytes, 16384);
}

#[test]
fn later_layers_override_key_by_key() {
    let folder = Folder::with(MAIN)
        .and(
            "conf.d/20.toml",
            "[limits]\nclients = 20\nhandshakes = 20\n",
        )
        .and(
            "conf.d/100.toml",
            "[limits]\nclients = 100\nheader_bytes = \"8KiB\"\n",
        )
        .and(
            "conf.d/90.toml",
            "[limits]\nheader_bytes = \"9KiB\"\nhandshake_timeout = \"9s\"\n",
        );
    let limits = folder.good().limits;
    // In the order of the names' bytes: 100, 20, 90.
    assert_eq!(limits.clients, 20);
    assert_eq!(limits.handshakes, 20);
    assert_eq!(limits.header_bytes, 9 << 10);
    assert_eq!(limits.handshake_timeout, Duration::from_secs(9));
    let limits = folder
        .variable("BATOND_LIMITS__CLIENTS", "5000")
        .good()
        .limits;
    assert_eq!(limits.clients, 5000);
    assert_eq!(limits.handshakes, 20);
}

#[test]
fn tables_are_merged_and_lists_replaced() {
    let config = Folder::with(MAIN)
        .and(
            "conf.d/a.toml",
            "\
[listener.wss]
trusted = [\"unix\"]
[listener.plain]
address = \"unix:/run/x.sock\"
[service.chat]
backends = [{ address = \"c:1\", unit = \"c.service\" }]
",
        )
        .good();
    let names: Vec<_> = config
        .listeners
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["wss", "plain"]);
    assert_eq!(config.listeners[0].trusted, [TrustedPeer::Unix]);
    assert_eq!(
        config.listeners[1].address,
        Address::Unix("/run/x.sock".into())
    );
    let chat = &config.services[0];
    assert_eq!(chat.paths, ["/chat"]);
    assert_eq!(chat.listeners, ["wss", "plain"]);
    assert_eq!(chat.backends.len(), 1);
    assert_eq!(chat.backends[0].unit.as_deref(), Some("c.service"));
}

#[test]
fn things_keep_the_order_in_which_the_files_have_them() {
    let config = Folder::with(
        "\
listener.z.address = \"127.0.0.1:0\"
listener.a.address = \"127.0.0.1:0\"
[service.z]
paths = [\"/z\"]
backends = [\"a:1\"]
[service.m]
paths = [\"/m\"]
backends = [\"a:1\"]
",
    )
    .and(
        "conf.d/1.toml",
        "[service.a]\npaths = [\"/a\"]\nbackends = [\"a:1\"]\n[service.m]\n",
    )
    .variable("BATOND_SERVICE__B__BACKENDS", "a:1")
    .good();
    let names: Vec<_> = config
        .services
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["z", "m", "a", "b"]);
    assert_eq!(config.services[0].listeners, ["z", "a"]);
}

#[test]
fn only_toml_files_that_are_not_hidden_are_read() {
    Folder::with("")
        .and("conf.d/a.toml~", "x")
        .and("conf.d/b.toml.bak", "x")
        .and("conf.d/.c.toml", "x")
        .and("conf.d/README", "x")
        .good();
}

#[test]
fn problems_are_shown_where_the_value_in_force_stands() {
    let folder =
        Folder::with("[limits]\nclients = 1\n").and("conf.d/a.toml", "\n\n[limits]\nclients = 0\n");
    assert_snapshot!(folder.told(), @r#"
    conf.d/a.toml:4:11: limits.clients: must be from 1 to 10000000, not 0
        clients = 0
                  ^
    "#);
    let folder = folder.variable("BATOND_LIMITS__CLIENTS", "-1");
    assert_snapshot!(folder.told(), @r#"
    BATOND_LIMITS__CLIENTS: limits.clients: must be from 1 to 10000000, not -1
    "#);
}

#[test]
fn what_is_overridden_need_not_be_right() {
    Folder::with("[limits]\nclients = 0\n")
        .variable("BATOND_LIMITS__CLIENTS", "7")
        .good();
}

#[test]
fn variables_set_lists_and_new_names() {
    let config = Folder::with("")
        .variable("BATOND_LISTENER__WS__ADDRESS", "127.0.0.1:0")
        .variable("BATOND_SERVICE__CHAT__PATHS", "/chat, /talk")
        .variable(
            "BATOND_SERVICE__CHAT__BACKENDS",
            "127.0.0.1:8080,unix:/run/x.sock",
        )
        .variable(
            "BATOND_SERVICE__CHAT__RESTART__REASON",
            "back soon, promised",
        )
        .variable("BATOND_SERVICE__CHAT__RESTART__MAX_HELD", "7")
        .variable("BATOND_LIMITS__HEADER_BYTES", "32KiB")
        .variable("BATOND_LISTENER__WS__TRUSTED", "")
        .variable("PATH", "/usr/bin")
        .good();
    assert_eq!(config.listeners[0].name, "ws");
    let chat = &config.services[0];
    assert_eq!(chat.name, "chat");
    assert_eq!(chat.paths, ["/chat", "/talk"]);
    assert_eq!(chat.backends.len(), 2);
    assert_eq!(chat.restart.reason, "back soon, promised");
    assert_eq!(chat.restart.max_held, 7);
    assert_eq!(config.limits.header_bytes, 32 << 10);
}

#[test]
fn variables_find_names_in_any_case_and_with_underscores() {
    let config = Folder::with(
        "\
listener.a.address = \"127.0.0.1:0\"
[service.Chat-EU.restart]
[service.chat]
paths = [\"/\"]
backends = [\"a:1\"]
",
    )
    .variable("BATOND_SERVICE__CHAT_EU__PATHS", "/eu")
    .variable("BATOND_service__Chat_eu__Backends", "a:1")
    .variable("BATOND_SERVICE__chat__UNIT", "chat.service")
    .good();
    assert_eq!(config.services[0].name, "Chat-EU");
    assert_eq!(config.services[0].paths, ["/eu"]);
    assert_eq!(
        config.services[1].backends[0].unit.as_deref(),
        Some("chat.service")
    );
}

#[test]
fn a_variable_must_say_which_name_it_means() {
    let folder = Folder::with(
        "\
listener.a.address = \"127.0.0.1:0\"
service.Chat = { paths = [\"/A\"], backends = [\"a:1\"] }
service.chat = { paths = [\"/a\"], backends = [\"a:1\"] }
",
    )
    .variable("BATOND_SERVICE__CHAT__UNIT", "chat.service");
    assert_snapshot!(folder.told(), @r#"
    BATOND_SERVICE__CHAT__UNIT: service: CHAT may be "Chat" or "chat" (set it in a file)
    "#);
}

#[test]
fn unknown_variables_are_named() {
    let folder = Folder::with("")
        .variable("BATOND_LIMITS__CLEINTS", "5")
        .variable("BATOND_LIMTS__CLIENTS", "5")
        .variable("BATOND_LIMITS_CLIENTS", "5")
        .variable("BATOND_LIMITS", "5")
        .variable("BATOND_LIMITS__COLOUR", "5")
        .variable("BATOND_WORKERS__X", "5")
        .variable("BATOND_SERVICE", "5")
        .variable("BATOND_SERVICE__CHAT", "5")
        .variable("BATOND_SERVICE__CHAT__PATH", "/")
        .variable("BATOND_", "5");
    assert_snapshot!(folder.told(), @r#"
    BATOND_: "": is not a known key (known: BATOND_WORKERS, BATOND_LISTENER, BATOND_CERTIFICATE, BATOND_SERVICE, BATOND_RESTART, BATOND_LIMITS, BATOND_METRICS)
    BATOND_LIMITS: limits: is a table (set one of its keys: clients, handshakes, handshake_timeout, stall_timeout, header_bytes)
    BATOND_LIMITS_CLIENTS: limits_clients: is not a known key (two underscores stand between levels: BATOND_LIMITS__CLIENTS?)
    BATOND_LIMITS__CLEINTS: limits.cleints: is not a known key (did you mean BATOND_LIMITS__CLIENTS?)
    BATOND_LIMITS__COLOUR: limits.colour: is not a known key (known: BATOND_LIMITS__CLIENTS, BATOND_LIMITS__HANDSHAKES, BATOND_LIMITS__HANDSHAKE_TIMEOUT, BATOND_LIMITS__STALL_TIMEOUT, BATOND_LIMITS__HEADER_BYTES)
    BATOND_LIMTS__CLIENTS: limts: is not a known key (did you mean BATOND_LIMITS?)
    BATOND_SERVICE: service: needs a name and a key (for example BATOND_SERVICE__NAME__LISTENERS)
    BATOND_SERVICE__CHAT: service.chat: is a table (set one of its keys: listeners, hosts, paths, backends, unit, restart)
    BATOND_SERVICE__CHAT__PATH: service.chat.path: is not a known key (did you mean BATOND_SERVICE__CHAT__PATHS?)
    BATOND_WORKERS__X: workers: has no keys below it (remove __X)
    "#);
}

#[test]
fn values_of_variables_are_checked_like_any() {
    let folder = Folder::with("")
        .variable("BATOND_WORKERS", "four")
        .variable("BATOND_LIMITS__CLIENTS", "0")
        .variable("BATOND_LIMITS__HANDSHAKE_TIMEOUT", "10")
        .variable("BATOND_METRICS__LISTEN", "\u{fffd}")
        .variable("BATOND_LISTENER__WS__ADDRESS", "localhost:80")
        .variable("BATOND_LISTENER__WS__TRUSTED", "::1,everyone")
        .variable("BATOND_SERVICE__CHAT__PATHS", "/")
        .variable("BATOND_RESTART__HOLD", "1s")
        .variable("BATOND_restart__hold", "2s");
    assert_snapshot!(folder.told(), @r#"
    BATOND_LIMITS__CLIENTS: limits.clients: must be from 1 to 10000000, not 0
    BATOND_LIMITS__HANDSHAKE_TIMEOUT: limits.handshake_timeout: "10" has no unit (write "10s" for seconds, "10ms" for milliseconds)
    BATOND_LISTENER__WS__ADDRESS: listener.ws.address: "localhost:80" is not an address to listen on (write the address itself: a name may have several, and may not be known when the host starts)
    BATOND_LISTENER__WS__TRUSTED: listener.ws.trusted[1]: "everyone" is neither a block of addresses nor "unix" (write it as "10.0.0.0/8", "::1" or "unix")
    BATOND_METRICS__LISTEN: metrics.listen: is not UTF-8
    BATOND_SERVICE__CHAT__PATHS: service.chat.backends: is missing (add it, for example backends = ["127.0.0.1:8080"])
    BATOND_WORKERS: workers: must be an integer such as 0, not "four"
    BATOND_restart__hold: restart.hold: is set by BATOND_RESTART__HOLD, too (remove one of them)
    "#);
}

#[test]
fn json_has_every_problem_with_its_place() {
    let folder = Folder::with("[limits]\nclients = 0\n").variable("BATOND_WORKERS", "x");
    let problems = folder.load().expect_err("two problems");
    let mut json = serde_json::to_value(&problems).expect("JSON");
    assert_eq!(
        json["problems"][0]["file"],
        folder.path("batond.toml").to_str().expect("UTF-8")
    );
    json["problems"][0]["file"] = "batond.toml".into();
    assert_eq!(
        json,
        serde_json::json!({"problems": [
            {
                "file": "batond.toml", "variable": null, "line": 2, "column": 11,
                "key": "limits.clients", "message": "must be from 1 to 10000000, not 0",
            },
            {
                "file": null, "variable": "BATOND_WORKERS", "line": null, "column": null,
                "key": "workers", "message": "must be an integer such as 0, not \"x\"",
            },
        ]})
    );
    let first = problems.iter().next().expect("one");
    assert_eq!(first.position(), Some((2, 11)));
    assert_eq!(first.key(), Some("limits.clients"));
    assert_eq!(problems.into_iter().count(), 2);
}

#[test]
fn conf_d_lies_beside_the_main_file() {
    let source = Source::from_process(None);
    assert_eq!(source.path.to_str(), Some("/etc/batond/batond.toml"));
    assert_eq!(source.conf_d.to_str(), Some("/etc/batond/conf.d"));
    assert_eq!(Source::at("x.toml").conf_d.to_str(), Some("conf.d"));
}
