//! What is read of an opening handshake, compared with what hyper reads of the same bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use batond::edge::head::{Answer, LENGTH_MAX, Look, Request};
use http_body_util::Empty;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Response, StatusCode, Version};

/// How often hyper gets a turn. It reads what is there in the first few.
const TURNS: usize = 8;

/// One end of a connection on which these bytes have come, and no more come for now.
struct Came {
    bytes: Vec<u8>,
    read: usize,
    /// Something has been written, without which nothing can be read.
    asked: bool,
}

impl Read for Came {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let came = self.get_mut();
        let n = buffer.remaining().min(came.bytes.len() - came.read);
        if n == 0 || !came.asked {
            return Poll::Pending;
        }
        buffer.put_slice(&came.bytes[came.read..][..n]);
        came.read += n;
        Poll::Ready(Ok(()))
    }
}

impl Write for Came {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A header as hyper has read it, and what came behind it.
struct Verdict {
    line: (String, Version),
    fields: HeaderMap,
    has_body: bool,
    rest: Option<Vec<u8>>,
}

/// The request in these bytes, if hyper finds one.
fn hypers_request(bytes: &[u8]) -> Option<Verdict> {
    let found = RefCell::new(None);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        let upgrade = hyper::upgrade::on(&mut request);
        found.replace(Some((request, upgrade)));
        let mut answer = Response::new(Empty::<Bytes>::new());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        async { Ok::<_, Infallible>(answer) }
    });
    let came = Came {
        bytes: bytes.to_vec(),
        read: 0,
        asked: true,
    };
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_header_size(LENGTH_MAX).half_close(false);
    let connection = builder.serve_connection(came, service).with_upgrades();
    turns(pin!(connection));
    let (request, upgrade) = found.take()?;
    Some(Verdict {
        line: (
            format!("{} {}", request.method(), request.uri()),
            request.version(),
        ),
        fields: request.headers().clone(),
        has_body: !request.body().is_end_stream(),
        rest: rest(upgrade),
    })
}

/// The answer in these bytes, if hyper finds one.
fn hypers_answer(bytes: &[u8]) -> Option<Verdict> {
    let came = Came {
        bytes: bytes.to_vec(),
        read: 0,
        asked: false,
    };
    let handshake = hyper::client::conn::http1::handshake(came);
    let (mut sender, connection) = turns(pin!(handshake))?.ok()?;
    let mut connection = pin!(connection.with_upgrades());
    let mut answer = pin!(sender.send_request(hyper::Request::new(Empty::<Bytes>::new())));
    let has_ended = turns(connection.as_mut()).is_some();
    let mut answer = turns(answer.as_mut())?.ok()?;
    let upgrade = hyper::upgrade::on(&mut answer);
    if !has_ended {
        turns(connection);
    }
    Some(Verdict {
        line: (answer.status().as_str().to_owned(), answer.version()),
        fields: answer.headers().clone(),
        has_body: !answer.body().is_end_stream(),
        rest: rest(upgrade),
    })
}

fn turns<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..TURNS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
    }
    None
}

fn rest(upgrade: OnUpgrade) -> Option<Vec<u8>> {
    let upgraded: Upgraded = turns(pin!(upgrade))?.ok()?;
    let parts = upgraded.downcast::<Came>().ok()?;
    let mut rest = parts.read_buf.to_vec();
    rest.extend_from_slice(&parts.io.bytes[parts.io.read..]);
    Some(rest)
}

type Fields = BTreeMap<String, Vec<Vec<u8>>>;

fn ours<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Fields {
    let mut map = Fields::new();
    for (name, value) in fields {
        let values = map.entry(name.to_ascii_lowercase()).or_default();
        values.push(value.to_vec());
    }
    map
}

fn theirs(fields: &HeaderMap) -> Fields {
    let pair = |(name, value)| (str::from_utf8(name).expect("ASCII"), value);
    ours(
        fields.iter().map(|(name, value): (_, &HeaderValue)| {
            pair((name.as_str().as_bytes(), value.as_bytes()))
        }),
    )
}

/// Whatever is taken for a request for a WebSocket is one to hyper, word for word, and so is what a
/// backend gets of it; and no more is awaited where hyper has one. True: it was taken.
pub(crate) fn agrees_on_request(bytes: &[u8]) -> bool {
    let (request, length) = match Request::look(bytes, LENGTH_MAX) {
        Look::Whole(request, length) => (request, length),
        Look::Partial => {
            assert!(hypers_request(bytes).is_none(), "more is awaited");
            return false;
        }
        Look::Other => return false,
    };
    let verdict = hypers_request(bytes).expect("hyper finds a request");
    let target = request.target.to_owned();
    assert_eq!(verdict.line, (format!("GET {target}"), Version::HTTP_11));
    assert_eq!(theirs(&verdict.fields), ours(request.fields()));
    assert!(!verdict.has_body);
    assert_eq!(verdict.rest.as_deref(), Some(&bytes[length..]));
    assert_eq!(ours(request.fields())["host"], [request.host().as_bytes()]);
    let mut expected = without_hop_by_hop(theirs(&verdict.fields));
    expected.retain(|name, _| !is_about_the_way(name));

    let passed = request.for_backend(Some([192, 0, 2, 7].into()), true, &[]);
    let verdict = hypers_request(&passed).expect("hyper finds what is passed on");
    assert_eq!(verdict.line, (format!("GET {target}"), Version::HTTP_11));
    assert!(!verdict.has_body);
    assert_eq!(verdict.rest.as_deref(), Some(&[][..]));
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
    ] {
        expected.insert(name.to_owned(), vec![value.as_bytes().to_vec()]);
    }
    expected.insert("x-forwarded-host".into(), expected["host"].clone());
    assert_eq!(theirs(&verdict.fields), with_upgrade(expected));
    true
}

/// Less what is about the connection that it came on: what the RFC names (RFC 9110 §7.6.1), and
/// what the Connection field names.
fn without_hop_by_hop(mut fields: Fields) -> Fields {
    let connection = fields.get("connection").cloned().unwrap_or_default();
    let texts = connection.iter().filter_map(|value| {
        let is_text = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        is_text.then(|| String::from_utf8_lossy(value).to_ascii_lowercase())
    });
    let named: Vec<String> = texts
        .flat_map(|text| {
            text.split(',')
                .map(|one| one.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let always = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    fields.retain(|name, _| {
        let goes = always.contains(&name.as_str()) || named.contains(name);
        name == "host" || !goes
    });
    fields
}

/// What a client that is not trusted must not say.
fn is_about_the_way(name: &str) -> bool {
    let name = name.replace('_', "-");
    name.starts_with("x-forwarded-") || ["x-real-ip", "forwarded"].contains(&&*name)
}

fn with_upgrade(mut fields: Fields) -> Fields {
    fields.insert("connection".into(), vec![b"Upgrade".to_vec()]);
    fields.insert("upgrade".into(), vec![b"websocket".to_vec()]);
    fields
}

/// The same for the answer that makes the connection a WebSocket.
pub(crate) fn agrees_on_answer(bytes: &[u8]) -> bool {
    let (answer, length) = match Answer::look(bytes) {
        Look::Whole(answer, length) => (answer, length),
        Look::Partial => {
            assert!(hypers_answer(bytes).is_none(), "more is awaited");
            return false;
        }
        Look::Other => return false,
    };
    let verdict = hypers_answer(bytes).expect("hyper finds an answer");
    assert_eq!(verdict.line, ("101".to_owned(), Version::HTTP_11));
    assert_eq!(theirs(&verdict.fields), ours(answer.fields()));
    assert!(!verdict.has_body);
    assert_eq!(verdict.rest.as_deref(), Some(&bytes[length..]));

    let expected = with_upgrade(without_hop_by_hop(theirs(&verdict.fields)));

    let passed = answer.for_client();
    let verdict = hypers_answer(&passed).expect("hyper finds what is passed on");
    assert_eq!(verdict.line, ("101".to_owned(), Version::HTTP_11));
    assert_eq!(verdict.rest.as_deref(), Some(&[][..]));
    assert_eq!(theirs(&verdict.fields), expected);
    true
}
