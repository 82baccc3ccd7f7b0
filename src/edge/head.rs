//! The two headers of a WebSocket's opening handshake as they came (RFC 6455 §4), each field in its
//! place and spelling. Only what leaves no question is taken: a request for a WebSocket without a
//! body and with one Host, and the answer that switches to it. All else is hyper's, which reads it
//! from its beginning; so whatever is taken here hyper takes too, and means the same by it.

use std::borrow::Cow;
use std::net::IpAddr;

use httparse::{EMPTY_HEADER, Header, Status};

use super::fields::Fields;
use super::forward;
use crate::config::TrustedPeer;

/// How long a header may be that is looked at here, in bytes.
pub const LENGTH_MAX: usize = 16 << 10;

/// How many fields it may have.
const FIELDS_MAX: usize = 64;

/// What a look at the beginning of a connection says.
#[derive(Debug)]
pub enum Look<T> {
    /// The header has not come in full.
    Partial,
    /// It is this, and so many bytes long.
    Whole(T, usize),
    /// It is something else, or hyper has to say what it is.
    Other,
}

/// A client's request for a WebSocket.
#[derive(Debug)]
pub struct Request<'b> {
    /// What is asked for, from its path on (origin-form, RFC 9112 §3.2.1).
    pub target: &'b str,
    fields: Raw<'b>,
}

/// A backend's answer that makes the connection a WebSocket.
#[derive(Debug)]
pub struct Answer<'b> {
    reason: &'b str,
    fields: Raw<'b>,
}

impl<'b> Request<'b> {
    /// Looks at what a client has sent first. A header may have `limit` bytes, and not more than
    /// [`LENGTH_MAX`].
    pub fn look(bytes: &'b [u8], limit: usize) -> Look<Self> {
        let limit = limit.min(LENGTH_MAX);
        let start = &bytes[..bytes.len().min(METHOD.len())];
        if !METHOD.starts_with(start) {
            return Look::Other;
        }
        let mut headers = [EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(Status::Complete(length)) if length <= limit => length,
            Ok(Status::Partial) if bytes.len() < limit => return Look::Partial,
            _ => return Look::Other,
        };
        let (Some(target), Some(1)) = (request.path, request.version) else {
            return Look::Other;
        };
        let fields = Raw::new(request.headers);
        let is_plain = target.starts_with('/')
            && target.bytes().all(is_of_a_path)
            && fields.only("host").is_some_and(forward::is_host)
            && !fields.is_framed()
            && !fields.has("expect")
            && forward::asks_for_websocket(&fields);
        if is_plain {
            Look::Whole(Self { target, fields }, length)
        } else {
            Look::Other
        }
    }

    /// Without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The one Host field's value.
    pub fn host(&self) -> &str {
        self.fields.texts("host").next().unwrap_or_default()
    }

    /// Names and values, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// As a backend gets it, from a client at `peer` (None: on a Unix socket).
    pub fn for_backend(
        mut self,
        peer: Option<IpAddr>,
        is_tls: bool,
        trusted: &[TrustedPeer],
    ) -> Vec<u8> {
        forward::remove_hop_by_hop(&mut self.fields);
        forward::set_forwarded(&mut self.fields, peer, is_tls, trusted);
        forward::set_websocket_upgrade(&mut self.fields);
        self.fields
            .to_bytes(&["GET ", self.target, " HTTP/1.1\r\n"])
    }
}

impl<'b> Answer<'b> {
    /// Looks at what a backend has answered to a request for a WebSocket.
    pub fn look(bytes: &'b [u8]) -> Look<Self> {
        let mut headers = [EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut headers);
        let length = match answer.parse(bytes) {
            Ok(Status::Complete(length)) if length <= LENGTH_MAX => length,
            Ok(Status::Partial) if bytes.len() < LENGTH_MAX => return Look::Partial,
            _ => return Look::Other,
        };
        let (Some(101), Some(1), Some(reason)) = (answer.code, answer.version, answer.reason)
        else {
            return Look::Other;
        };
        let fields = Raw::new(answer.headers);
        if fields.is_framed() || !forward::asks_for_websocket(&fields) {
            return Look::Other;
        }
        Look::Whole(Self { reason, fields }, length)
    }

    /// Names and values, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// WebSocket extensions are in use (RFC 6455 §9.1).
    pub fn has_extensions(&self) -> bool {
        self.fields.has("sec-websocket-extensions")
    }

    /// As the client gets it.
    pub fn for_client(mut self) -> Vec<u8> {
        forward::remove_hop_by_hop(&mut self.fields);
        forward::set_websocket_upgrade(&mut self.fields);
        self.fields
            .to_bytes(&["HTTP/1.1 101 ", self.reason, "\r\n"])
    }
}

const METHOD: &[u8] = b"GET ";

/// What may stand in a path and a query (RFC 3986 §3.3, §3.4).
fn is_of_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&byte)
}

/// Whether another look is worth while at what was no whole header when it was `before` bytes long:
/// an empty line has come since, or so much that no more is awaited: `limit` bytes, or
/// [`LENGTH_MAX`]. Who sends byte by byte must not have the whole of it looked at each time.
pub fn is_worth_a_look(bytes: &[u8], before: usize, limit: usize) -> bool {
    let new = &bytes[before.saturating_sub(2)..];
    let is_end = |at: usize| matches!(new[at..], [b'\n', b'\n', ..] | [b'\n', b'\r', b'\n', ..]);
    before == 0 || bytes.len() >= limit.min(LENGTH_MAX) || (0..new.len()).any(is_end)
}

/// The fields of a header in the order in which they came.
#[derive(Debug)]
struct Raw<'b>(Vec<Field<'b>>);

#[derive(Clone, Debug)]
struct Field<'b> {
    name: &'b str,
    value: Cow<'b, [u8]>,
}

impl<'b> Raw<'b> {
    fn new(headers: &[Header<'b>]) -> Self {
        let field = |one: &Header<'b>| Field {
            name: one.name,
            value: Cow::Borrowed(one.value),
        };
        // Some come on the way.
        let mut fields = Vec::with_capacity(headers.len() + 5);
        fields.extend(headers.iter().map(field));
        Self(fields)
    }

    fn named(&self, name: &'static str) -> impl Iterator<Item = &Field<'b>> {
        let is_it = move |one: &&Field<'b>| one.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(is_it)
    }

    /// The value of a field that is there once.
    fn only(&self, name: &'static str) -> Option<&[u8]> {
        let mut named = self.named(name);
        let one = named.next()?;
        named.next().is_none().then_some(&*one.value)
    }

    /// A body is announced, or something that might be taken for one.
    fn is_framed(&self) -> bool {
        self.has("content-length") || self.has("transfer-encoding")
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|one| (one.name, &*one.value))
    }

    fn to_bytes(&self, start: &[&str]) -> Vec<u8> {
        let length = |one: &Field<'_>| one.name.len() + one.value.len() + 4;
        let length: usize = self.0.iter().map(length).sum();
        let start_length: usize = start.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(start_length + length + 2);
        for part in start {
            bytes.extend_from_slice(part.as_bytes());
        }
        for Field { name, value } in &self.0 {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

impl Fields for Raw<'_> {
    fn has(&self, name: &'static str) -> bool {
        self.named(name).next().is_some()
    }

    fn texts(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
        let text = move |one: &[u8]| one.iter().all(is_text);
        self.named(name)
            .filter(move |one| text(&one.value))
            .filter_map(|one| std::str::from_utf8(&one.value).ok())
    }

    fn remove(&mut self, is_doomed: impl Fn(&str) -> bool) {
        self.0.retain(|one| !is_doomed(one.name));
    }

    fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        let value = match value.into() {
            Cow::Borrowed(value) => Cow::Borrowed(value.as_bytes()),
            Cow::Owned(value) => Cow::Owned(value.into_bytes()),
        };
        self.0.retain(|one| !one.name.eq_ignore_ascii_case(name));
        self.0.push(Field { name, value });
    }

    fn copy(&mut self, from: &'static str, to: &'static str) {
        let value = self.named(from).next().map(|one| one.value.clone());
        if let Some(value) = value {
            self.0.push(Field { name: to, value });
        }
    }
}
