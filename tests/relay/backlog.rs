//! Slow readers: what they have not taken yet is bounded, and nothing of it is lost.

use std::fs;
use std::net::SocketAddr;
use std::thread;

use rustix::process::Signal;

use crate::frame::{BINARY, Frame};
use crate::peer::Peer;
use crate::world::{World, leave};

/// More than all buffers on the way hold; nobody may take that much for a peer that does not read.
const FAR_TOO_MUCH: usize = 64 << 20;

/// A stream of messages, each with its number in it.
fn numbered(count: u32, masked: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    for number in 0..count {
        let payload = number.to_be_bytes().repeat(1 << 10);
        stream.extend(Frame::last(BINARY, payload).bytes(masked));
    }
    stream
}

/// The number in a message.
fn number(frame: &Frame) -> u32 {
    let first = frame.payload.first_chunk().expect("a number");
    u32::from_be_bytes(*first)
}

/// The daemon's memory, in bytes (proc_pid_status(5)).
fn resident(world: &World) -> usize {
    let path = format!("/proc/{}/status", world.batond.main().pid());
    let status = fs::read_to_string(path).expect("the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let amount = line.and_then(|line| line.trim().strip_suffix(" kB"));
    amount.expect("VmRSS").parse::<usize>().expect("a number") << 10
}

/// How much of what this socket was given has not reached the other end's kernel
/// (`tx_queue` in proc_pid_net_tcp(5)).
fn not_delivered(local: SocketAddr, peer: SocketAddr) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => format!(
            "{:08X}:{:04X}",
            u32::from_le_bytes(v4.ip().octets()),
            v4.port()
        ),
        SocketAddr::V6(_) => panic!("{address} is in another table"),
    };
    let wanted = [hex(local), hex(peer)];
    let row = table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        (columns.get(1..3)? == wanted).then(|| columns[4].to_owned())
    });
    let queues = row.expect("the socket is in the table");
    let (sending, _) = queues.split_once(':').expect("two queues");
    usize::from_str_radix(sending, 16).expect("a number")
}

#[test]
fn a_client_that_never_reads_blocks_its_backend_and_costs_little() {
    let world = World::start();
    for (mut client, mut backend) in [world.pair(), world.secure_pair()] {
        let stream = numbered(1 << 8, false);
        let before = resident(&world);
        let taken = backend.stuff(&stream, FAR_TOO_MUCH);
        assert!(taken < FAR_TOO_MUCH, "everything was taken for nobody");
        let grown = resident(&world).saturating_sub(before);
        assert!(grown < FAR_TOO_MUCH / 8, "{grown} bytes of memory");
        assert_arrives(&mut client, &stream, taken);
    }
}

#[test]
fn a_backend_that_never_reads_blocks_its_client_and_costs_little() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    let stream = numbered(1 << 8, true);
    let before = resident(&world);
    let taken = client.stuff(&stream, FAR_TOO_MUCH);
    assert!(taken < FAR_TOO_MUCH, "everything was taken for nobody");
    let grown = resident(&world).saturating_sub(before);
    assert!(grown < FAR_TOO_MUCH / 8, "{grown} bytes of memory");
    assert_arrives(&mut backend, &stream, taken);
}

/// What was taken arrives: copies of the stream, the last one cut somewhere. Bytes that may be the
/// beginning of a header are kept until it is whole.
fn assert_arrives(reader: &mut Peer, stream: &[u8], taken: usize) {
    let mut left = taken.saturating_sub(14);
    while left > 0 {
        let part = left.min(stream.len());
        assert!(reader.take(part) == stream[..part], "other bytes");
        left -= part;
    }
}

#[test]
fn all_that_came_before_the_close_is_delivered_before_it_however_slow_the_client_reads() {
    let mut world = World::start();
    let (mut slow, mut its_backend) = world.pair();
    let stream = numbered(1 << 14, false);
    let taken = its_backend.stuff(&stream, stream.len());
    let peer = its_backend.socket().peer_addr().expect("connected");
    let here = taken - not_delivered(its_backend.address(), peer);
    let whole = here / Frame::last(BINARY, vec![0; 4 << 10]).plain().len();

    // One that is never quiet is told once there has been time enough for quiet.
    let (mut busy, mut its_other_end) = world.pair();
    world.batond.main().signal(Signal::TERM);
    let word = [Frame::text("and")];
    let close = loop {
        its_other_end.say(&word);
        match busy.frame() {
            Some(frame) if frame == word[0] => {}
            other => break other,
        }
    };
    assert_eq!(
        close.expect("a Close").close_code().map(|(code, _)| code),
        Some(1012)
    );
    busy.end();

    thread::scope(|scope| {
        let rest = &stream[taken..];
        // Goes on until batond takes no more.
        scope.spawn(move || {
            drop(its_backend.try_send(rest));
            its_backend.end();
            while its_backend.frame().is_some() {}
        });
        let mut next = 0;
        let close = loop {
            let frame = slow.frame().expect("a frame");
            if frame.close_code().is_some() {
                break frame;
            }
            assert_eq!(number(&frame), next, "the messages come in order");
            next += 1;
        };
        assert!(
            next as usize >= whole,
            "{whole} had come, and {next} were delivered"
        );
        assert_eq!(close.close_code().map(|(code, _)| code), Some(1012));
        slow.say(&[Frame::close(1012, "")]);
        slow.ended();
        slow.end();
    });
    world.report();
}

#[test]
fn a_client_that_has_not_read_yet_gets_all_before_the_close() {
    let mut world = World::start();
    let (mut client, mut backend) = world.secure_pair();
    let said: Vec<Frame> = (0..100)
        .map(|n| Frame::text(format!("{n} {:10000}", "")))
        .collect();
    backend.say(&said);
    world.announce();
    client.hear(&said);
    leave(&mut client, &mut backend);
    assert_eq!(world.report()["messages discarded"], 0);
}

#[test]
fn a_client_whose_bytes_nobody_takes_is_closed_without_a_reset() {
    closed_without_a_reset(World::pair);
}

#[test]
fn a_client_whose_bytes_nobody_takes_is_closed_without_a_reset_over_tls() {
    closed_without_a_reset(World::secure_pair);
}

fn closed_without_a_reset(pair: fn(&World) -> (Peer, Peer)) {
    let mut world = World::restarting("close_timeout = \"100ms\"");
    let (mut client, _backend) = pair(&world);
    let taken = client.stuff(&numbered(1 << 8, true), FAR_TOO_MUCH);
    assert!(taken < FAR_TOO_MUCH, "everything was taken for nobody");
    world.batond.main().signal(Signal::TERM);
    assert_eq!(client.closed(), 1012);
    client.ended();
    // A reset after the end would show as an error on its socket.
    assert!(world.batond.exit_status().success());
    let error = client.socket().take_error().expect("the socket's error");
    assert!(error.is_none(), "{error:?}");
}
