//! The manual pages.

use std::fs;
use std::process::{Command, Stdio};

use clap::CommandFactory;

use crate::generated::{compare, packaging};
use crate::page::page;

const PAGES: [&str; 4] = [
    "batond.8",
    "batonctl.1",
    "batond.toml.5",
    "org.batond.Baton1.5",
];

#[test]
fn of_the_daemon_is_that_of_its_command_line() {
    let command = batond::daemon::args::Args::command();
    let about = "restart coordinator for WebSocket services";
    let more = include_str!("../../packaging/man/more/batond.8");
    compare("man/batond.8", &page(command, "8", about, more));
}

#[test]
fn of_the_tool_is_that_of_its_command_line() {
    let command = batond::ctl::args::Args::command();
    let about = "command batond, the restart coordinator for WebSocket services";
    let more = include_str!("../../packaging/man/more/batonctl.1");
    compare("man/batonctl.1", &page(command, "1", about, more));
}

/// man(1) prints on standard error what is wrong with a page, and groff what does not fit.
#[test]
fn pages_can_be_shown_without_a_complaint() {
    let present = Command::new("man")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if present.is_err() {
        println!("not checked: no man here");
        return;
    }
    for page in PAGES {
        let shown = Command::new("man")
            .args(["--warnings", "--encoding=UTF-8", "--local-file"])
            .arg(packaging().join("man").join(page))
            .env("LC_ALL", "C.UTF-8")
            .env("MANROFFSEQ", "")
            .env("MANWIDTH", "80")
            .output()
            .expect("run man");
        let said = String::from_utf8_lossy(&shown.stderr);
        assert!(shown.status.success() && said.is_empty(), "{page}: {said}");
        assert!(shown.stdout.len() > 500, "{page} shows next to nothing");
    }
}

/// Whatever a page of ours refers to among our own is there.
#[test]
fn pages_refer_to_pages_that_exist() {
    for page in PAGES {
        let text = fs::read_to_string(packaging().join("man").join(page)).expect("read a page");
        let text = text
            .replace("\\fB", "")
            .replace("\\fR", "")
            .replace("\\-", "-");
        for word in text.split([' ', '\n', ',', ';']) {
            let Some((name, section)) = word.split_once('(') else {
                continue;
            };
            let section = section.split(')').next().unwrap_or_default();
            let own = name.starts_with("baton") || name.starts_with("org.batond");
            if own && section.parse::<u8>().is_ok() {
                let named = format!("{name}.{section}");
                assert!(PAGES.contains(&named.as_str()), "{page} refers to {named}");
            }
        }
    }
}

/// What the bus offers (tests/dbus compares that file with the running daemon).
#[test]
fn of_the_bus_names_every_interface_with_its_methods_and_signals() {
    let page = include_str!("../../packaging/man/org.batond.Baton1.5");
    let words: Vec<&str> = page.split([' ', '\n', ',', '"']).collect();
    let offered = include_str!("../../packaging/org.batond.Baton1.xml");
    let mut names = 0;
    for kind in ["interface", "method", "signal"] {
        for rest in offered.split(&format!("<{kind} name=\"")).skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            let heading = name.to_uppercase();
            // The signal of a job that has the name of a property.
            let found = name == "Progress" || words.contains(&name) || words.contains(&&*heading);
            assert!(found, "{kind} {name}");
            names += 1;
        }
    }
    assert!(names > 20, "only {names}");
}
