//! Without descriptors nobody can be let in; when there are some again, everybody who waited is.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::frame::Frame;
use crate::http::upgrade;
use crate::peer::Peer;
use crate::world::{HOST, World};

#[test]
fn accepting_goes_on_once_there_are_descriptors_again() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    let pid = world.batond.main().pid();
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("list descriptors")
        .count();
    let limit = Some(open as u64 + 4);
    let pid = Pid::from_raw(pid.cast_signed()).expect("a pid");
    let lowered = Rlimit {
        current: limit,
        maximum: limit,
    };
    prlimit(Some(pid), Resource::Nofile, lowered).expect("lower the limit");

    let mut silent: Vec<Peer> = Vec::new();
    while !world
        .batond
        .log()
        .contains("cannot accept connections for now")
    {
        assert!(silent.len() < 1000, "no limit was reached");
        silent.push(world.client());
        // Until the daemon has looked at it, or cannot.
        silent.last().expect("one").is_still();
    }
    let mut newcomer = world.client();
    newcomer.send(upgrade("/", HOST, ""));
    client.say(&[Frame::text("as ever")]);
    backend.hear(&[Frame::text("as ever")]);
    drop(silent);
    world.backend.switch("");
    assert_eq!(newcomer.message().status(), 101);
}
