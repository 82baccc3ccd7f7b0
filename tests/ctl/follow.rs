//! A command returns when its job has ended, with what came of it.

use rustix::process::Signal;

use crate::client::Client;
use crate::tell::said;
use crate::world::{CONFIG, SOFTWARE, UNAVAILABLE, World, address, failed_with};

#[test]
fn each_step_is_a_line_where_there_is_no_terminal() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    assert_eq!(
        said(&world, &["reload"]),
        "reload: configuration 2 is in use\n"
    );
    let client = Client::open(listener);
    let output = world.ctl(&["upgrade"]);
    let steps = String::from_utf8(output.stderr).unwrap();
    assert!(
        steps.starts_with("upgrade: starting the successor\n"),
        "{steps}"
    );
    let end = String::from_utf8(output.stdout).unwrap();
    let successor = world.batond.main().pid();
    assert_eq!(end, format!("upgrade: process {successor} serves\n"));
    assert_eq!(client.farewell().0, 1012);
}

#[test]
fn a_job_that_fails_is_an_exit_code_and_a_reason() {
    let world = World::with(&[("ws", address())]);
    world.configure("[listener.ws]\naddres = \"nonsense\"\n");
    let text = failed_with(CONFIG, &world.ctl(&["reload"]));
    assert!(
        text.contains("listener.ws.addres: is not a known key"),
        "{text}"
    );
    assert!(text.contains("nothing has changed"), "{text}");
    let text = failed_with(SOFTWARE, &world.ctl(&["upgrade"]));
    assert!(text.contains("no upgrade: "), "{text}");
}

/// It reads the configuration from a pipe, and dies there.
#[test]
fn a_daemon_that_dies_does_not_leave_the_caller_waiting() {
    let world = World::with(&[("ws", address())]);
    let config = world.batond.config();
    std::fs::remove_file(&config).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &config, kind, mode, 0).unwrap();
    let mut reload = world.ctl_command(&["reload"]);
    let reload = reload.stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Opens when the daemon reads it.
    let _writer = std::fs::File::options().write(true).open(&config).unwrap();
    world.batond.main().signal(Signal::KILL);
    let text = failed_with(UNAVAILABLE, &reload.wait_with_output().unwrap());
    assert!(text.contains("batond went away before"), "{text}");
}
