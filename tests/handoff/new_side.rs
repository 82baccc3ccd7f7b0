//! What the new process makes of predecessors that do not keep to the protocol. The predecessor
//! is the other end of a socketpair here.

use std::os::fd::OwnedFd;
use std::time::Duration;

use batond::restart::handoff::message::{DecodeError, ListenerName, Message, VERSION, packet};
use batond::restart::handoff::{
    Cause, HandoffError, MAX_LISTENERS, Outcome, Predecessor, Step, receive,
};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};

use crate::LONG;
use crate::unruly::{hear, send, send_with};

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap()
}

/// What `receive` makes of these packets, and the end that they were sent from. The error of
/// every failure is told to the predecessor if it is about what it sent.
async fn outcome_of(packets: &[Vec<u8>]) -> (HandoffError, OwnedFd) {
    let (old, new) = pair();
    packets.iter().for_each(|packet| send(&old, packet));
    let error = receive(new, LONG).await.map(|_| ()).unwrap_err();
    assert!(matches!(hear(&old), Some(Message::Hello { .. })));
    (error, old)
}

fn told(old: &OwnedFd) -> String {
    match hear(old) {
        Some(Message::Refused { reason }) => reason,
        other => panic!("it was told {other:?}"),
    }
}

fn offer(listeners: usize, state: usize) -> Vec<u8> {
    Message::Offer { listeners, state }.encode()
}

fn names(count: usize) -> Vec<u8> {
    let name = ListenerName {
        name: "ws".into(),
        from_unit: false,
    };
    Message::Listeners(vec![name; count]).encode()
}

pub(crate) async fn another_version_is_refused_by_the_successor() {
    let (error, old) = outcome_of(&[packet(VERSION + 1, 3, b"{}")]).await;
    assert!(
        matches!(error.cause, Cause::Malformed(DecodeError::Version(2))),
        "{error}"
    );
    assert_eq!(
        told(&old),
        "the other process speaks version 2 of the handoff protocol, this one version 1"
    );
}

pub(crate) async fn what_is_not_an_offer_is_refused_and_its_descriptors_closed() {
    let cases: [(Vec<Vec<u8>>, usize, &str); 10] = [
        (vec![b"garbage".to_vec()], 1, "too short"),
        (vec![Message::Ready.encode()], 0, "out of turn"),
        (
            vec![offer(MAX_LISTENERS + 1, 0)],
            0,
            "more than this version takes",
        ),
        (
            vec![offer(0, usize::MAX)],
            0,
            "more than this version takes",
        ),
        (vec![offer(1, 0)], 1, "1 descriptors instead of 0"),
        (vec![offer(2, 0), names(2)], 1, "1 descriptors instead of 2"),
        (vec![offer(2, 0), names(2)], 3, "3 descriptors instead of 2"),
        (
            vec![offer(1, 0), names(2)],
            2,
            "more came than was announced",
        ),
        (
            vec![offer(1, 0), Message::State(vec![1]).encode()],
            0,
            "out of turn",
        ),
        (
            vec![offer(0, 1), Message::State(vec![1, 2]).encode()],
            0,
            "more came than",
        ),
    ];
    for (packets, count, text) in cases {
        let (old, new) = pair();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (last, before) = packets.split_last().unwrap();
        before.iter().for_each(|packet| send(&old, packet));
        if count == 0 {
            send(&old, last);
        } else {
            send_with(&old, last, &vec![&writer; count]);
        }
        drop(writer);
        let error = receive(new, LONG).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(matches!(hear(&old), Some(Message::Hello { .. })));
        assert_eq!(told(&old), error.cause.to_string());
        // Nobody holds the other end of the pipe any more.
        assert_eq!(rustix::io::read(&reader, &mut [0; 1][..]), Ok(0), "{text}");
    }
}

pub(crate) async fn an_offer_that_breaks_off_is_an_error() {
    for packets in [
        vec![],
        vec![offer(2, 0)],
        vec![offer(0, 9), Message::State(vec![1]).encode()],
    ] {
        let (old, new) = pair();
        packets.iter().for_each(|packet| send(&old, packet));
        drop(old);
        let error = receive(new, LONG).await.map(|_| ()).unwrap_err();
        assert_eq!(error.step, Step::Offer);
        assert!(matches!(error.cause, Cause::Ended), "{error}");
    }
}

pub(crate) async fn a_silent_predecessor_is_not_waited_for_forever() {
    let (_old, new) = pair();
    let error = receive(new, Duration::from_millis(1))
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error.cause, Cause::TimedOut(_)), "{error}");
}

pub(crate) async fn a_refusal_is_passed_on_with_its_reason() {
    let reason = b"{\"reason\":\"too young\",\"and\":\"more\"}";
    // Of whatever version: kind 8 is the one that never changes.
    let (error, _old) = outcome_of(&[packet(VERSION + 7, 8, reason)]).await;
    assert!(
        error
            .to_string()
            .ends_with("the other process refuses: too young"),
        "{error}"
    );
    let (error, _old) = outcome_of(&[Message::Abandon.encode()]).await;
    assert!(matches!(error.cause, Cause::Abandoned), "{error}");
}

pub(crate) async fn only_a_channel_is_a_channel() {
    let (_old, new) = std::os::unix::net::UnixStream::pair().unwrap();
    let error = receive(new.into(), LONG).await.map(|_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the descriptor is not a handoff channel"),
        "{error}"
    );
}

pub(crate) async fn garbage_instead_of_the_commit_is_no_commit() {
    for last in [b"garbage".to_vec(), Message::Ready.encode()] {
        let (mut predecessor, old) = received().await;
        predecessor.ready().await.unwrap();
        send(&old, &last);
        assert_eq!(predecessor.committed().await, Outcome::Abandoned);
    }
}

/// A successor that has received an empty offer, and the other end of its channel.
async fn received() -> (Predecessor, OwnedFd) {
    let (old, new) = pair();
    send(&old, &offer(0, 0));
    let (predecessor, _) = receive(new, LONG).await.unwrap();
    assert!(matches!(hear(&old), Some(Message::Hello { .. })));
    (predecessor, old)
}

pub(crate) async fn what_the_predecessor_said_last_decides_who_serves() {
    let cases = [
        (None, Outcome::PredecessorGone),
        (Some(Message::Commit), Outcome::Committed),
        (Some(Message::Abandon), Outcome::Abandoned),
    ];
    for (last, outcome) in cases {
        // It ends before it hears that the successor is ready.
        let (mut predecessor, old) = received().await;
        last.iter().for_each(|last| send(&old, &last.encode()));
        drop(old);
        predecessor.ready().await.unwrap();
        assert_eq!(predecessor.committed().await, outcome, "{last:?}");

        // It ends after that.
        let (mut predecessor, old) = received().await;
        predecessor.ready().await.unwrap();
        last.iter().for_each(|last| send(&old, &last.encode()));
        drop(old);
        assert_eq!(predecessor.committed().await, outcome, "{last:?}");
    }
}

pub(crate) async fn the_predecessor_is_told_when_somebody_accepts_and_not_before() {
    let (mut predecessor, old) = received().await;
    predecessor.ready().await.unwrap();
    assert_eq!(hear(&old), Some(Message::Ready));
    send(&old, &Message::Commit.encode());
    assert_eq!(predecessor.committed().await, Outcome::Committed);
    let mut nothing = [0; 1];
    let heard = rustix::net::recv(&old, &mut nothing[..], RecvFlags::DONTWAIT);
    assert!(matches!(heard, Err(rustix::io::Errno::AGAIN)));
    predecessor.accepting().await;
    assert_eq!(hear(&old), Some(Message::Accepting));
}

pub(crate) async fn the_predecessor_is_known_by_its_id() {
    let (predecessor, _old) = received().await;
    assert_eq!(predecessor.pid(), rustix::process::getpid());
}
