//! README, followed to the letter on a fresh host: from the package to an echo over `wss://`. The
//! commands are those that stand there, so that they cannot become wrong unnoticed.

use std::process::Command;
use std::time::{Duration, Instant};

use super::build::packages;
use crate::machine::{Machine, tell};

on_each_release! {
    a_fresh_host_echoes_within_two_minutes_by_readme_alone
}

const README: &str = include_str!("../../../README.md");

/// What README promises.
const PROMISED: Duration = Duration::from_secs(120);

/// Commands with the lines that they are to print, as the blocks of a section have them.
struct Console {
    commands: Vec<(String, Vec<String>)>,
}

impl Console {
    fn of(heading: &str) -> Self {
        let (_, section) = README
            .split_once(&format!("\n## {heading}\n"))
            .unwrap_or_else(|| panic!("README has no {heading}"));
        let section = section.split("\n## ").next().unwrap_or_default();
        let blocks = section.split("\n```console\n").skip(1);
        let mut lines = blocks.flat_map(|rest| {
            let (block, _) = rest.split_once("\n```").expect("the end of a block");
            block.lines()
        });
        let mut commands: Vec<(String, Vec<String>)> = Vec::new();
        while let Some(line) = lines.next() {
            let Some(command) = line.strip_prefix("# ").or(line.strip_prefix("$ ")) else {
                let (_, output) = commands.last_mut().expect("a command comes first");
                output.push(line.to_owned());
                continue;
            };
            let mut command = command.to_owned();
            let document = command.contains("<<'END'");
            while document || command.ends_with('\\') {
                let line = lines.next().expect("the rest of a command");
                command.push('\n');
                command.push_str(line);
                if document && line == "END" {
                    break;
                }
            }
            commands.push((command, Vec::new()));
        }
        Self { commands }
    }
}

fn a_fresh_host_echoes_within_two_minutes_by_readme_alone(machine: &Machine) {
    let package = &packages().deb.first;
    let name = package.file_name().and_then(|name| name.to_str());
    let name = name.expect("the name of a package");
    machine.install_file(package, &format!("/root/{name}"), 0o644);
    bring_openssl(machine);
    // Every host that was installed has it.
    machine.put("/etc/hosts", "127.0.0.1 localhost\n");

    let [install, echo] = ["Install", "From nothing to an echo"].map(Console::of);
    assert!(
        install.commands.iter().any(|(one, _)| one.contains(name)),
        "not of {name}"
    );
    let began = Instant::now();
    let mut place = "/root".to_owned();
    for (command, output) in install.commands.into_iter().chain(echo.commands) {
        let script = format!("cd {place}\n{command} </dev/null\npwd >/tmp/place");
        // What comes from a document comes from there.
        let script = match command.contains("<<'END'") {
            true => format!("cd {place}\n{command}\npwd >/tmp/place"),
            false => script,
        };
        let printed = machine.check(&[
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "APT_LISTCHANGES_FRONTEND=none",
            "sh",
            "-ec",
            // A person says yes.
            &script.replace("apt install ", "apt --yes install "),
        ]);
        place = machine.check(&["cat", "/tmp/place"]).trim().to_owned();
        if !output.is_empty() {
            assert_eq!(printed.lines().collect::<Vec<_>>(), output, "{command}");
        }
    }
    let took = began.elapsed();
    tell(&format!(
        "from the package to an echo by README alone: {:.1} s",
        took.as_secs_f64()
    ));
    assert!(took < PROMISED, "{took:?}");

    let status = machine.check(&["batonctl", "status"]);
    assert!(status.contains("serving"), "{status}");
}

/// What README takes for installed, and the machine lacks: that of the host, with its libraries,
/// which need not be those of the machine.
fn bring_openssl(machine: &Machine) {
    const PLACE: &str = "/opt/openssl";
    let program = "/usr/bin/openssl";
    let linked = Command::new("ldd").arg(program).output().expect("run ldd");
    let linked = String::from_utf8_lossy(&linked.stdout);
    let libraries = linked.lines().filter_map(|line| {
        let (name, path) = line.trim().split_once(" => ")?;
        let own = name.starts_with("libssl") || name.starts_with("libcrypto");
        own.then(|| (name, path.split(' ').next().unwrap_or_default()))
    });
    for (name, path) in libraries {
        machine.install_file(path, &format!("{PLACE}/{name}"), 0o644);
    }
    machine.install_file(program, &format!("{PLACE}/program"), 0o755);
    machine.install_file("/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf", 0o644);
    let script = format!("#!/bin/sh\nLD_LIBRARY_PATH={PLACE} exec {PLACE}/program \"$@\"\n");
    machine.put(program, &script);
    machine.check(&["chmod", "755", program]);
}
