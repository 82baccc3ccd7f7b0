//! `batond demo` as a person runs it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use batond::demo::folder::Folder;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// `batond demo`, whose temporary files go into a folder of the test's own.
struct Demo {
    temporary: Folder,
    child: Child,
}

impl Demo {
    fn run(options: &[&str]) -> Self {
        let temporary = Folder::new().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_batond"))
            .arg("demo")
            .args(options)
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { temporary, child }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn files_left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.temporary.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_promises_hold_and_the_report_says_so() {
    let mut demo = Demo::run(&["--clients", "40", "--json"]);
    let mut text = String::new();
    let mut stdout = demo.child.stdout.take().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    let status = demo.child.wait().unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["broken"], serde_json::json!([]), "{report:#}");
    assert!(status.success(), "{status}");
    for number in ["clients", "told", "closed_cleanly", "back"] {
        assert_eq!(report[number], 40, "{number}");
    }
    assert!(report["newcomers"]["connections"].as_u64().unwrap() > 0);
    assert!(report["messages"]["echoed"].as_u64().unwrap() >= 80);
    assert_eq!(demo.files_left(), Vec::<PathBuf>::new());
}

#[test]
fn an_interrupted_demo_leaves_no_process_and_no_file() {
    let mut demo = Demo::run(&["--clients", "5"]);
    let mut lines = BufReader::new(demo.child.stdout.take().unwrap()).lines();
    let daemon = lines.find_map(|line| process_in(&line.unwrap())).unwrap();
    assert_eq!(test_kill_process(daemon), Ok(()));
    kill_process(demo.pid(), Signal::INT).unwrap();
    let status = demo.child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(!Path::new(&format!("/proc/{}", daemon.as_raw_nonzero())).exists());
    assert_eq!(demo.files_left(), Vec::<PathBuf>::new());
}

/// The number in "… (process 4711)".
fn process_in(line: &str) -> Option<Pid> {
    let (_, rest) = line.split_once("(process ")?;
    Pid::from_raw(rest.strip_suffix(')')?.parse().ok()?)
}

#[test]
fn more_clients_than_descriptors_allow_are_refused_with_the_way_out() {
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg("ulimit -S -n 300 && exec \"$0\" demo --clients 200")
        .arg(env!("CARGO_BIN_EXE_batond"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        "batond demo: 300 descriptors are allowed, enough for 90 clients and not for 200 \
         (`ulimit -n 520` allows more, `--clients 90` asks for fewer)\n"
    );
}
