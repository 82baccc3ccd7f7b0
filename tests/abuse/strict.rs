//! Requests of which two servers in a row could be of two minds: where one ends, and whom it is
//! for (RFC 9112 §11.2). Each is refused, or goes on in one meaning only. Over TLS it is the same
//! parser.

use std::io::ErrorKind;
use std::net::TcpListener;

use Fate::{Passes, PassesAndEnds, Refused, Unheard};

use crate::peer::Peer;
use crate::recorder::{Asked, Recorder};
use crate::world::{Backend, Plan, World};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("where_a_request_ends_is_never_in_doubt", || all(FRAMING)),
    ("what_a_field_says_is_never_in_doubt", || all(FIELDS)),
    ("whom_a_request_is_for_is_never_in_doubt", || all(HOSTS)),
    ("other_versions_and_methods_open_no_other_way", || {
        all(METHODS)
    }),
    ("a_websocket_is_asked_for_in_one_way_only", || all(UPGRADES)),
];

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// This status, and no backend is asked.
    Refused(u16),
    /// No answer: the connection ends, and no backend is asked.
    Unheard,
    /// The backend gets one request by the letter, with nothing behind it.
    Passes,
    /// The same, and the connection ends behind the answer.
    PassesAndEnds,
}

/// The beginning of the request, its rest, and what becomes of it.
type Case = (&'static str, &'static str, Fate);

/// What a smuggler hides.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n";

const POST: &str = "POST /a HTTP/1.1\r\nHost: chat.test\r\n";
const GET: &str = "GET /a HTTP/1.1\r\nHost: chat.test\r\n";

const FRAMING: &[Case] = &[
    // RFC 9112 §6.3: Transfer-Encoding overrides, and nothing on the connection is trusted then.
    (
        POST,
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        PassesAndEnds,
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n0\r\n\r\n",
        PassesAndEnds,
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.0\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        Refused(400),
    ),
    (
        POST,
        "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
        Passes,
    ),
    (POST, "Content-Length: 4, 4\r\n\r\nabcd", Refused(400)),
    (POST, "Content-Length: +4\r\n\r\nabcd", Refused(400)),
    (POST, "Content-Length: -1\r\n\r\nabcd", Refused(400)),
    (POST, "Content-Length: 0x4\r\n\r\nabcd", Refused(400)),
    (
        POST,
        "Content-Length: 18446744073709551616\r\n\r\nabcd",
        Refused(400),
    ),
    // A field that frames the body may not be asked away.
    (
        POST,
        "Connection: Content-Length\r\nContent-Length: 4\r\n\r\nabcd",
        Passes,
    ),
    (
        POST,
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Passes,
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n4;a=b\r\nabcd\r\n0\r\n\r\n",
        Passes,
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nX-T: 1\r\nContent-Length: 3\r\n\r\n",
        Passes,
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n4;a\nb\r\nabcd\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n4\nabcd\n0\n\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n10000000000000004\r\nabcd\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n4\r\nabcdef\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        POST,
        "Transfer-Encoding: chunked\r\n\r\n-4\r\nabcd\r\n0\r\n\r\n",
        Refused(400),
    ),
];

const FIELDS: &[Case] = &[
    (GET, "X-Fold: a\r\n b: c\r\n\r\n", Refused(400)),
    (
        "GET /a HTTP/1.1\r\n X: y\r\nHost: chat.test\r\n",
        "\r\n",
        Refused(400),
    ),
    (GET, "nonsense\r\n\r\n", Refused(400)),
    (GET, "X-A: a\rX-B: b\r\n\r\n", Refused(400)),
    (GET, "X-A: a\0b\r\n\r\n", Refused(400)),
    (GET, "X\0A: ab\r\n\r\n", Refused(400)),
    (GET, ": ab\r\n\r\n", Refused(400)),
    (
        "GET /a\0b HTTP/1.1\r\nHost: chat.test\r\n",
        "\r\n",
        Refused(400),
    ),
    (
        "GET /a b HTTP/1.1\r\nHost: chat.test\r\n",
        "\r\n",
        Refused(400),
    ),
    // RFC 9112 §2.2: a lone LF may end a line. It goes on as CR LF.
    ("GET /a HTTP/1.1\nHost: chat.test\n", "X-A: b\n\n", Passes),
    (
        "\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: chat.test\r\n\r\n",
        Passes,
    ),
    (
        GET,
        "Connection: close, Host, X-Forwarded-For\r\n\r\n",
        PassesAndEnds,
    ),
];

const HOSTS: &[Case] = &[
    (GET, "Host: other.test\r\n\r\n", Refused(400)),
    (GET, "Host: chat.test\r\n\r\n", Refused(400)),
    // RFC 9112 §3.2: a request without a host, or with what is none, is answered with 400.
    ("GET /a HTTP/1.1\r\n", "\r\n", Refused(400)),
    (
        "GET /a HTTP/1.1\r\nHost: chat.test/b\r\n",
        "\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.1\r\nHost: chat.test, other.test\r\n",
        "\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.1\r\nHost: other.test@chat.test\r\n",
        "\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.1\r\nHost: chat.test:port\r\n",
        "\r\n",
        Refused(400),
    ),
    ("GET /a HTTP/1.0\r\n", "\r\n", PassesAndEnds),
    // RFC 9112 §3.2.2: the request line has the say.
    (
        "GET http://chat.test/a HTTP/1.1\r\nHost: other.test\r\n",
        "\r\n",
        Passes,
    ),
    (
        "GET http://u:p@chat.test/a HTTP/1.1\r\nHost: chat.test\r\n",
        "\r\n",
        Passes,
    ),
    (
        "GET a HTTP/1.1\r\nHost: chat.test\r\n",
        "\r\n",
        Refused(404),
    ),
];

const METHODS: &[Case] = &[
    (
        "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n",
        "\r\n",
        Refused(404),
    ),
    ("PRI * HTTP/2.0\r\n\r\n", "SM\r\n\r\n", Unheard),
    (
        "GET /a HTTP/2.0\r\nHost: chat.test\r\n",
        "\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.2\r\nHost: chat.test\r\n",
        "\r\n",
        Refused(400),
    ),
    ("GET /a\r\n", "\r\n", Refused(400)),
    ("BREW /a HTTP/1.1\r\nHost: chat.test\r\n", "\r\n", Passes),
    (
        GET,
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        Passes,
    ),
    (
        "\x16\x03\x01\x02\x00\x01\x00\x01",
        "\x0b\x03\x03\r\n\r\n",
        Refused(400),
    ),
];

const ASK: &str = "GET /a HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const UPGRADES: &[Case] = &[
    (ASK, "\r\n", Passes),
    (ASK, "Content-Length: 0\r\n\r\n", Passes),
    // Many backends take what follows the header for frames, whatever it says of a body.
    (ASK, "Content-Length: 4\r\n\r\nabcd", Refused(400)),
    (
        ASK,
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.0\r\nHost: chat.test\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        PassesAndEnds,
    ),
];

fn recorded() -> (World, Recorder) {
    let mut world = Plan::new().start();
    let spare = Backend::Tcp(TcpListener::bind("127.0.0.1:0").expect("bind a free port"));
    let Backend::Tcp(listener) = std::mem::replace(&mut world.backend, spare) else {
        unreachable!("a plan without a backend gets one on a port");
    };
    (world, Recorder::on(listener))
}

fn all(cases: &[Case]) {
    let (world, recorder) = recorded();
    let mut wrong = Vec::new();
    for (beginning, rest, expected) in cases {
        let request = format!("{beginning}{rest}");
        if let Err(what) = one(&world, &recorder, &request, *expected) {
            wrong.push(format!("{request:?}: not {expected:?} but {what}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn one(world: &World, recorder: &Recorder, request: &str, expected: Fate) -> Result<(), String> {
    let mut client = world.client();
    client.send(format!("{request}{HIDDEN}"));
    let statuses = statuses(&mut client);
    // The daemon has one worker: when it has served this one it has served the other.
    let mut witness = world.client();
    witness.send("GET /witness HTTP/1.1\r\nHost: chat.test\r\n\r\n");
    assert_eq!(witness.message().status(), 200);
    drop(witness);
    let mut asked = Vec::new();
    loop {
        let one = recorder.next();
        if one.path() == "/witness" {
            break;
        }
        asked.push(one);
    }
    let hidden = asked.iter().any(|one| one.path() == "/hidden");
    let open = asked.iter().filter(|one| one.path() != "/hidden");
    let open: Vec<_> = open.collect();
    let plain = open
        .iter()
        .all(|one| one.values("host").len() == 1 && is_one_request(one));
    let as_expected = match expected {
        Refused(status) => statuses.first() == Some(&status) && open.is_empty(),
        Unheard => statuses.is_empty() && asked.is_empty(),
        Passes => matches!(statuses[..], [101] | [200, 200]) && open.len() == 1 && plain,
        PassesAndEnds => statuses == [200] && open.len() == 1 && plain && !hidden,
    };
    if as_expected {
        Ok(())
    } else {
        Err(format!("{statuses:?}, and backends were asked {asked:#?}"))
    }
}

/// The statuses of all the answers on the connection, which must end.
fn statuses(client: &mut Peer) -> Vec<u16> {
    loop {
        match client.try_fill() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    let all = client.take_now();
    let all = String::from_utf8_lossy(&all);
    let answers = all.split("HTTP/1.").skip(1);
    answers
        .filter_map(|one| one.get(2..5)?.parse().ok())
        .collect()
}

/// Nothing came behind it. A WebSocket's backend is told in a frame that its client broke the rules.
fn is_one_request(asked: &Asked) -> bool {
    match asked.values("upgrade")[..] {
        ["websocket"] => asked.more.first().is_none_or(|first| *first == 0x88),
        _ => asked.more.is_empty(),
    }
}
