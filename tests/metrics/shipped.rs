//! What is shipped beside the daemon speaks of metrics that there are, and of all of them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use batond::demo::backend::Backend;
use serde_json::Value;

use crate::scrape::{here, judged_by, scrape};
use crate::world::{World, address, configuration};

/// Every metric, also those of which there is nothing now, with the names of its labels where
/// there is something.
fn served() -> BTreeSet<String> {
    let (listener, metrics) = (address(), address());
    let backend = Backend::start().unwrap();
    let text = configuration(&[("ws", listener)], &backend);
    let text = format!("{text}[metrics]\nlisten = \"{metrics}\"\n");
    let _world = World::start(&text, backend);
    let page = scrape(metrics, "text/plain").body;
    let names = page.lines().filter_map(|line| {
        let rest = line.strip_prefix("# TYPE ")?;
        Some(rest.split(' ').next()?.to_owned())
    });
    names.collect()
}

fn is_named(word: &str) -> bool {
    word.starts_with("batond_") || word.starts_with("process_")
}

/// The metrics that an expression mentions.
fn mentioned(text: &str) -> BTreeSet<String> {
    text.split(|one: char| !(one.is_ascii_alphanumeric() || one == '_'))
        .filter(|word| is_named(word))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_manual_lists_every_metric() {
    let page = include_str!("../../packaging/man/more/batond.8");
    let (_, section) = page.split_once(".SH METRICS\n").unwrap();
    let (section, _) = section.split_once("\n.SH ").unwrap();
    let listed = section.lines().filter_map(|line| {
        let name = line.strip_prefix(".B ").or(line.strip_prefix(".BI "))?;
        name.split(' ').next().filter(|name| is_named(name))
    });
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(listed, served());
}

#[test]
fn the_alerts_are_right_and_about_metrics_that_there_are() {
    let rules = here().join("packaging/prometheus-rules.yml");
    judged_by(
        Command::new("promtool")
            .args(["check", "rules"])
            .arg(&rules),
        "",
    );
    let tests = here().join("tests/metrics/rules.yml");
    let mut promtool = Command::new("promtool");
    judged_by(promtool.args(["test", "rules"]).arg(tests), "");

    let text = fs::read_to_string(rules).unwrap();
    let alerts = text.matches("- alert:").count();
    let mentioned = mentioned(&text);
    assert!(
        alerts >= 10 && mentioned.len() >= 10,
        "{alerts} {mentioned:?}"
    );
    let served = served();
    assert!(mentioned.is_subset(&served), "{mentioned:?} {served:?}");
    // Every alert is seen to fire.
    let tested = fs::read_to_string(here().join("tests/metrics/rules.yml")).unwrap();
    for alert in text.lines().filter_map(|line| line.split_once("- alert: ")) {
        let firing = format!("alertname=\"{}\", alertstate=\"firing\"", alert.1);
        assert!(tested.contains(&firing), "{}", alert.1);
    }
}

#[test]
fn the_dashboard_shows_every_metric_that_a_service_may_want() {
    let text = fs::read_to_string(here().join("packaging/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut shown = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let targets = panel["targets"].as_array().into_iter().flatten();
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            let found = mentioned(expression);
            assert!(!found.is_empty(), "{expression}");
            shown.extend(found);
        }
    }
    let served = served();
    assert!(shown.is_subset(&served), "{shown:?} {served:?}");
    // Seen elsewhere in the panel of the end.
    let left_out = ["batond_certificate_not_before_timestamp_seconds"];
    let missing: Vec<_> = served.difference(&shown).collect();
    assert_eq!(missing, left_out);
}
