//! Clients who come one after another whatever happens, and how it went for each of them.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::{Error, Message, client};

use crate::client::{PATIENCE, Uninterrupted};
use crate::machine::Machine;

/// Between two newcomers.
const PACE: Duration = Duration::from_millis(25);

/// Newcomers who go on coming until they are told to stop.
pub(crate) struct Newcomers {
    go_on: Sender<Infallible>,
    doorman: JoinHandle<Vec<JoinHandle<Fate>>>,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A WebSocket that echoes.
    Served,
    /// Sent away with a Close before the echo came.
    SentAway(u16),
    /// Connected, and then cut off: who had accepted it has died.
    Cut(String),
    /// Not connected, answered by something else than an upgrade, or not answered at all.
    Refused(String),
}

impl Newcomers {
    /// From now on a newcomer connects to the port every 25 ms, upgrades, wants one echo, and
    /// leaves.
    pub(crate) fn arrive(machine: &Machine, port: u16) -> Self {
        let network = machine.network().expect("open the machine's network");
        let (go_on, enough) = mpsc::channel();
        let doorman = thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(network.as_fd(), kind).expect("enter the network");
            let mut visits = Vec::new();
            while enough.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
                visits.push(thread::spawn(move || match connected {
                    Ok(stream) => visit(stream),
                    Err(error) => Fate::Refused(format!("connect: {error}")),
                }));
            }
            visits
        });
        Self { go_on, doorman }
    }

    /// No more come. Waits until each has got an answer.
    pub(crate) fn fates(self) -> Vec<Fate> {
        drop(self.go_on);
        let visits = self.doorman.join().expect("the connecting thread");
        let fates = visits
            .into_iter()
            .map(|visit| visit.join().expect("a newcomer"));
        fates.collect()
    }
}

fn visit(stream: TcpStream) -> Fate {
    let refused = |what: &dyn std::fmt::Display| Fate::Refused(format!("upgrade: {what}"));
    if let Err(error) = stream.set_read_timeout(Some(PATIENCE)) {
        return refused(&error);
    }
    let mut socket = match client("ws://localhost/", Uninterrupted(stream)) {
        Ok((socket, _)) => socket,
        Err(HandshakeError::Failure(error @ Error::Http(_))) => return refused(&error),
        Err(HandshakeError::Failure(error)) => return ended("upgrading", error),
        Err(error) => return refused(&error),
    };
    let hello = Message::text("hello");
    if let Err(error) = socket.send(hello.clone()) {
        return ended("sending", error);
    }
    match socket.read() {
        Ok(echo) if echo == hello => {
            // As a client that leaves, and not one that is lost.
            let _ = socket.close(None);
            while socket.read().is_ok() {}
            Fate::Served
        }
        Ok(Message::Close(Some(frame))) => Fate::SentAway(frame.code.into()),
        Ok(other) => Fate::Cut(format!("sent {other:?}")),
        Err(error) => ended("reading", error),
    }
}

fn ended(doing: &str, error: Error) -> Fate {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Fate::Refused(format!("no answer within {PATIENCE:?}"))
        }
        error => Fate::Cut(format!("{doing}: {error}")),
    }
}
