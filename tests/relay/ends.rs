//! How connections end: Closes pass untouched, nobody is left without one where one can be placed,
//! and what was whole has arrived before the end.

use crate::frame::{CLOSE, Frame, TEXT};
use crate::peer::Peer;
use crate::world::{Plan, World};

fn closes() -> [Frame; 6] {
    [
        Frame::close(1000, "done"),
        Frame::close(1001, ""),
        Frame::close(3000, "who are you? 🦀"),
        Frame::close(4999, &"x".repeat(123)),
        Frame::close(1012, "the application's own restart"),
        Frame::last(CLOSE, ""),
    ]
}

/// One side closes, the other answers: both Closes arrive byte for byte, then both ends.
fn close_in_order(first: &mut Peer, second: &mut Peer, frame: &Frame, first_masks: bool) {
    let bytes = frame.bytes(first_masks);
    first.send(&bytes);
    assert_eq!(second.take(bytes.len()), bytes);
    let bytes = frame.bytes(!first_masks);
    second.send(&bytes);
    assert_eq!(first.take(bytes.len()), bytes);
    first.ended();
    second.ended();
    first.end();
    second.end();
}

#[test]
fn an_ordinary_close_passes_untouched_from_either_side() {
    let world = World::start();
    for frame in closes() {
        for (mut client, mut backend) in [world.pair(), world.secure_pair()] {
            close_in_order(&mut client, &mut backend, &frame, true);
        }
        for (mut client, mut backend) in [world.pair(), world.secure_pair()] {
            close_in_order(&mut backend, &mut client, &frame, false);
        }
    }
}

#[test]
fn closes_that_cross_each_other_both_pass() {
    let world = World::start();
    let (mut client, mut backend) = world.secure_pair();
    client.say(&[Frame::close(4001, "mine")]);
    backend.say(&[Frame::close(4002, "yours")]);
    backend.hear(&[Frame::close(4001, "mine")]);
    client.hear(&[Frame::close(4002, "yours")]);
    client.ended();
    backend.ended();
}

#[test]
fn a_backend_that_is_gone_between_frames_is_told_as_lost() {
    for (lines, code) in [("", 1014), ("lost_code = 1011", 1011)] {
        let world = Plan::new().restart(lines).start();
        for (mut client, mut backend) in [world.pair(), world.secure_pair()] {
            backend.say(&[Frame::text("the last words")]);
            backend.end();
            client.hear(&[Frame::text("the last words")]);
            assert_eq!(client.closed(), code);
            client.say(&[Frame::close(code, "")]);
            client.ended();
        }
        let (mut client, mut backend) = world.pair();
        backend.say(&[Frame::text("the last words")]);
        client.hear(&[Frame::text("the last words")]);
        backend.vanish();
        assert_eq!(client.closed(), code);
    }
}

#[test]
fn a_backend_that_is_gone_inside_a_message_is_told_as_lost() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    backend.say(&[Frame::more(TEXT, "to be ")]);
    backend.end();
    client.hear(&[Frame::more(TEXT, "to be ")]);
    assert_eq!(client.closed(), 1014);
}

#[test]
fn a_backend_that_is_gone_inside_a_header_is_told_as_lost() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    backend.say(&[Frame::text("whole")]);
    backend.send(&Frame::text("x".repeat(200)).plain()[..3]);
    backend.end();
    client.hear(&[Frame::text("whole")]);
    assert_eq!(client.closed(), 1014);
}

#[test]
fn a_backend_that_is_gone_inside_a_frame_gets_nothing_put_into_it() {
    let world = World::start();
    for (mut client, mut backend) in [world.pair(), world.secure_pair()] {
        let bytes = Frame::text("x".repeat(200)).plain();
        backend.send(&bytes[..100]);
        backend.end();
        assert_eq!(client.take_all(), &bytes[..100]);
        client.end();
        backend.ended();
    }
}

#[test]
fn a_client_that_is_gone_leaves_its_whole_messages_and_an_end() {
    let world = World::start();
    let said = [
        Frame::text("first"),
        Frame::last(2, vec![7; 300_000]),
        Frame::text("last"),
    ];
    for (mut client, mut backend) in [world.pair(), world.secure_pair()] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                client.say(&said);
                client.end();
            });
            backend.hear(&said);
        });
        backend.ended();
        backend.end();
    }
    let (mut client, mut backend) = world.pair();
    client.say(&said[..1]);
    backend.hear(&said[..1]);
    client.vanish();
    backend.ended();
}

#[test]
fn a_client_that_is_gone_inside_a_frame_leaves_what_it_sent() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    let bytes = Frame::text("x".repeat(200)).masked();
    client.send(&bytes[..100]);
    client.end();
    assert_eq!(backend.take_all(), &bytes[..100]);
}

#[test]
fn a_client_whose_close_the_backend_answers_with_its_end_still_gets_an_answer() {
    let world = World::start();
    let (mut client, mut backend) = world.secure_pair();
    client.say(&[Frame::close(4000, "bye")]);
    backend.hear(&[Frame::close(4000, "bye")]);
    backend.end();
    assert_eq!(client.closed(), 4000);
    client.ended();
}

#[test]
fn a_client_whose_close_the_backend_never_answers_still_gets_an_answer() {
    let world = World::restarting("close_timeout = \"100ms\"");
    let (mut client, mut backend) = world.pair();
    client.say(&[Frame::close(4000, "bye")]);
    backend.hear(&[Frame::close(4000, "bye")]);
    assert_eq!(client.closed(), 4000);
    client.ended();
    backend.ended();
}

#[test]
fn a_backend_whose_close_the_client_never_answers_gets_an_answer() {
    let world = World::restarting("close_timeout = \"100ms\"");
    let (mut client, mut backend) = world.pair();
    backend.say(&[Frame::close(4000, "bye")]);
    client.hear(&[Frame::close(4000, "bye")]);
    backend.closed();
    backend.ended();
    client.ended();
}

#[test]
fn a_backend_that_ends_inside_a_frame_after_a_close_gets_nothing_put_into_it() {
    let world = World::restarting("close_timeout = \"100ms\"");
    let bytes = Frame::text("x".repeat(200)).plain();
    for ends in [true, false] {
        let (mut client, mut backend) = world.pair();
        client.say(&[Frame::close(4000, "bye")]);
        backend.hear(&[Frame::close(4000, "bye")]);
        backend.send(&bytes[..100]);
        if ends {
            backend.end();
        }
        assert_eq!(client.take_all(), &bytes[..100]);
    }
}
