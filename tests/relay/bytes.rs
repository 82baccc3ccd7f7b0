//! What is legal passes byte for byte: any fragmentation, any form of a length, however it is cut
//! on the way, also when it comes together with the handshake.

use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::frame::{BINARY, CONTINUATION, Frame, Length, PING, TEXT};
use crate::http::{switching, upgrade};
use crate::peer::Peer;
use crate::world::{Backend, HOST, Plan, World};

const PONG: u8 = 0xa;

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        8 => 0..130_usize,
        1 => 65_530..65_540_usize,
        1 => 0..100_000_usize,
    ];
    (size, any::<u8>()).prop_map(|(size, seed)| {
        (0..size)
            .map(|i| (i as u8).wrapping_mul(31) ^ seed)
            .collect()
    })
}

fn control() -> impl Strategy<Value = Frame> {
    (
        prop_oneof![Just(PING), Just(PONG)],
        vec(any::<u8>(), 0..=125),
    )
        .prop_map(|(opcode, payload)| Frame::last(opcode, payload))
}

/// A message in one to three frames, with control frames among them.
fn message() -> impl Strategy<Value = Vec<Frame>> {
    let opcode = prop_oneof![Just(TEXT), Just(BINARY)];
    let parts = vec((payload(), vec(control(), 0..2)), 1..4);
    (opcode, parts).prop_map(|(opcode, parts)| {
        let last = parts.len() - 1;
        let parts = parts.into_iter().enumerate();
        parts
            .flat_map(|(place, (payload, mut controls))| {
                let opcode = if place == 0 { opcode } else { CONTINUATION };
                let frame = if place == last {
                    Frame::last(opcode, payload)
                } else {
                    Frame::more(opcode, payload)
                };
                controls.push(frame);
                controls
            })
            .collect()
    })
}

/// What one side sends, and the sizes of the pieces in which it does.
fn stream(masked: bool) -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let length = prop_oneof![
        4 => Just(Length::Shortest),
        1 => Just(Length::Medium),
        1 => Just(Length::Long),
    ];
    let frames = vec(message(), 0..5).prop_map(|messages| messages.concat());
    let frames = frames.prop_flat_map(move |frames| {
        let count = frames.len();
        (Just(frames), vec((any::<[u8; 4]>(), length.clone()), count))
    });
    let bytes = frames.prop_map(move |(frames, forms)| {
        let encoded = frames.iter().zip(forms).map(|(frame, (key, length))| {
            // The first byte of a ping stays what it is, so its length has the short form.
            let length = if frame.first & 8 == 0 {
                length
            } else {
                Length::Shortest
            };
            frame.encode(masked.then_some(key), length)
        });
        encoded.collect::<Vec<_>>().concat()
    });
    (bytes, vec(prop_oneof![1..4_usize, 1..40_000_usize], 1..8))
}

/// Sends the bytes in pieces of these sizes, over and over; the small ones not for ever.
fn send_in_pieces(peer: &mut Peer, mut bytes: &[u8], sizes: &[usize]) {
    for size in sizes.iter().cycle().take(500) {
        let (piece, rest) = bytes.split_at(bytes.len().min(*size));
        peer.send(piece);
        bytes = rest;
    }
    peer.send(bytes);
}

/// Bytes to send, and the sizes of the pieces.
type Pieces = (Vec<u8>, Vec<usize>);

/// Both send at once and then read. The buffers on the way hold all of it.
fn cross(client: &mut Peer, backend: &mut Peer, up: &Pieces, down: &Pieces) {
    fn exchange(peer: &mut Peer, (mine, sizes): &Pieces, other: usize) -> Vec<u8> {
        send_in_pieces(peer, mine, sizes);
        peer.take(other)
    }

    thread::scope(|scope| {
        let at_client = scope.spawn(|| exchange(client, up, down.0.len()));
        let at_backend = scope.spawn(|| exchange(backend, down, up.0.len()));
        let at_client = at_client.join().expect("the client");
        let at_backend = at_backend.join().expect("the backend");
        assert!(at_client == down.0, "other bytes from the backend");
        assert!(at_backend == up.0, "other bytes from the client");
    });
}

#[test]
fn any_legal_frames_pass_byte_for_byte() {
    let world = World::start();
    let config = Config {
        cases: 24,
        max_shrink_iters: 50,
        failure_persistence: None,
        ..Config::default()
    };
    let streams = (stream(true), stream(false), any::<bool>());
    let result = TestRunner::new(config).run(&streams, |(up, down, secure)| {
        let (mut client, mut backend) = if secure {
            world.secure_pair()
        } else {
            world.pair()
        };
        cross(&mut client, &mut backend, &up, &down);
        client.end();
        backend.ended();
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn a_unix_socket_carries_the_same_bytes() {
    let directory = tempfile::tempdir().expect("make a directory");
    let backend = Backend::unix(&directory.path().join("app.sock"));
    let world = Plan::new().backend(backend).start();
    let (mut client, mut backend) = world.secure_pair();
    let message = |masked| Frame::last(BINARY, vec![7; 1 << 20]).bytes(masked);
    let (up, down) = (
        (message(true), vec![100_000]),
        (message(false), vec![70_000]),
    );
    cross(&mut client, &mut backend, &up, &down);
    backend.say(&[Frame::close(1000, "")]);
    client.hear(&[Frame::close(1000, "")]);
    client.say(&[Frame::close(1000, "")]);
    backend.hear(&[Frame::close(1000, "")]);
    client.ended();
    backend.ended();
}

#[test]
fn frames_that_come_with_the_handshake_are_not_lost() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        let early = [Frame::text("too eager"), Frame::last(PING, "?")];
        let mut bytes = upgrade("/", HOST, "").into_bytes();
        bytes.extend(early.iter().flat_map(Frame::masked));
        bytes.extend(&Frame::text("cut here").masked()[..3]);
        client.send(bytes);
        let mut backend = world.backend.accept();
        backend.message();
        let mut bytes = switching("").into_bytes();
        bytes.extend(early.iter().flat_map(Frame::plain));
        bytes.extend(&Frame::text("cut here").plain()[..1]);
        backend.send(bytes);
        assert_eq!(client.message().status(), 101);
        client.send(&Frame::text("cut here").masked()[3..]);
        backend.send(&Frame::text("cut here").plain()[1..]);
        for peer in [&mut client, &mut backend] {
            peer.hear(&early);
            peer.hear(&[Frame::text("cut here")]);
        }
    }
}

#[test]
fn a_lot_that_comes_with_the_handshake_is_not_lost() {
    let world = Plan::new().limits("header_bytes = \"1MiB\"").start();
    let early = Frame::last(BINARY, vec![7; 400_000]);
    let padding = format!("Cookie: {}\r\n", "x".repeat(400_000));
    for mut client in [world.client(), world.secure_client()] {
        let mut backend = thread::scope(|scope| {
            scope.spawn(|| {
                let mut bytes = upgrade("/", HOST, &padding).into_bytes();
                bytes.extend(early.masked());
                client.send(bytes);
            });
            let mut backend = world.backend.accept();
            backend.message();
            let mut bytes = switching("").into_bytes();
            bytes.extend(early.plain());
            backend.send(bytes);
            backend
        });
        assert_eq!(client.message().status(), 101);
        client.hear(std::slice::from_ref(&early));
        backend.hear(std::slice::from_ref(&early));
    }
}
