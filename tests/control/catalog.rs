use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use batond::control::message_id;

use crate::rerun;

const CATALOG: &str = include_str!("../../packaging/batond.catalog");

/// Headers and text by id (systemd's CATALOG document).
fn entries() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let entries: Vec<_> = CATALOG.split("\n-- ").skip(1).collect();
    let by_id: BTreeMap<_, _> = entries
        .iter()
        .map(|entry| {
            let (id, rest) = entry.split_once('\n').unwrap();
            (
                id,
                rest.split_once("\n\n")
                    .unwrap_or_else(|| panic!("{id} has no text")),
            )
        })
        .collect();
    assert_eq!(by_id.len(), entries.len(), "an id has two entries");
    by_id
}

#[test]
fn every_event_has_an_id_of_its_own() {
    let ids: BTreeSet<_> = message_id::ALL.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(ids.len(), message_id::ALL.len());
    for (name, id) in message_id::ALL {
        let id = id.as_str();
        assert_eq!(id.len(), 32, "{name}");
        assert!(
            id.bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')),
            "{name}"
        );
    }
}

#[test]
fn every_event_is_explained_and_nothing_else() {
    let entries = entries();
    for (name, id) in message_id::ALL {
        assert!(
            entries.contains_key(id.as_str()),
            "{name} is not in the catalog"
        );
    }
    let known: BTreeSet<_> = message_id::ALL.iter().map(|(_, id)| id.as_str()).collect();
    for (id, (headers, text)) in entries {
        assert!(
            known.contains(id),
            "the catalog explains {id}, which no event has"
        );
        let names: Vec<_> = headers
            .lines()
            .map(|line| line.split(": ").next().unwrap())
            .collect();
        assert_eq!(names, ["Subject", "Defined-By", "Support"], "{id}");
        assert!(
            headers.ends_with("Defined-By: batond\nSupport: man:batond(8)"),
            "{id}"
        );
        assert!(
            text.trim().lines().count() >= 3,
            "{id}: what happened, and what to do?"
        );
    }
}

/// One broken file fails the update of the whole catalog, of all packages.
#[test]
fn systemd_accepts_the_catalog() {
    if Command::new("journalctl")
        .arg("--version")
        .output()
        .is_err()
    {
        return rerun::skip("systemd_accepts_the_catalog", "no journalctl here");
    }
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("batond.catalog"), CATALOG).unwrap();
    let journalctl = |verb: &str| {
        let mut command = Command::new("journalctl");
        command
            .arg(verb)
            .arg("--root")
            .arg(root.path())
            .env("SYSTEMD_LOG_LEVEL", "warning");
        rerun::succeed(command)
    };

    let update = journalctl("--update-catalog");
    assert_eq!(String::from_utf8_lossy(&update.stderr), "");
    let list = String::from_utf8(journalctl("--list-catalog").stdout).unwrap();
    let listed: BTreeSet<_> = list
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let known: BTreeSet<_> = message_id::ALL.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(listed, known);
}
