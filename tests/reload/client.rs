//! A WebSocket client, over whatever stream.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::support::PATIENCE;

pub(crate) struct Client<S>(WebSocket<S>);

impl Client<TcpStream> {
    /// Connects and upgrades.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    pub(crate) fn try_open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::upgrade(stream, "ws://localhost/")
    }
}

impl<S: Read + Write + Debug> Client<S> {
    pub(crate) fn upgrade(stream: S, url: &str) -> Result<Self, String> {
        match tungstenite::client(url, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(error) => Err(format!("upgrade: {error}")),
        }
    }

    /// Sends a message and expects it back.
    pub(crate) fn echo(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
        assert_eq!(self.0.read().unwrap(), Message::text(text));
    }

    /// Waits for the server's Close, answers it, and waits for the end. Gives code and reason.
    pub(crate) fn farewell(mut self) -> (u16, String) {
        let close = match self.0.read().unwrap() {
            Message::Close(Some(close)) => (close.code.into(), close.reason.to_string()),
            other => panic!("no Close: {other:?}"),
        };
        let end = self.0.read().unwrap_err();
        assert!(
            matches!(end, tungstenite::Error::ConnectionClosed),
            "no clean end: {end}"
        );
        close
    }

    /// Closes, and waits for the end.
    pub(crate) fn leave(mut self) -> Result<(), String> {
        self.0.close(None).map_err(|error| error.to_string())?;
        loop {
            match self.0.read() {
                Ok(_) => {}
                Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
                Err(error) => return Err(format!("close: {error}")),
            }
        }
    }

    pub(crate) fn stream(&self) -> &S {
        self.0.get_ref()
    }
}
