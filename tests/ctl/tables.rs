//! What a person reads.

use crate::client::Client;
use crate::tell::{json, rich_world, said};
use crate::world::{World, address};

/// The columns of a table's line: two blanks or more are between them.
fn columns(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .collect()
}

#[test]
fn services_and_clients_are_listed() {
    let (world, plain, _folder) = rich_world();
    let _clients = [Client::open(plain), Client::open(plain)];
    while json(&world, &["services", "chat"])[0]["clients"] != 2 {}

    let text = said(&world, &["services"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(
        columns(lines[0]),
        [
            "SERVICE",
            "CLIENTS",
            "LISTENERS",
            "HOSTS",
            "PATHS",
            "BACKENDS"
        ]
    );
    assert_eq!(columns(lines[1])[..3], ["chat", "2", "wss ws"]);
    assert!(lines[1].ends_with("(chat.service)"), "{text}");
    assert_eq!(
        columns(lines[2]),
        [
            "echo",
            "0",
            "wss ws",
            "localhost.example.org",
            "/echo",
            "127.0.0.1:9"
        ]
    );
    // Columns stand under each other.
    let place = lines[0].find("LISTENERS").unwrap();
    assert!(
        lines[1..]
            .iter()
            .all(|line| line[place..].starts_with("wss ws")),
        "{text}"
    );

    let text = said(&world, &["clients", "chat"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.lines()
            .nth(1)
            .unwrap()
            .starts_with("chat     ws        127."),
        "{text}"
    );
    let text = said(&world, &["clients", "--limit", "1"]);
    assert!(
        text.ends_with("and 1 more, 2 altogether (see --limit)\n"),
        "{text}"
    );
    assert_eq!(said(&world, &["clients", "echo"]), "no clients\n");
}

#[test]
fn certificates_are_listed_with_their_state_and_end() {
    let (world, _, _folder) = rich_world();
    let text = said(&world, &["certificates"]);
    let line = text.lines().nth(1).unwrap();
    let columns = columns(line);
    // The last of the 90 days may be over by a moment.
    assert!(["in 89 days", "in 90 days"].contains(&columns[3]), "{text}");
    // Nobody has heard of who issued it.
    assert_eq!(columns[..2], ["example", "failing"]);
    // It was not looked at yet, or just now.
    assert!(["not yet", "good"].contains(&columns[2]), "{text}");
    assert_eq!(columns[4..6], ["chat.example.org *.example.org", "wss"]);
}

#[test]
fn what_will_become_of_certificates_is_listed() {
    let (world, _, _folder) = rich_world();
    let text = said(&world, &["certificates", "example", "--forecast"]);
    let (head, rows) = text.split_once('\n').unwrap();
    assert_eq!(
        columns(head),
        ["CERTIFICATE", "WHEN", "SEVERITY", "WHAT"],
        "{text}"
    );
    let end = columns(rows.lines().last().unwrap());
    // The last of the 90 days may be over by a moment.
    assert!(["in 89 days", "in 90 days"].contains(&end[1]), "{text}");
    assert_eq!((end[0], end[2]), ("example", "critical"), "{text}");
    assert!(end[3].contains(": every client of "), "{text}");

    let plain = World::with(&[("ws", address())]);
    assert_eq!(
        said(&plain, &["certificates", "--forecast"]),
        "nothing is foretold\n"
    );
}

#[test]
fn jobs_and_problems_are_listed() {
    let world = World::with(&[("ws", address())]);
    assert_eq!(
        said(&world, &["jobs"]),
        "no jobs since batond was started\n"
    );
    assert_eq!(said(&world, &["problems"]), "no problems\n");
    world.reload();
    world.configure("nonsense");
    assert!(!world.ctl(&["reload"]).status.success());
    let text = said(&world, &["jobs"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(columns(lines[1])[..3], ["1", "reload", "done"]);
    assert_eq!(columns(lines[2])[..3], ["2", "reload", "failed"]);
    assert!(lines[1].ends_with("configuration 2 is in use"), "{text}");
    let text = said(&world, &["problems"]);
    assert!(text.starts_with("warning reload-failed, for "), "{text}");
    assert!(
        text.lines()
            .nth(1)
            .unwrap()
            .starts_with("    correct the configuration"),
        "{text}"
    );
    // The status has it all.
    let text = said(&world, &["status"]);
    for part in [
        "phase       serving",
        "generation  2",
        "SERVICE",
        "warning reload-failed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
