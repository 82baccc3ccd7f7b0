//! What may not stand on the wire does not pass, whoever sent it: the offender gets 1002, the
//! other side learns that something went wrong, and what was whole before it arrives.

use crate::frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, TEXT};
use crate::peer::Peer;
use crate::world::{Plan, World};

const FORBIDDEN: [u16; 9] = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000];

/// Frames that no side may send without an extension, with what the log says about them.
fn illegal() -> Vec<(Vec<Frame>, &'static str)> {
    let reserved = |first: u8| {
        vec![Frame {
            first,
            payload: b"?".to_vec(),
        }]
    };
    let mut bad_reason = Frame::close(1000, "");
    bad_reason.payload.push(0xff);
    vec![
        (vec![Frame::last(CLOSE, [3])], "half a close code"),
        (vec![bad_reason], "not UTF-8"),
        (reserved(0x83), "opcode 3 is reserved"),
        (reserved(0x8b), "opcode 11 is reserved"),
        (reserved(0xc1), "a reserved bit is set"),
        (reserved(0x91), "a reserved bit is set"),
        (
            vec![Frame::last(PING, vec![0; 126])],
            "longer than 125 bytes",
        ),
        (vec![Frame::more(PING, "")], "a control frame is fragmented"),
        (vec![Frame::last(CONTINUATION, "?")], "continues no message"),
        (
            vec![Frame::more(TEXT, "one"), Frame::last(BINARY, "two")],
            "inside a fragmented one",
        ),
    ]
}

/// Waits until the daemon has said it.
fn is_told(world: &World, side: &str, what: &str) {
    let line = format!("service.app: the {side} was closed with 1002: ");
    world.batond.wait_for_log(&line, 1);
    world.batond.wait_for_log(what, 1);
}

/// The backend breaks the rules with these bytes, after a whole message.
fn backend_offends(pair: (Peer, Peer), bytes: &[u8], passed: &[Frame], lost_code: u16) {
    let (mut client, mut backend) = pair;
    let mut all = Frame::text("in order").plain();
    all.extend_from_slice(bytes);
    backend.send(all);
    client.hear(&[Frame::text("in order")]);
    client.hear(passed);
    assert_eq!(client.closed(), lost_code);
    assert_eq!(backend.closed(), 1002);
    client.say(&[Frame::close(lost_code, "")]);
    client.ended();
    client.end();
    backend.ended();
    backend.end();
}

/// The client does.
fn client_offends(pair: (Peer, Peer), bytes: &[u8], passed: &[Frame]) {
    let (mut client, mut backend) = pair;
    let mut all = Frame::text("in order").masked();
    all.extend_from_slice(bytes);
    client.send(all);
    backend.hear(&[Frame::text("in order")]);
    backend.hear(passed);
    assert_eq!(backend.closed(), 1011);
    assert_eq!(client.closed(), 1002);
    client.ended();
    client.end();
    backend.ended();
    backend.end();
}

fn bytes(frames: &[Frame], masked: bool) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|frame| frame.bytes(masked))
        .collect()
}

/// Of what is illegal, the frames before the last are not.
fn before_the_last(frames: &[Frame]) -> &[Frame] {
    &frames[..frames.len() - 1]
}

#[test]
fn a_forbidden_code_from_the_backend_does_not_pass() {
    let world = World::start();
    for code in FORBIDDEN {
        let close = Frame::close(code, "").plain();
        backend_offends(world.pair(), &close, &[], 1014);
        is_told(&world, "backend", &format!("close code {code} "));
    }
}

#[test]
fn a_forbidden_code_from_a_client_does_not_pass() {
    let world = World::start();
    for code in FORBIDDEN {
        client_offends(world.pair(), &Frame::close(code, "").masked(), &[]);
        is_told(&world, "client", &format!("close code {code} "));
    }
}

#[test]
fn an_illegal_frame_from_the_backend_does_not_pass() {
    let world = Plan::new().restart("lost_code = 1011").start();
    for (frames, what) in illegal() {
        let bytes = bytes(&frames, false);
        backend_offends(world.pair(), &bytes, before_the_last(&frames), 1011);
        is_told(&world, "backend", what);
    }
    backend_offends(world.pair(), &Frame::text("masked").masked(), &[], 1011);
    is_told(&world, "backend", "is masked");
}

#[test]
fn an_illegal_frame_from_a_client_does_not_pass() {
    let world = World::start();
    for (frames, what) in illegal() {
        let bytes = bytes(&frames, true);
        client_offends(world.pair(), &bytes, before_the_last(&frames));
        client_offends(world.secure_pair(), &bytes, before_the_last(&frames));
        is_told(&world, "client", what);
    }
    client_offends(world.pair(), &Frame::text("bare").plain(), &[]);
    is_told(&world, "client", "is not masked");
}

#[test]
fn an_illegal_frame_that_comes_byte_by_byte_does_not_pass() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    for byte in Frame::close(1006, "gone").plain() {
        backend.send([byte]);
    }
    assert_eq!(client.closed(), 1014);
    assert_eq!(backend.closed(), 1002);
    let (mut client, mut backend) = world.pair();
    for byte in Frame::close(1006, "gone").masked() {
        client.send([byte]);
    }
    assert_eq!(client.closed(), 1002);
    assert_eq!(backend.closed(), 1011);
}

#[test]
fn what_an_extension_may_mean_passes() {
    let world = World::start();
    let more = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut client, mut backend) = world.join(world.client(), more);
    let deflated = [
        Frame {
            first: 0xc1,
            payload: vec![0xca, 0x48],
        },
        Frame {
            first: 0x41,
            payload: vec![0xcd],
        },
        Frame {
            first: 0x80,
            payload: vec![0xc9, 0xc9, 0x07, 0x00],
        },
        Frame {
            first: 0xb3,
            payload: b"a reserved opcode".to_vec(),
        },
    ];
    client.say(&deflated);
    backend.hear(&deflated);
    backend.say(&deflated);
    client.hear(&deflated);
    // A Close is still judged.
    backend.say(&[Frame::close(1015, "")]);
    assert_eq!(client.closed(), 1014);
    assert_eq!(backend.closed(), 1002);
}
