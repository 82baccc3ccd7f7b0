//! Where the Close of an announcement lands, and what becomes of clients that do not play along.

use rustix::process::Signal;

use crate::frame::{BINARY, CONTINUATION, Frame, PING, TEXT};
use crate::world::{World, leave};

#[test]
fn a_close_waits_for_the_end_of_a_frame() {
    let mut world = World::start();
    let message = Frame::text("x".repeat(200));
    let bytes = message.plain();
    let mut pairs = Vec::new();
    // The whole header, some of the payload, all of it but one byte.
    for sent in [4, 50, bytes.len() - 1] {
        let (mut client, mut backend) = world.pair();
        backend.send(&bytes[..sent]);
        let begun = client.take(sent);
        pairs.push((client, backend, begun, sent));
    }
    world.announce();
    for (mut client, mut backend, mut whole, sent) in pairs {
        backend.send(&bytes[sent..]);
        whole.extend(client.take(bytes.len() - sent));
        assert_eq!(whole, bytes);
        leave(&mut client, &mut backend);
    }
    let report = world.report();
    assert_eq!(report["told"], 4);
    assert_eq!(report["closed cleanly"], 4);
}

#[test]
fn a_close_never_lands_inside_a_header() {
    let mut world = World::start();
    let message = Frame::text("x".repeat(200));
    let bytes = message.plain();
    let mut pairs = Vec::new();
    for sent in 1..4 {
        let (client, mut backend) = world.pair();
        backend.send(&bytes[..sent]);
        pairs.push((client, backend, sent));
    }
    world.announce();
    for (_, backend, sent) in &mut pairs {
        backend.send(&bytes[*sent..]);
    }
    let mut late = 0;
    for (mut client, mut backend, _) in pairs {
        let first = client.frame();
        if first.as_ref() == Some(&message) {
            leave(&mut client, &mut backend);
            continue;
        }
        // The test took so long that the Close could not wait: it stands before the whole frame.
        let close = first.as_ref().and_then(Frame::close_code);
        assert_eq!(close.map(|(code, _)| code), Some(1012), "{first:?}");
        late += 1;
        client.say(&[Frame::close(1012, "")]);
        client.ended();
    }
    assert_eq!(world.report()["messages discarded"], late);
}

#[test]
fn a_close_waits_for_the_end_of_a_fragmented_message() {
    let mut world = World::start();
    let (mut client, mut backend) = world.pair();
    let begin = [Frame::more(TEXT, "so far ")];
    backend.say(&begin);
    client.hear(&begin);
    world.announce();
    let rest = [
        Frame::last(PING, "between"),
        Frame::more(CONTINUATION, "and "),
        Frame::last(CONTINUATION, "no further"),
    ];
    for frame in &rest {
        backend.say(std::slice::from_ref(frame));
        client.hear(std::slice::from_ref(frame));
    }
    leave(&mut client, &mut backend);
    assert_eq!(world.report()["closed cleanly"], 2);
}

#[test]
fn a_message_that_never_ends_gets_the_close_between_its_frames() {
    let mut world = World::restarting("deadline = \"2s\"\nclose_timeout = \"500ms\"");
    let (mut client, mut backend) = world.pair();
    let begun = [
        Frame::more(TEXT, "this "),
        Frame::more(CONTINUATION, "goes on "),
    ];
    backend.say(&begun);
    client.hear(&begun);
    world.batond.main().signal(Signal::TERM);
    assert_eq!(client.closed(), 1012);
    client.say(&[Frame::close(1012, "")]);
    client.ended();
    drop((client, backend));
    let report = world.report();
    assert_eq!((report["told"], report["cut"]), (1, 0));
}

#[test]
fn a_frame_that_never_ends_is_cut_at_the_deadline() {
    let mut world = World::restarting("deadline = \"1s\"\nclose_timeout = \"500ms\"");
    let half = &Frame::text("x".repeat(200)).plain()[..100];
    let (mut client, mut backend) = world.pair();
    backend.send(half);
    assert_eq!(client.take(half.len()), half);
    world.batond.main().signal(Signal::TERM);
    assert_eq!(client.take_all(), b"", "nothing is put into a frame");
    client.end();
    assert_eq!(backend.closed(), 1001);
    backend.ended();
    backend.end();
    let report = world.report();
    assert_eq!((report["told"], report["cut"]), (0, 1));
}

#[test]
fn what_the_client_sends_between_the_close_and_its_reply_reaches_the_backend() {
    let mut world = World::start();
    let pairs = [world.pair(), world.secure_pair()];
    world.announce();
    for (mut client, mut backend) in pairs {
        assert_eq!(client.closed(), 1012);
        let late = [
            Frame::text("one more"),
            Frame::more(TEXT, "and one "),
            Frame::last(CONTINUATION, "in pieces"),
            Frame::last(BINARY, vec![7; 1 << 20]),
        ];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                client.say(&late);
                client.say(&[Frame::close(1012, "bye")]);
            });
            backend.hear(&late);
        });
        assert_eq!(backend.closed(), 1001);
        backend.say(&[Frame::close(1001, "")]);
        backend.ended();
        backend.end();
        client.ended();
        client.end();
    }
    assert_eq!(world.report()["closed cleanly"], 3);
}

#[test]
fn what_the_backend_sends_after_the_close_is_counted_and_not_delivered() {
    let mut world = World::start();
    let (mut client, mut backend) = world.pair();
    world.announce();
    assert_eq!(client.closed(), 1012);
    backend.say(&[
        Frame::text("too late"),
        Frame::more(TEXT, "too "),
        Frame::last(PING, ""),
        Frame::last(CONTINUATION, "late"),
        Frame::last(BINARY, vec![7; 100_000]),
    ]);
    backend.send(&Frame::text("not even whole").plain()[..5]);
    client.say(&[Frame::close(1012, "")]);
    client.ended();
    client.end();
    assert_eq!(backend.closed(), 1001);
    backend.ended();
    backend.end();
    let report = world.report();
    assert_eq!(report["messages discarded"], 3);
    assert_eq!(report["closed cleanly"], 2);
}

#[test]
fn a_client_that_never_answers_is_timed_out() {
    let mut world = World::restarting("deadline = \"10m\"\nclose_timeout = \"100ms\"");
    let (mut client, mut backend) = world.pair();
    world.batond.main().signal(Signal::TERM);
    assert_eq!(client.closed(), 1012);
    client.ended();
    client.end();
    assert_eq!(backend.closed(), 1001);
    backend.ended();
    backend.end();
    let report = world.report();
    assert_eq!((report["told"], report["timed out"]), (1, 1));
}

#[test]
fn a_client_that_hangs_up_instead_of_answering_is_gone() {
    let mut world = World::start();
    let (mut orderly, backend_of_orderly) = world.pair();
    let (mut abrupt, backend_of_abrupt) = world.pair();
    world.announce();
    assert_eq!(orderly.closed(), 1012);
    orderly.end();
    assert_eq!(abrupt.closed(), 1012);
    abrupt.vanish();
    for mut backend in [backend_of_orderly, backend_of_abrupt] {
        backend.ended();
        backend.end();
    }
    let report = world.report();
    assert_eq!((report["told"], report["gone"]), (3, 2));
}

#[test]
fn a_second_sigterm_is_quick() {
    let mut world = World::start();
    let half = &Frame::text("x".repeat(200)).plain()[..100];
    let (mut client, mut backend) = world.pair();
    backend.send(half);
    assert_eq!(client.take(half.len()), half);
    world.announce();
    world.batond.main().signal(Signal::TERM);
    assert_eq!(client.take_all(), b"", "nothing is put into a frame");
    assert_eq!(world.report()["cut"], 1);
}

#[test]
fn a_client_that_closes_by_itself_during_a_drain_is_not_told() {
    let mut world = World::start();
    let half = &Frame::text("x".repeat(200)).plain()[..100];
    let (mut client, mut backend) = world.pair();
    backend.send(half);
    client.take(half.len());
    world.announce();
    client.say(&[Frame::close(4000, "leaving")]);
    backend.hear(&[Frame::close(4000, "leaving")]);
    backend.send(&Frame::text("x".repeat(200)).plain()[100..]);
    backend.say(&[Frame::close(4000, "")]);
    client.take(104);
    client.hear(&[Frame::close(4000, "")]);
    client.ended();
    client.end();
    backend.ended();
    backend.end();
    assert_eq!(world.report()["told"], 1);
}

#[test]
fn a_frame_that_trickles_for_ever_is_cut_at_the_deadline() {
    let mut world = World::restarting("deadline = \"1s\"\nclose_timeout = \"500ms\"");
    let (mut client, mut backend) = world.pair();
    // A header that announces 2^40 bytes.
    let header = [0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0];
    backend.send(header);
    assert_eq!(client.take(header.len()), header);
    std::thread::scope(|scope| {
        scope.spawn(move || while backend.try_send(&[7; 16]).is_ok() {});
        world.batond.main().signal(Signal::TERM);
        let rest = client.take_all();
        assert!(
            rest.iter().all(|byte| *byte == 7),
            "nothing is put into a frame"
        );
    });
    let report = world.report();
    assert_eq!(
        (report["told"], report["cut"], report["still open"]),
        (0, 1, 0)
    );
}
