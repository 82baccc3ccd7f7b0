//! The socketpair between two processes: packets with descriptors.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sockopt,
};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::Cause;
use super::message::{DecodeError, HEADER, MAX_BODY, MAX_DESCRIPTORS, Message, decode};

/// One end of the socketpair.
#[derive(Debug)]
pub(super) struct Channel {
    fd: AsyncFd<OwnedFd>,
}

/// A message with what came along.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) message: Message,
    /// As many as belong to the message.
    pub(super) descriptors: Vec<OwnedFd>,
    /// Who sent it, as the kernel attests, on an end that asked for it.
    pub(super) sender: Option<Pid>,
}

/// A new socketpair: the end of the old process, which learns who sends, and the other one.
pub(super) fn pair() -> io::Result<(Channel, OwnedFd)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_passcred(&ours, true)?;
    Ok((
        Channel {
            fd: watched(ours, BOTH)?,
        },
        theirs,
    ))
}

impl Channel {
    /// The end that a successor inherited. Call it within a tokio runtime.
    pub(super) fn inherited(fd: OwnedFd) -> io::Result<Self> {
        is_channel(&fd)?;
        Ok(Self {
            fd: watched(fd, BOTH)?,
        })
    }

    /// Sends a message, when there is room for it.
    pub(super) async fn send(
        &self,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let packet = message.encode();
        self.fd
            .async_io(Interest::WRITABLE, |fd| send(fd, &packet, descriptors))
            .await
    }

    /// Sends a message if there is room for it now.
    pub(super) fn try_send(&self, message: &Message) -> io::Result<()> {
        send(&self.fd, &message.encode(), &[])
    }

    /// The next message.
    pub(super) async fn receive(&self) -> Result<Received, Cause> {
        checked(self.fd.async_io(Interest::READABLE, receive).await)
    }

    /// The next message, if it is here already.
    pub(super) fn try_receive(&self) -> Option<Result<Received, Cause>> {
        match receive(self.fd.get_ref()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            outcome => Some(checked(outcome)),
        }
    }

    /// The process that made the socketpair.
    pub(super) fn maker(&self) -> io::Result<Pid> {
        Ok(sockopt::socket_peercred(&self.fd)?.pid)
    }
}

/// Whether a descriptor can be the end of a channel.
pub(super) fn is_channel(fd: impl AsFd) -> io::Result<()> {
    let is_one = sockopt::socket_domain(&fd)? == AddressFamily::UNIX
        && sockopt::socket_type(&fd)? == SocketType::SEQPACKET;
    if is_one {
        Ok(())
    } else {
        Err(io::Error::new(
            ErrorKind::InvalidInput,
            "the descriptor is not a handoff channel",
        ))
    }
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Has the runtime watch a descriptor.
#[expect(
    deprecated,
    reason = "it warns of types whose descriptor may be closed while it is watched, which an \
              OwnedFd rules out; what takes its place is unsafe"
)]
pub(super) fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

/// Sends one packet without waiting.
pub(super) fn send(fd: impl AsFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "too many descriptors for a message",
        ));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match rustix::net::sendmsg(&fd, &[IoSlice::new(packet)], &mut control, flags) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A packet as it came.
struct Packet {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    sender: Option<Pid>,
    flags: ReturnFlags,
}

/// Receives one packet without waiting. None of its bytes: the other end is closed.
fn receive(fd: &OwnedFd) -> io::Result<Packet> {
    // One byte more than a message may have, to notice one that is longer.
    let mut bytes = vec![0; HEADER + MAX_BODY + 1];
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = loop {
        let mut buffer = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(fd, &mut buffer, &mut control, flags) {
            Ok(received) => break received,
            // The other end was closed before it had read everything. The kernel says so once
            // and ahead of what the other end had still sent, so ask again.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let mut descriptors = Vec::new();
    let mut sender = None;
    for item in control.drain() {
        match item {
            RecvAncillaryMessage::ScmRights(passed) => descriptors.extend(passed),
            RecvAncillaryMessage::ScmCredentials(of) => sender = Some(of.pid),
            _ => {}
        }
    }
    bytes.truncate(received.bytes);
    Ok(Packet {
        bytes,
        descriptors,
        sender,
        flags: received.flags,
    })
}

/// A packet as a message. If it is none, its descriptors are closed here.
fn checked(outcome: io::Result<Packet>) -> Result<Received, Cause> {
    let packet = outcome.map_err(Cause::Io)?;
    if packet.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Cause::DescriptorsLost);
    }
    if packet.flags.contains(ReturnFlags::TRUNC) {
        return Err(DecodeError::Oversized.into());
    }
    if packet.bytes.is_empty() {
        return Err(Cause::Ended);
    }
    let message = decode(&packet.bytes)?;
    let (expected, found) = (message.descriptors(), packet.descriptors.len());
    if found != expected {
        return Err(DecodeError::Descriptors { expected, found }.into());
    }
    Ok(Received {
        message,
        descriptors: packet.descriptors,
        sender: packet.sender,
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use super::{Cause, Channel, pair, send};
    use crate::restart::handoff::message::Message;

    #[tokio::test]
    async fn the_last_words_of_an_end_that_did_not_listen_are_heard() {
        let (ours, theirs) = pair().unwrap();
        ours.send(&Message::Commit, &[]).await.unwrap();
        let last = Message::Failed {
            reason: "no".into(),
        };
        send(&theirs, &last.encode(), &[]).unwrap();
        // With something unread, closing resets.
        drop(theirs);
        assert_eq!(ours.receive().await.unwrap().message, last);
        assert!(matches!(ours.receive().await, Err(Cause::Ended)));
    }

    #[tokio::test]
    async fn the_sender_is_known() {
        let (ours, theirs) = pair().unwrap();
        send(&theirs, &Message::Ready.encode(), &[]).unwrap();
        let received = ours.receive().await.unwrap();
        assert_eq!(received.sender, Some(rustix::process::getpid()));
    }

    #[tokio::test]
    async fn what_is_here_already_is_received_without_waiting() {
        let (ours, theirs) = pair().unwrap();
        assert!(ours.try_receive().is_none());
        send(&theirs, &Message::Ready.encode(), &[]).unwrap();
        let received = ours.try_receive().unwrap().unwrap();
        assert_eq!(received.message, Message::Ready);
    }

    #[tokio::test]
    async fn received_descriptors_are_close_on_exec() {
        let (ours, theirs) = pair().unwrap();
        let pidfd = std::fs::File::open("/dev/null").unwrap();
        send(
            &theirs,
            &Message::Launched { pid: 1 }.encode(),
            &[pidfd.as_fd()],
        )
        .unwrap();
        let descriptors = ours.receive().await.unwrap().descriptors;
        let flags = rustix::io::fcntl_getfd(&descriptors[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[tokio::test]
    async fn a_stream_socket_is_not_a_channel() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(Channel::inherited(OwnedFd::from(one)).is_err());
    }
}
