//! A look at what waits in a handoff's channel, which leaves it there.

use std::os::fd::OwnedFd;
use std::time::Instant;

use batond::restart::handoff::message::{self, HEADER, MAX_BODY, Message};
use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, RecvFlags, SocketType, recv, sockopt};

use crate::client::PATIENCE;
use crate::machine::{Process, wait};

/// What the process will read next from its end of the channel, once something is there.
///
/// No copy of the end is kept: the other side notices when the process dies.
pub(crate) fn unread(process: &Process) -> Message {
    let end = end(process);
    let mut readable = [PollFd::new(&end, PollFlags::IN)];
    assert!(
        wait(&mut readable, Instant::now() + PATIENCE).expect("wait for a message"),
        "nobody says anything to {process:?}"
    );
    let mut packet = vec![0; HEADER + MAX_BODY];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (_, length) = recv(&end, &mut packet[..], flags).expect("look into the channel");
    message::decode(&packet[..length]).expect("a message of a handoff")
}

/// A copy of the only socket of its kind that batond has.
fn end(process: &Process) -> OwnedFd {
    let is_channel = |socket: &OwnedFd| {
        sockopt::socket_domain(socket) == Ok(AddressFamily::UNIX)
            && sockopt::socket_type(socket) == Ok(SocketType::SEQPACKET)
    };
    let mut ends = process.descriptors("socket");
    ends.retain(is_channel);
    assert_eq!(ends.len(), 1, "the channels of {process:?}");
    ends.remove(0)
}
