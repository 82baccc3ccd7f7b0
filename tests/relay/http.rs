//! HTTP/1.1, byte by byte.

use crate::peer::Peer;

/// A request or an answer as it came.
pub(crate) struct Message {
    /// The first line.
    pub(crate) line: String,
    /// The fields in order, names spelled as they came.
    pub(crate) fields: Vec<(String, String)>,
}

impl Message {
    fn read(peer: &mut Peer) -> Self {
        let head = peer.take_until(b"\r\n\r\n");
        let head = String::from_utf8(head).expect("a header in ASCII");
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let fields = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { line, fields }
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        let status = self.line.split(' ').nth(1).map(str::parse);
        status
            .unwrap_or_else(|| panic!("no status: {}", self.line))
            .expect("a status")
    }

    /// The values of a field, whatever its spelling.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(one, _)| one.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }
}

impl Peer {
    /// The header of a request or an answer.
    pub(crate) fn message(&mut self) -> Message {
        Message::read(self)
    }

    /// An answer with its body, framed by Content-Length.
    pub(crate) fn answer(&mut self) -> (Message, String) {
        let message = self.message();
        let length = match message.values("content-length")[..] {
            [length] => length.parse().expect("a length"),
            _ => panic!("no length: {:?}", message.fields),
        };
        let body = self.take(length);
        (message, String::from_utf8(body).expect("text"))
    }

    /// The next chunk of a body in chunks (RFC 9112 §7.1); empty: the last one.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let line = self.take_until(b"\r\n");
        let line = String::from_utf8(line).expect("a chunk's size");
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size");
        let mut chunk = self.take(size + 2);
        assert_eq!(chunk.split_off(size), b"\r\n");
        chunk
    }
}

/// A request for a WebSocket, as browsers ask for it (RFC 6455 §4.1).
pub(crate) fn upgrade(path: &str, host: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// The answer that makes the connection a WebSocket.
pub(crate) fn switching(more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{more}\r\n"
    )
}
