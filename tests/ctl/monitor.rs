//! `batonctl monitor` tells what happens, while it happens.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::client::Client;
use crate::world::{World, address, configuration};

/// Ends with this value.
struct Monitor {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Monitor {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let mut command = world.ctl_command(&[&["monitor"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// The next event of this kind; others are passed over.
    fn event(&mut self, event: &str) -> Value {
        loop {
            let line: Value = serde_json::from_str(&self.line()).unwrap();
            let time = line["time"].as_str().unwrap();
            assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
            if line["event"] == event {
                return line;
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn what_happens_is_told_while_it_happens() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let mut monitor = Monitor::start(&world, &["--json"]);
    let present = monitor.event("present");
    assert_eq!(present["phase"], "serving");
    assert_eq!(present["generation"], 1);
    world.reload();
    let job = monitor.event("job-new");
    assert_eq!((&job["id"], &job["kind"]), (&1.into(), &"reload".into()));
    let end = monitor.event("job-removed");
    assert_eq!((&end["id"], &end["result"]), (&1.into(), &"done".into()));
    let good = configuration(&[("ws", listener)], &world.backend);
    world.configure("nonsense");
    assert!(!world.ctl(&["reload"]).status.success());
    let problem = monitor.event("problem-raised");
    assert_eq!(problem["name"], "reload-failed");
    assert_eq!(problem["severity"], "warning");
    world.configure(&good);
    world.reload();
    assert_eq!(monitor.event("problem-cleared")["name"], "reload-failed");

    // A successor is batond as well.
    let client = Client::open(listener);
    assert!(world.ctl(&["upgrade"]).status.success());
    assert_eq!(monitor.event("changed")["phase"], "handing-off");
    assert_eq!(
        monitor.event("job-progress")["state"],
        "starting the successor"
    );
    assert_eq!(monitor.event("present")["generation"], 1);
    assert_eq!(client.farewell().0, 1012);
    world.batond.main().signal(rustix::process::Signal::TERM);
    monitor.event("absent");
}

#[test]
fn a_person_gets_a_sentence() {
    let world = World::with(&[("ws", address())]);
    let mut monitor = Monitor::start(&world, &[]);
    let line = monitor.line();
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
    assert!(rest.starts_with("present: "), "{line}");
    world.reload();
    let line = monitor.line();
    assert!(line.contains(" job-new: id 1, kind reload"), "{line}");
}
