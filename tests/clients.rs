//! Real clients and an ordinary application: what works directly works through batond, and a
//! restart is announced in a way that each of them understands.
//!
//! Every scenario of `tests/clients/` is run by Python's `websockets`, Node's `ws` and headless
//! Chromium against the application itself, and then through batond to the same application's TCP
//! port and Unix socket. What the client and the application saw must be the same each time.

use rustix::process::Signal;
use serde_json::{Value, json};

use program::Client;
use program::Client::{Chromium, Node, Python};
use support::batond::Launch;
use world::World;

#[path = "clients/program.rs"]
mod program;
mod support;
#[path = "clients/world.rs"]
mod world;

#[test]
fn messages_come_back_as_they_were_sent() {
    let kept = json!({ "kept": vec![true; 12] });
    transparent("echo", |_| kept.clone());
}

#[test]
fn client_and_application_agree_on_a_subprotocol() {
    transparent("subprotocol", |_| json!({ "agreed": ["chat.v1", ""] }));
}

#[test]
fn ten_mebibytes_pass_in_one_message() {
    let size = 10 * 1024 * 1024;
    transparent("large", |client| match client {
        Python | Node => json!({ "kept": [size, true, size, true] }),
        Chromium => json!({ "kept": [size, true] }),
    });
}

#[test]
fn fragments_stay_as_they_were_cut() {
    transparent("fragments", |client| match client {
        Python => json!({
            "answer": "a crab 🦀 in pieces",
            "sent": ["text 11 more", "ping 7", "continuation 10 more", "continuation 0"],
            "cut": ["these", "are", "pieces"],
            "received": ["text 5 more", "ping 7", "cont 3 more", "cont 6"],
        }),
        Node => json!({
            "answer": "a crab 🦀 in pieces",
            "sent": [
                "text 9 more", "ping 7", "continuation 3 more", "continuation 0 more",
                "continuation 9",
            ],
            "whole": "thesearepieces",
            "received": [
                "text 5 more unmasked", "ping 7 unmasked", "continuation 3 more unmasked",
                "continuation 6 unmasked",
            ],
        }),
        Chromium => json!({ "whole": "thesearepieces" }),
    });
}

#[test]
fn pings_are_answered_by_the_other_end() {
    transparent("ping", |client| match client {
        Python => json!({
            "answer": "pong and you?",
            "received": ["pong 14", "ping 8", "text 13"],
        }),
        Node => json!({
            "answered": "are you there?",
            "asked": "and you?",
            "answer": "pong and you?",
        }),
        Chromium => json!({ "answer": "pong and you?" }),
    });
}

#[test]
fn messages_stay_compressed_from_end_to_end() {
    transparent("deflate", |_| {
        json!({
            "extensions": "permessage-deflate",
            "kept": [true, true],
            "compressed": [true, true],
        })
    });
}

#[test]
fn an_ordinary_request_is_answered_on_the_same_port() {
    transparent("http", |client| {
        let mut expected = json!({
            "chunked": [200, "chunked", "one\ntwo\nthree\n"],
            "download": [200, true],
            "head": [200, "10485760", 0],
            "missing": [404, "no such page\n"],
            "posted": [200, "with a length"],
        });
        let cookies = [
            "session=s3cret; Path=/; Secure; HttpOnly",
            "theme=dark; Path=/",
        ];
        let more = match client {
            Python => json!({
                "page": [200, "text/html", cookies],
                "intact": true,
                "streamed": [200, "piece by piece"],
                "connections": 1,
            }),
            Node => json!({
                "page": [200, "text/html", cookies],
                "intact": true,
                "unchanged": [304, "\"v1\"", 0],
                "conversation": ["first", "second", "third"],
                "continued": "after the go-ahead",
                "connections": 1,
            }),
            Chromium => json!({
                "title": "An ordinary page",
                "cookies": "theme=dark",
                "chunked": [200, "one\ntwo\nthree\n"],
                "download": [200, 10_485_760, "0123456789abcdef"],
            }),
        };
        for (key, value) in more.as_object().expect("an object") {
            expected[key] = value.clone();
        }
        expected
    });
}

#[test]
fn a_refused_upgrade_reaches_the_client_as_the_application_said_it() {
    transparent("denied", |client| match client {
        Python | Node => json!({
            "answers": [
                [401, "Bearer realm=\"chat\"", "log in first\n"],
                [404, null, "no such socket\n"],
            ],
        }),
        Chromium => json!({
            "answers": ["not opened: 1006", "not opened: 1006"],
            "failures": [
                "HTTP Authentication failed; no valid credentials available",
                "Error during WebSocket handshake: Unexpected response code: 404",
            ],
        }),
    });
}

#[test]
fn close_codes_and_reasons_pass_both_ways() {
    transparent("close", |_| {
        json!({
            "replied": { "code": 4001, "reason": "you may go" },
            "ours": [
                { "code": 4002, "reason": "good bye" },
                { "code": 1000, "reason": "" },
                { "code": 1005, "reason": "" },
            ],
        })
    });
}

#[test]
fn the_application_sees_the_clients_headers_and_no_forged_ones() {
    let world = World::start();
    for client in Client::ALL {
        let Some(program) = world.run(client, "headers", &world.all()) else {
            continue;
        };
        let [direct, through @ ..] = world.all().map(|url| readdressed(&program.result(), &url));
        for request in ["upgrade", "page"] {
            let (untouched, forged) = split_headers(&direct[request]);
            let cookie = untouched.iter().find(|(name, _)| name == "cookie");
            let cookie = cookie.map(|(_, value)| value.as_str());
            assert_eq!(
                cookie,
                Some("session=s3cret; theme=dark"),
                "{client:?} {request}"
            );
            // Chromium lets a page forge headers in fetch only.
            let forges = request == "page" || client != Chromium;
            assert_eq!(
                forged.len(),
                if forges { 3 } else { 0 },
                "{client:?} {request}"
            );
            for seen in &through {
                let (passed, added) = split_headers(&seen[request]);
                assert_eq!(passed, untouched, "{client:?} {request}");
                let expected = [
                    ("x-forwarded-for", "127.0.0.1"),
                    ("x-forwarded-host", "HOST"),
                    ("x-forwarded-proto", "https"),
                ];
                let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
                assert_eq!(added, expected, "{client:?} {request}");
            }
        }
    }
}

#[test]
fn a_restart_with_the_sockets_passed_on_is_announced_and_everyone_comes_back() {
    announced(|world| {
        world.batond.hand_over().wait_gone();
        assert!(world.batond.exit_status().success());
    });
}

#[test]
fn a_stop_and_start_on_the_same_sockets_is_announced_and_everyone_comes_back() {
    announced(|world| {
        world.batond.main().signal(Signal::TERM);
        assert!(world.batond.exit_status().success());
        world.batond = Launch::new(&world.config).sockets(&world.sockets).start();
    });
}

/// Directly it is 1006, which is no code that can be sent. Through batond it is a Close like any
/// other, and with 1014 everyone comes back who comes back at all.
#[test]
fn an_application_that_goes_without_a_close_is_told_as_a_bad_gateway() {
    let world = World::start();
    for client in Client::ALL {
        let Some(program) = world.run(client, "crash", &world.all()) else {
            continue;
        };
        let direct = program.result();
        assert_eq!(direct["closed"]["code"], 1006, "{client:?}, directly");
        assert_eq!(direct["after"], "after", "{client:?}, directly");
        let mut expected = json!({ "code": 1014, "reason": "the backend is gone" });
        let (key, clean) = match client {
            Python | Node => ("error", Value::Null),
            Chromium => ("wasClean", json!(true)),
        };
        expected[key] = clean;
        for way in ["TCP", "a Unix socket"] {
            let through = program.result();
            assert_eq!(through["closed"], expected, "{client:?}, {way}");
            assert_eq!(through["after"], "after", "{client:?}, {way}");
        }
    }
}

/// Restarts batond under every client: it must see what it sees when the application itself sends
/// 1012, except for the delay in the reason, and be answered again after it.
fn announced(restart: impl Fn(&mut World)) {
    let mut world = World::start();
    for client in Client::ALL {
        let Some(direct) = world.run(client, "restart", &[world.direct.clone()]) else {
            continue;
        };
        assert_eq!(direct.line(), json!({ "event": "connected" }));
        world.app.tell("restart");
        let direct = direct.result();
        assert_eq!(direct["closed"]["code"], 1012, "{client:?}, directly");
        assert_eq!(
            direct["closed"]["reason"], "service restart",
            "{client:?}, directly"
        );
        assert_eq!(direct["after"], "after", "{client:?}, directly");

        for url in [world.tcp.clone(), world.unix.clone()] {
            let program = world.run(client, "restart", std::slice::from_ref(&url));
            let program = program.expect("it ran before");
            assert_eq!(program.line(), json!({ "event": "connected" }));
            restart(&mut world);
            let through = without_retry(program.result());
            assert_eq!(through, direct, "{client:?}, {url}");
        }
    }
}

/// Runs the scenario with every client: directly it must show what is expected of it, and through
/// batond nothing else.
fn transparent(scenario: &str, expected: impl Fn(Client) -> Value) {
    let world = World::start();
    for client in Client::ALL {
        let Some(program) = world.run(client, scenario, &world.all()) else {
            continue;
        };
        let direct = program.result();
        for (key, value) in expected(client).as_object().expect("an object") {
            assert_eq!(&direct[key], value, "{client:?}, directly: {key}");
        }
        for way in ["TCP", "a Unix socket"] {
            assert_eq!(
                program.result(),
                direct,
                "{client:?}, through batond and {way}"
            );
        }
    }
}

/// The same result, with the URL's own host and path taken out of it.
fn readdressed(result: &Value, url: &str) -> Value {
    let authority = url.trim_start_matches("https://");
    let host = authority.trim_end_matches("/unix");
    let text = result
        .to_string()
        .replace(authority, "HOST")
        .replace(host, "HOST");
    serde_json::from_str(&text).expect("still JSON")
}

type Headers = Vec<(String, String)>;

/// A request's headers in the order of their names: those that pass from end to end, and
/// `X-Forwarded-*`.
fn split_headers(headers: &Value) -> (Headers, Headers) {
    let headers: Headers = serde_json::from_value(headers.clone()).expect("names and values");
    let mut headers: Headers = headers
        .into_iter()
        .filter_map(|(name, value)| match name.as_str() {
            // Random, but it must be there.
            "sec-websocket-key" => Some((name, value.len().to_string())),
            // Belongs to one hop, unless it asks for the upgrade; the case means nothing.
            "connection" if value.eq_ignore_ascii_case("keep-alive") => None,
            "connection" | "upgrade" => Some((name, value.to_ascii_lowercase())),
            _ => Some((name, value)),
        })
        .collect();
    headers.sort();
    headers
        .into_iter()
        .partition(|(name, _)| !name.starts_with("x-forwarded-"))
}

/// Takes the retry delay off the reason, after a look at it: 1 to 5 seconds by default.
fn without_retry(mut result: Value) -> Value {
    let reason = result["closed"]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let (plain, delay) = reason.split_once("; retry in ").unwrap_or((&reason, ""));
    let seconds: f64 = delay.trim_end_matches('s').parse().unwrap_or(f64::NAN);
    assert!(
        (1.0..=5.0).contains(&seconds),
        "no delay of 1 to 5 s in the reason: {result}"
    );
    result["closed"]["reason"] = json!(plain);
    result
}
