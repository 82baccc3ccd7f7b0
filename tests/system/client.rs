//! A WebSocket client of batond in a machine.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use crate::machine::Machine;

/// The port of the shipped batond.socket; without certificates batond speaks plain `ws://` there.
pub(crate) const PORT: u16 = 443;

/// How long any answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An established WebSocket.
#[derive(Debug)]
pub(crate) struct Client(WebSocket<Uninterrupted>);

/// A stream whose reading goes on after a stop and continuation of the process, which ends a call
/// on a socket with a deadline (signal(7)).
#[derive(Debug)]
pub(crate) struct Uninterrupted(pub(crate) TcpStream);

impl Read for Uninterrupted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

impl Write for Uninterrupted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// By a Close frame and then by the end of the TCP stream. Codes that tungstenite does not
    /// know appear as 1002, such as 1014.
    Closed {
        /// See RFC 6455 §7.4.
        code: u16,
        /// Goes with the code.
        reason: String,
    },
    /// With an error, so that a browser may report 1006. A Close frame may have come before.
    Cut {
        /// What went wrong.
        error: String,
    },
}

impl Farewell {
    /// The code of a clean end.
    ///
    /// # Panics
    ///
    /// If the connection was cut off.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Closed { code, .. } => *code,
            Self::Cut { error } => panic!("no clean end: {error}"),
        }
    }
}

impl Client {
    /// Connects to the port of batond.socket and upgrades.
    ///
    /// # Panics
    ///
    /// If the connection is refused or reset, or the upgrade gets another answer than 101.
    pub(crate) fn open(machine: &Machine) -> Self {
        Self::open_at(machine, PORT)
    }

    /// The same at another port.
    pub(crate) fn open_at(machine: &Machine, port: u16) -> Self {
        let stream = machine.connect(port).expect("a connect is never refused");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("set a deadline");
        let stream = Uninterrupted(stream);
        let (socket, _) = client("ws://localhost/", stream).expect("upgrade to a WebSocket");
        Self(socket)
    }

    /// Sends a message and expects it back.
    pub(crate) fn echo(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("send a message");
        let reply = loop {
            match self.0.read().expect("read the echo") {
                // The application's sign of life, which tungstenite answers.
                Message::Ping(_) => {}
                reply => break reply,
            }
        };
        assert_eq!(reply, Message::text(text));
    }

    /// Waits for the end.
    pub(crate) fn farewell(mut self) -> Farewell {
        let mut close = None;
        loop {
            match (self.0.read(), close.take()) {
                (Ok(Message::Close(frame)), None) => close = frame,
                (Err(Error::ConnectionClosed), Some(CloseFrame { code, reason })) => {
                    let (code, reason) = (code.into(), reason.to_string());
                    return Farewell::Closed { code, reason };
                }
                // The application's sign of life, which tungstenite answers.
                (Ok(Message::Ping(_)), None) => {}
                (Ok(message), close) => panic!("unexpected, after {close:?}: {message:?}"),
                (Err(Error::Io(error)), _) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("no farewell within {PATIENCE:?}")
                }
                (Err(error), close) => {
                    let error = format!("{error} (after {close:?})");
                    return Farewell::Cut { error };
                }
            }
        }
    }
}
