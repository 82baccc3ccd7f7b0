//! Where the output goes: a terminal, a pipe that nobody reads, a full disk.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::world::{World, address, failed_with, succeeded};

const IOERR: i32 = 74;

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let world = World::with(&[("ws", address())]);
    for arguments in [
        &["services"][..],
        &["status", "--json"],
        &["reload"],
        &["monitor"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = world.ctl_command(arguments);
        command.stdout(writer).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        succeeded(&output);
        let said = String::from_utf8(output.stderr).unwrap();
        let steps = said.lines().all(|line| line.starts_with("reload: "));
        assert!(steps, "{arguments:?}: {said}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let world = World::with(&[("ws", address())]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = world.ctl_command(&["services"]);
    command.stdout(full).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let said = failed_with(IOERR, &output);
    assert!(said.contains("cannot write the output"), "{said}");
}

/// What it writes to a terminal, that of util-linux's `script`; None, if there is none.
fn on_a_terminal(world: &World, arguments: &str, no_color: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_batonctl");
    let line = format!("{program} --bus '{}' {arguments}", world.bus.address);
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("NO_COLOR", no_color)
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    succeeded(&output);
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_terminal_gets_colour_unless_it_is_unwanted() {
    let world = World::with(&[("ws", address())]);
    let Some(text) = on_a_terminal(&world, "services", "") else {
        eprintln!("a_terminal_gets_colour_unless_it_is_unwanted: skipped, there is no script(1)");
        return;
    };
    assert!(text.contains("\x1b[1mSERVICE\x1b[0m"), "{text:?}");
    let text = on_a_terminal(&world, "services", "1").unwrap();
    assert!(
        text.contains("SERVICE") && !text.contains('\x1b'),
        "{text:?}"
    );
    let output = world.ctl(&["services"]);
    assert!(!output.stdout.contains(&0x1b), "{output:?}");
}

#[test]
fn a_terminal_gets_a_bar() {
    let world = World::with(&[("ws", address())]);
    let Some(text) = on_a_terminal(&world, "upgrade", "") else {
        eprintln!("a_terminal_gets_a_bar: skipped, there is no script(1)");
        return;
    };
    assert!(text.contains("%  upgrade: "), "{text:?}");
    assert!(text.ends_with(" serves\r\n"), "{text:?}");
}
