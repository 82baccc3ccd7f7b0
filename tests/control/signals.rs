use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use batond::control::signals::Signals;
use rustix::process::{Pid, Signal, kill_process};

use crate::rerun;

/// In a process of its own, since a signal meets all of it.
#[test]
fn each_signal_becomes_its_request() {
    const NAME: &str = "signals::each_signal_becomes_its_request";
    if rerun::role().is_some() {
        return listen();
    }
    let mut listener = Listener(
        rerun::command(NAME, "listener")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let pid = Pid::from_child(&listener.0);
    let stdout = listener.0.stdout.take().unwrap();
    let mut lines = BufReader::new(stdout).lines().map(Result::unwrap);
    lines.find(|line| line == "listening").unwrap();
    for (signal, request) in [
        (Signal::HUP, "Reload"),
        (Signal::USR2, "HandOff"),
        (Signal::INT, "Terminate"),
        (Signal::TERM, "Terminate"),
        (Signal::TERM, "Terminate"),
    ] {
        kill_process(pid, signal).unwrap();
        assert_eq!(lines.next().as_deref(), Some(request));
    }
    assert!(listener.0.wait().unwrap().success());
}

/// Does not outlive a test that failed.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listen() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut signals = Signals::new().unwrap();
        println!("\nlistening");
        for _ in 0..5 {
            println!("{:?}", signals.recv().await);
            std::io::stdout().flush().unwrap();
        }
    });
}
