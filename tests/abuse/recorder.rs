//! A backend that writes down what it is asked, to the last byte. It answers as soon as one request
//! is there by the letter of RFC 9112, and goes on listening: whatever it then hears on the same
//! connection has been smuggled in.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use crate::http::switching;
use crate::support::PATIENCE;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What comes on each connection, in the order in which they were accepted.
pub(crate) struct Recorder(Receiver<Receiver<Asked>>);

/// All that came on one connection.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request line and the fields.
    pub(crate) head: String,
    /// The body as it was framed.
    pub(crate) body: Vec<u8>,
    /// What came behind it.
    pub(crate) more: Vec<u8>,
}

impl Recorder {
    /// Takes every connection from now on.
    pub(crate) fn on(listener: TcpListener) -> Self {
        let (sender, connections) = channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                let (asked, asks) = channel();
                let _ = sender.send(asks);
                thread::spawn(move || record(connection, &asked));
            }
        });
        Self(connections)
    }

    /// The next connection that has brought a request, once it has ended.
    pub(crate) fn next(&self) -> Asked {
        loop {
            let connection = self.0.recv_timeout(PATIENCE).expect("batond asks nothing");
            match connection.recv_timeout(PATIENCE) {
                Ok(asked) => return asked,
                Err(RecvTimeoutError::Disconnected) => {}
                Err(RecvTimeoutError::Timeout) => panic!("batond keeps a connection"),
            }
        }
    }
}

impl Asked {
    /// The path in the request line.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a field, whatever its spelling.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1);
        fields
            .filter_map(|line| line.split_once(':'))
            .filter(|(one, _)| one.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

fn record(mut connection: TcpStream, sender: &Sender<Asked>) {
    let mut bytes = Vec::new();
    let Ok(Some(asked)) = request(&mut connection, &mut bytes) else {
        // Nothing that this backend would act on.
        return;
    };
    let is_upgrade = asked.values("upgrade") == ["websocket"];
    let answer = match is_upgrade {
        true => switching("").into_bytes(),
        false => ANSWER.to_vec(),
    };
    let mut more = bytes;
    let _ = connection.write_all(&answer);
    let _ = connection.read_to_end(&mut more);
    let _ = sender.send(Asked { more, ..asked });
}

/// The first request; `bytes` keeps what came behind it. None: the end came first.
fn request(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Asked>> {
    let Some(head) = until(connection, bytes, b"\r\n\r\n")? else {
        return Ok(None);
    };
    let mut asked = Asked {
        head: String::from_utf8_lossy(&head).into_owned(),
        body: Vec::new(),
        more: Vec::new(),
    };
    let length = asked
        .values("content-length")
        .first()
        .map(|one| one.parse());
    if asked.values("transfer-encoding") == ["chunked"] {
        match until(connection, bytes, b"0\r\n\r\n")? {
            Some(chunks) => asked.body = chunks,
            None => return Ok(None),
        }
    } else if let Some(Ok(length)) = length {
        while bytes.len() < length {
            if !more(connection, bytes)? {
                return Ok(None);
            }
        }
        asked.body = bytes.drain(..length).collect();
    }
    Ok(Some(asked))
}

fn until(
    connection: &mut TcpStream,
    bytes: &mut Vec<u8>,
    mark: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(at) = bytes.windows(mark.len()).position(|part| part == mark) {
            return Ok(Some(bytes.drain(..at + mark.len()).collect()));
        }
        if !more(connection, bytes)? {
            return Ok(None);
        }
    }
}

fn more(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    let count = connection.read(&mut buffer)?;
    bytes.extend_from_slice(&buffer[..count]);
    Ok(count > 0)
}
