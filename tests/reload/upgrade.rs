//! The handoff, asked for over the bus.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use crate::client::Client;
use crate::world::{SOFTWARE, TEMPFAIL, World, address, configuration, failed_with, succeeded};

#[test]
fn an_upgrade_returns_when_the_successor_serves_and_has_the_name() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    world.reload();
    for _ in 0..3 {
        let old = world.batond.main();
        let client = Client::open(listener);
        succeeded(&world.ctl(&["upgrade"]));
        // The successor has begun to count anew. There is no moment without a name.
        assert_eq!(world.status("generation"), 1);
        assert_eq!(client.farewell().0, 1012);
        assert_ne!(world.batond.main().pid(), old.pid());
        world.reload();
        Client::open(listener).echo("new");
        old.wait_gone();
        assert_eq!(world.status("generation"), 2);
    }
}

#[test]
fn a_successor_that_fails_is_the_answer() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let mut client = Client::open(listener);
    world.configure("[listener.ws]\naddres = \"nonsense\"\n");
    let said = failed_with(SOFTWARE, &world.ctl(&["upgrade"]));
    assert!(
        said.contains("listener.ws.addres: is not a known key"),
        "{said}"
    );
    client.echo("still");
    assert_eq!(world.status("phase"), "serving");
    assert_eq!(
        world.batond.notifications.mains().last().unwrap().pid(),
        world.batond.main().pid()
    );
}

#[test]
fn nothing_else_is_done_while_a_handoff_is_under_way() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let good = configuration(&[("ws", listener)], &world.backend);
    let config = world.batond.config();
    fs::remove_file(&config).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &config,
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let mut upgrade = world.ctl_command(&["upgrade"]);
    let upgrade = upgrade.stderr(Stdio::piped()).spawn().unwrap();
    // Opens when somebody reads it, who waits until something is in it: first this process, which
    // looks at the certificates that the successor would serve, then the successor.
    let open = || File::options().write(true).open(&config).unwrap();
    let mut own = open();
    for verb in ["reload", "upgrade"] {
        let said = failed_with(TEMPFAIL, &world.ctl(&[verb]));
        assert!(said.contains("under way"), "{said}");
    }
    assert_eq!(world.status("phase"), "handing-off");
    own.write_all(good.as_bytes()).unwrap();
    drop(own);
    world.batond.wait_for_log("starting a successor", 1);
    let mut successors = open();
    successors.write_all(good.as_bytes()).unwrap();
    drop(successors);
    succeeded(&upgrade.wait_with_output().unwrap());
    assert_eq!(world.status("phase"), "serving");
    Client::open(listener).echo("new");
}
