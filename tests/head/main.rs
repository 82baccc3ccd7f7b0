//! The opening handshake is read as hyper reads it, and passed on word for word.

mod oracle;

use std::net::IpAddr;

use batond::edge::head::{Answer, LENGTH_MAX, Look, Request, is_worth_a_look};
use oracle::{agrees_on_answer, agrees_on_request};
use proptest::prelude::*;

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: chat.test\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Cookie: a=1; b=\"2\"\r\ncOOKIE: c=3\r\nOrigin: https://chat.test\r\n\r\n";

const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-webSocket-Protocol: chat\r\n\r\n";

/// A message with one more line before its end.
fn with(message: &str, line: &str) -> String {
    let lines = message.strip_suffix("\r\n").expect("an empty line");
    format!("{lines}{line}\r\n\r\n")
}

#[test]
fn an_ordinary_opening_is_taken_and_what_comes_behind_it_is_not() {
    for behind in ["", "\u{1}\u{2}", "GET / HTTP/1.1\r\n\r\n"] {
        assert!(agrees_on_request(format!("{REQUEST}{behind}").as_bytes()));
        assert!(agrees_on_answer(format!("{ANSWER}{behind}").as_bytes()));
    }
    for end in 0..REQUEST.len() {
        let look = Request::look(&REQUEST.as_bytes()[..end], LENGTH_MAX);
        assert!(matches!(look, Look::Partial), "{end}");
    }
    for end in 0..ANSWER.len() {
        let look = Answer::look(&ANSWER.as_bytes()[..end]);
        assert!(matches!(look, Look::Partial), "{end}");
    }
}

#[test]
fn whatever_leaves_a_question_is_left_to_hyper() {
    let lines = [
        "Host: chat.test",
        "Host: other.test",
        "Host : other.test",
        " folded",
        "Content-Length: 0",
        "content-length: 5",
        "Transfer-Encoding: chunked",
        "TRANSFER-encoding: identity",
        "Expect: 100-continue",
        "No colon",
        "Bad name: 1",
        ": nameless",
        "X-Null: \0",
        "X-Return: a\rb",
    ];
    for line in lines {
        let request = with(REQUEST, line);
        let look = Request::look(request.as_bytes(), LENGTH_MAX);
        assert!(matches!(look, Look::Other), "{line}: {look:?}");
    }
    let replaced = [
        ("GET", "POST"),
        ("GET ", "get "),
        ("HTTP/1.1", "HTTP/1.0"),
        ("HTTP/1.1", "HTTP/2.0"),
        ("/chat?room=1", "http://chat.test/chat"),
        ("/chat?room=1", "*"),
        ("/chat?room=1", "/chat#part"),
        ("/chat?room=1", "/ch\u{e4}t"),
        ("/chat?room=1", "/ch{t"),
        ("GET /chat", "GET  /chat"),
        ("Host: chat.test\r\n", ""),
        ("Host: chat.test", "Host: chat.test, other.test"),
        ("Host: chat.test", "Host: chat.test:port"),
        ("Host: chat.test", "Host:"),
        ("Host: chat.test", "Host: ch\u{e4}t.test"),
        ("keep-alive, Upgrade", "keep-alive"),
        ("websocket", "h2c"),
        ("Upgrade: websocket\r\n", ""),
    ];
    for (from, to) in replaced {
        let request = REQUEST.replacen(from, to, 1);
        let look = Request::look(request.as_bytes(), LENGTH_MAX);
        assert!(matches!(look, Look::Other), "{to}: {look:?}");
    }
    for line in [
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        " folded",
        "X-Space : 1",
    ] {
        let look_at = with(ANSWER, line);
        let look = Answer::look(look_at.as_bytes());
        assert!(matches!(look, Look::Other), "{line}: {look:?}");
    }
    for (from, to) in [
        ("101", "100"),
        ("101", "200"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("websocket", "h2c"),
        ("Connection: Upgrade", "Connection: close"),
    ] {
        let answer = ANSWER.replacen(from, to, 1);
        let look = Answer::look(answer.as_bytes());
        assert!(matches!(look, Look::Other), "{to}: {look:?}");
    }
}

#[test]
fn too_long_a_header_is_left_to_hyper() {
    let long = with(REQUEST, &format!("X-Long: {}", "x".repeat(2000)));
    assert!(matches!(Request::look(long.as_bytes(), 1000), Look::Other));
    let beginning = &long.as_bytes()[..1000];
    assert!(matches!(Request::look(beginning, 1000), Look::Other));
    let length = long.len();
    assert!(matches!(Request::look(long.as_bytes(), length), Look::Whole(_, n) if n == length));
    let many = with(REQUEST, vec!["X: 1"; 60].join("\r\n").as_str());
    assert!(matches!(
        Request::look(many.as_bytes(), LENGTH_MAX),
        Look::Other
    ));
    let huge = with(ANSWER, &format!("X-Long: {}", "x".repeat(LENGTH_MAX)));
    assert!(matches!(Answer::look(huge.as_bytes()), Look::Other));
}

#[test]
fn fields_keep_place_and_spelling_and_what_is_about_the_way_comes_last() {
    let request = with(
        REQUEST,
        "X-Real-IP: 10.9.9.9\r\nX-oDD:\t one \r\nx-forwarded-port: 1",
    );
    let Look::Whole(request, _) = Request::look(request.as_bytes(), LENGTH_MAX) else {
        panic!("it is a request for a WebSocket");
    };
    let peer: IpAddr = [192, 0, 2, 7].into();
    let passed = request.for_backend(Some(peer), true, &[]);
    assert_eq!(
        String::from_utf8(passed).expect("text"),
        "GET /chat?room=1 HTTP/1.1\r\nHost: chat.test\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: a=1; b=\"2\"\r\ncOOKIE: c=3\r\n\
         Origin: https://chat.test\r\nX-oDD: one\r\nx-forwarded-for: 192.0.2.7\r\n\
         x-forwarded-proto: https\r\nx-forwarded-host: chat.test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\n\r\n"
    );
    let answer = with(
        &ANSWER.replace("Switching Protocols", "Go on"),
        "Keep-Alive: timeout=5",
    );
    let Look::Whole(answer, _) = Answer::look(answer.as_bytes()) else {
        panic!("it is the answer to one");
    };
    assert!(!answer.has_extensions());
    assert_eq!(
        String::from_utf8(answer.for_client()).expect("text"),
        "HTTP/1.1 101 Go on\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         sec-webSocket-Protocol: chat\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

/// Lines of a header, sound ones and others.
fn line() -> impl Strategy<Value = String> {
    let names = "Host|Connection|Upgrade|Cookie|TE|Keep-Alive|Content-Length|Transfer-Encoding|\
                 X-Forwarded-For|x_real_ip|Forwarded|X-[a-zA-Z0-9_.-]{1,8}|[ -~]{0,6}";
    let values = "chat\\.test|keep-alive, Upgrade|close, X-a|websocket|chunked|5|[ -~\\t\u{80}-\u{ff}]{0,20}";
    (names, ":|: | : |", values, "\r\n|\n|\r|\r\n ")
        .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
}

/// Something like `message`: with lines before its end, cut off, and changed in places.
fn like(message: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec(line(), 0..4);
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changes = prop::collection::vec(change, 0..3);
    let length = prop_oneof![4 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (lines, changes, length).prop_map(move |(lines, changes, length)| {
        let start = message.strip_suffix("\r\n").expect("an empty line");
        let mut bytes = format!("{start}{}\r\n", lines.concat()).into_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #[test]
    fn what_is_taken_for_a_request_is_one_to_hyper(bytes in like(REQUEST)) {
        agrees_on_request(&bytes);
    }

    #[test]
    fn what_is_taken_for_an_answer_is_one_to_hyper(bytes in like(ANSWER)) {
        agrees_on_answer(&bytes);
    }

    #[test]
    fn the_last_byte_of_a_header_is_worth_a_look(bytes in like(REQUEST), cut: prop::sample::Index) {
        if let Look::Whole(_, length) = Request::look(&bytes, LENGTH_MAX) {
            let cut = cut.index(length);
            prop_assert!(is_worth_a_look(&bytes[..length], cut, LENGTH_MAX));
        }
    }

    #[test]
    fn a_header_that_is_too_long_is_worth_the_look_that_finds_it(limit in 1..=LENGTH_MAX) {
        let mut bytes = b"GET / HTTP/1.1\r\nHost: ".to_vec();
        let limit = limit.max(bytes.len() + 1);
        bytes.resize(limit, b'a');
        let before = limit - 1;
        prop_assert!(!is_worth_a_look(&bytes[..before], before - 1, limit));
        prop_assert!(is_worth_a_look(&bytes, before, limit));
        prop_assert!(matches!(Request::look(&bytes, limit), Look::Other));
    }
}
