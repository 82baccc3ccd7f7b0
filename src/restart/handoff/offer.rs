//! What the old process passes on, and the packets that it takes.

use std::os::fd::BorrowedFd;

use super::error::Cause;
use super::message::{ListenerName, MAX_BODY, MAX_DESCRIPTORS, MAX_NAME, Message};
use super::{MAX_LISTENERS, MAX_STATE};
use crate::edge::listener::OfferedSocket;

/// What a successor gets.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The listening sockets, at most [`MAX_LISTENERS`].
    pub listeners: &'a [OfferedSocket<'a>],
    /// Whatever else the successor should know, at most [`MAX_STATE`] bytes.
    pub state: &'a [u8],
}

/// One packet of an offer.
pub(super) struct Part<'a> {
    pub(super) message: Message,
    pub(super) sockets: Vec<BorrowedFd<'a>>,
}

impl<'a> Offer<'a> {
    /// The offer in packets: as many listeners in each as the kernel takes descriptors and as
    /// names fit.
    pub(super) fn parts(self) -> Result<Vec<Part<'a>>, Cause> {
        let Self { listeners, state } = self;
        if listeners.len() > MAX_LISTENERS {
            return Err(Cause::TooMuch(format!(
                "{} listeners are more than the {MAX_LISTENERS} that can be passed",
                listeners.len()
            )));
        }
        if state.len() > MAX_STATE {
            return Err(Cause::TooMuch(format!(
                "{} bytes of state are more than the {MAX_STATE} that can be passed",
                state.len()
            )));
        }
        let sizes = Message::Offer {
            listeners: listeners.len(),
            state: state.len(),
        };
        let mut parts = vec![Part {
            message: sizes,
            sockets: vec![],
        }];
        let mut rest = listeners;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest)?);
            parts.push(of_listeners(now));
            rest = later;
        }
        for chunk in state.chunks(MAX_BODY) {
            parts.push(Part {
                message: Message::State(chunk.to_vec()),
                sockets: vec![],
            });
        }
        Ok(parts)
    }
}

fn of_listeners<'a>(listeners: &[OfferedSocket<'a>]) -> Part<'a> {
    let names = listeners
        .iter()
        .map(|one| ListenerName {
            name: one.name.to_owned(),
            from_unit: one.from_unit,
        })
        .collect();
    let sockets = listeners.iter().map(|one| one.socket).collect();
    Part {
        message: Message::Listeners(names),
        sockets,
    }
}

/// How many of these go into the next packet, at least one.
fn fitting(listeners: &[OfferedSocket<'_>]) -> Result<usize, Cause> {
    let mut size = 0;
    for (count, listener) in listeners.iter().enumerate() {
        if listener.name.is_empty() || listener.name.len() > MAX_NAME {
            let name = listener.name;
            return Err(Cause::TooMuch(format!(
                "the name {name:?} has not 1 to {MAX_NAME} bytes"
            )));
        }
        // JSON makes a byte six bytes at most, and adds the names of the fields.
        size += 6 * listener.name.len() + 64;
        if count == MAX_DESCRIPTORS || size > MAX_BODY {
            return Ok(count);
        }
    }
    Ok(listeners.len())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::super::message::{MAX_BODY, Message, decode};
    use super::{Offer, OfferedSocket};

    /// The number of listeners in each packet of an offer of `count` listeners with this name.
    fn packets(count: usize, name: &str) -> Vec<usize> {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = OfferedSocket {
            name,
            socket: socket.as_fd(),
            from_unit: true,
        };
        let listeners = vec![listener; count];
        let parts = Offer {
            listeners: &listeners,
            state: b"",
        }
        .parts()
        .unwrap();
        parts[1..]
            .iter()
            .map(|part| {
                assert_eq!(decode(&part.message.encode()), Ok(part.message.clone()));
                assert_eq!(part.sockets.len(), part.message.descriptors());
                part.sockets.len()
            })
            .collect()
    }

    #[test]
    fn as_many_listeners_in_a_packet_as_fit() {
        assert!(packets(0, "ws").is_empty());
        assert_eq!(packets(253, "ws"), [253]);
        assert_eq!(packets(254, "ws"), [253, 1]);
        assert_eq!(packets(600, "ws"), [253, 253, 94]);
        // The worst that JSON can make of names.
        let worst = "\u{1}".repeat(255);
        let sizes = packets(100, &worst);
        assert_eq!(sizes.iter().sum::<usize>(), 100);
        assert!(sizes.len() > 1);
    }

    #[test]
    fn state_is_cut_into_packets() {
        let state = vec![7; 2 * MAX_BODY + 1];
        let parts = Offer {
            listeners: &[],
            state: &state,
        }
        .parts()
        .unwrap();
        let lengths: Vec<_> = parts[1..]
            .iter()
            .map(|part| match &part.message {
                Message::State(bytes) => bytes.len(),
                other => panic!("{}", other.name()),
            })
            .collect();
        assert_eq!(lengths, [MAX_BODY, MAX_BODY, 1]);
    }
}
