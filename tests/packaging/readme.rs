//! What README.md says of the program.

use std::collections::BTreeSet;
use std::fs;

use batond::config::{self, Source};

const README: &str = include_str!("../../README.md");

/// What stands below a heading, up to the next of its level.
fn section(heading: &str) -> &'static str {
    let (_, rest) = README
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no {heading}"));
    let level = heading.split(' ').next().unwrap_or_default();
    rest.split(&format!("\n{level} "))
        .next()
        .unwrap_or_default()
}

/// The first cell of each row of a table, if it is a name.
fn names(section: &str) -> Vec<&str> {
    let name = |line: &'static str| {
        line.strip_prefix("| `")?
            .split_once("` |")
            .map(|(name, _)| name)
    };
    // The lines are those of README, whose text lives as long as the program.
    let start = README.find(section).expect("a part of README");
    README[start..start + section.len()]
        .lines()
        .filter_map(name)
        .collect()
}

/// Between the quotes of each line that has what comes before them.
fn quoted_after<'a>(source: &'a str, before: &str) -> BTreeSet<&'a str> {
    let of = |line: &'a str| {
        line.split_once(before)?
            .1
            .split_once("\";")
            .map(|(name, _)| name)
    };
    source.lines().filter_map(of).collect()
}

fn has_an_entry_for_each(heading: &str, known: &BTreeSet<&str>) {
    let entries = names(section(heading));
    let told: BTreeSet<&str> = entries.iter().copied().collect();
    assert_eq!(entries.len(), told.len(), "an entry stands there twice");
    let missing: Vec<_> = known.difference(&told).collect();
    let unknown: Vec<_> = told.difference(known).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "{heading} of README.md lacks {missing:?} and has {unknown:?}, which are no problems"
    );
}

#[test]
fn every_problem_of_the_daemon_has_an_entry() {
    let source = include_str!("../../src/control/problem.rs");
    let known = quoted_after(source, ": &str = \"");
    assert!(
        known.contains("reload-failed") && known.len() > 2,
        "{known:?}"
    );
    has_an_entry_for_each("### What batond may have", &known);
}

#[test]
fn every_problem_of_a_certificate_has_an_entry() {
    let known = quoted_after(include_str!("../../src/certificate/fault.rs"), " = \"");
    assert!(known.contains("expired") && known.len() > 40, "{known:?}");
    has_an_entry_for_each("### What a certificate may have", &known);
}

#[test]
fn every_configuration_is_one() {
    let folder = tempfile::tempdir().expect("make a folder");
    let path = folder.path().join("batond.toml");
    let mut found = 0;
    for block in README.split("\n```toml\n").skip(1) {
        let (text, _) = block.split_once("\n```").expect("the end of a block");
        fs::write(&path, text).expect("write a configuration");
        let source = Source::at(&path);
        if let Err(problems) = config::load(&source) {
            panic!("{text}\n{problems}");
        }
        found += 1;
    }
    assert!(found >= 2, "{found}");
}

#[test]
fn every_reference_leads_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    // As it is done for Markdown: lower case, spaces become dashes, other signs go.
    let slug = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'))
            .map(|one| if one == ' ' { '-' } else { one })
            .collect()
    };
    let headings: BTreeSet<String> = README
        .lines()
        .filter(|line| line.starts_with("##"))
        .map(slug)
        .collect();
    let mut checked = 0;
    for rest in README.split("](").skip(1) {
        let target = rest.split(')').next().unwrap_or_default();
        match target.strip_prefix('#') {
            Some(heading) => assert!(headings.contains(heading), "#{heading}"),
            None if target.contains("://") => {}
            None => assert!(root.join(target).exists(), "{target}"),
        }
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
}
