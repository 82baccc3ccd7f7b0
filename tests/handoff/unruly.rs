//! Processes that do not keep to the protocol, and what they need to speak it badly.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode};

use batond::daemon::inherited::take_channel;
use batond::restart::handoff::message::{Message, VERSION, decode, packet};
use rustix::net::{RecvFlags, SendFlags};

use crate::link::Link;

/// Successors that speak for themselves.
pub(crate) fn successor(link: &Link, channel: &OwnedFd, conduct: &str) {
    let say = |bytes: &[u8]| send(channel, bytes);
    let hello = Message::Hello {
        version: "raw".into(),
    }
    .encode();
    match conduct {
        "says hello and no more" => {
            say(&hello);
            link.pause("said hello");
        }
        "is killed by the commit" => {
            say(&hello);
            hear_until(channel, "Offer");
            say(&Message::Ready.encode());
            hear_until(channel, "Commit");
            link.pause("heard commit");
        }
        "another version" => say(&packet(VERSION + 98, 2, b"{\"version\":\"99\"}")),
        "garbage" => say(b"GET / HTTP/1.1\r\n\r\n"),
        "a header only" => say(&packet(VERSION, 2, b"")[..8]),
        "too long" => say(&packet(VERSION, 5, &[7; 70_000])),
        "no JSON" => say(&packet(VERSION, 2, b"hello")),
        "an unknown kind" => say(&packet(VERSION, 77, b"")),
        "ready first" => say(&Message::Ready.encode()),
        "hello twice" => {
            say(&hello);
            say(&hello);
        }
        "hello with a descriptor" => send_with(channel, &hello, &[channel]),
        "commits itself" => {
            say(&hello);
            say(&Message::Commit.encode());
        }
        other => panic!("no such conduct: {other}"),
    }
    loop {
        match hear(channel) {
            Some(Message::Refused { reason }) => return link.say(&format!("refused {reason}")),
            Some(_) => {}
            None => return,
        }
    }
}

/// The channel in the hands of a child of the successor.
#[expect(
    clippy::zombie_processes,
    reason = "one conduct is to leave the child behind"
)]
pub(crate) fn with_stand_in(fd: &str, switchboard: &str, conduct: &str) -> ExitCode {
    let mut stand_in = Command::new(std::env::current_exe().unwrap())
        .args(["stand-in", fd, switchboard, conduct])
        .spawn()
        .unwrap();
    if conduct == "leaves another behind" {
        return ExitCode::SUCCESS;
    }
    stand_in.wait().unwrap();
    ExitCode::SUCCESS
}

/// `stand-in FD SWITCHBOARD CONDUCT`
pub(crate) fn stand_in(args: Vec<String>) -> ExitCode {
    let [fd, switchboard, conduct] = args.try_into().unwrap();
    let link = Link::to(&switchboard);
    let channel = take_channel(fd.parse().unwrap()).unwrap();
    if conduct == "leaves another behind" {
        link.pause("standing in");
        return ExitCode::SUCCESS;
    }
    let version = "stand-in".into();
    send(&channel, &Message::Hello { version }.encode());
    // Until it is refused.
    while let Some(message) = hear(&channel) {
        link.say(message.name());
    }
    ExitCode::SUCCESS
}

/// Sends one packet.
pub(crate) fn send(channel: &OwnedFd, packet: &[u8]) {
    rustix::net::send(channel, packet, SendFlags::NOSIGNAL).unwrap();
}

/// Sends one packet with descriptors.
pub(crate) fn send_with(channel: &OwnedFd, packet: &[u8], descriptors: &[&OwnedFd]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    let descriptors: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let bytes = [std::io::IoSlice::new(packet)];
    sendmsg(channel, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
}

/// The next message without its descriptors; none when the other end is closed.
pub(crate) fn hear(channel: &OwnedFd) -> Option<Message> {
    let mut buffer = vec![0; 1 << 17];
    match rustix::net::recv(channel, &mut buffer[..], RecvFlags::empty()) {
        Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => None,
        Ok((length, _)) => Some(decode(&buffer[..length]).unwrap()),
        Err(error) => panic!("recv: {error}"),
    }
}

/// Waits for a message of this name.
fn hear_until(channel: &OwnedFd, name: &str) {
    while hear(channel).expect("the other end is open").name() != name {}
}
