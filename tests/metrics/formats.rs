//! Both formats, as those who read them see them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::client::Client;
use crate::scrape::{OPEN_METRICS, here, judged_by, scrape};
use crate::world::{World, address, configuration};

#[test]
fn every_parser_likes_the_page() {
    let (listener, metrics) = (address(), address());
    let backend = batond::demo::backend::Backend::start().unwrap();
    let text = configuration(&[("ws", listener)], &backend);
    let world = World::start(
        &format!("{text}[metrics]\nlisten = \"{metrics}\"\n"),
        backend,
    );
    let mut client = Client::open(listener);
    client.echo("counted");
    // A problem, whose words come from outside.
    world.configure("[listener.ws]\naddress = \"no \\\"address\\\"\"\n");
    assert!(!world.ctl(&["reload"]).status.success());

    let open = scrape(metrics, OPEN_METRICS);
    assert!(
        open.head
            .contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        open.head
    );
    let python = here().join("target/metrics/venv/bin/python");
    let script = here().join("tests/metrics/parse.py");
    let parsed = judged_by(Command::new(python).arg(script), &open.body);
    let parsed: Vec<(String, Value, f64)> = serde_json::from_str(&parsed).unwrap();
    let names: BTreeSet<&str> = parsed.iter().map(|(name, ..)| name.as_str()).collect();
    assert!(names.contains("batond_clients"), "{names:?}");
    assert!(names.contains("batond_problem"), "{names:?}");

    // Who does not ask for OpenMetrics gets what came before, which promtool reads.
    let classic = scrape(metrics, "*/*");
    assert!(
        classic
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        classic.head
    );
    judged_by(
        Command::new("promtool").args(["check", "metrics"]),
        &classic.body,
    );
    let classic: BTreeSet<&str> = classic
        .body
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    assert_eq!(classic, names);
    // Nothing that a client brought along is a label.
    let told = [
        "service",
        "direction",
        "peer",
        "reason",
        "result",
        "code",
        "backend",
        "kind",
    ];
    let known: BTreeSet<&str> = ["certificate", "limit", "outcome", "phase", "problem"]
        .into_iter()
        .chain(["severity", "subject", "version"])
        .chain(told)
        .collect();
    for (name, labels, _) in &parsed {
        for label in labels.as_object().unwrap().keys() {
            assert!(
                known.contains(label.as_str()),
                "{name} has the label {label}"
            );
        }
    }
}
