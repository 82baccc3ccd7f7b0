//! Waiting for an entry of a unit's journal.

use std::io::{BufRead, BufReader};

use batond::control::message_id::MessageId;
use serde_json::Value;

use crate::machine::{Machine, Process};

/// The first entry of the unit since the boot that is as wanted, waited for if need be.
///
/// # Panics
///
/// If there is none after a minute and a half.
pub(crate) fn await_entry(machine: &Machine, unit: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let follow = ["journalctl", "--follow", "--lines=all", "--output=json"];
    let mut follower = machine.background(&[&follow[..], &["--all", "--unit", unit]].concat());
    let lines = BufReader::new(follower.stdout.take().expect("a pipe from journalctl"));
    let mut entries = lines
        .lines()
        .map_while(Result::ok)
        .map(|line| serde_json::from_str::<Value>(&line).expect("journalctl writes JSON"));
    let found = entries.find(|entry| wanted(entry));
    let _ = follower.kill();
    let _ = follower.wait();
    found.unwrap_or_else(|| panic!("{unit} never logs what is waited for"))
}

/// The first entry of a kind that a process of batond has written.
pub(crate) fn await_event(machine: &Machine, process: &Process, kind: MessageId) -> Value {
    let pid = process
        .inner_pid()
        .expect("a process that runs")
        .to_string();
    await_entry(machine, "batond", |entry| {
        entry["MESSAGE_ID"] == kind.as_str() && entry["_PID"] == pid.as_str()
    })
}
