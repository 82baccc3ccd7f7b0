//! Completion of the command lines in bash, zsh and fish.

use std::process::{Command, Stdio};

use clap::CommandFactory;
use clap_complete::{Generator, Shell, generate};

use crate::generated::{compare, packaging};

/// Shell, folder, and what stands before and after the program's name in a file's name: each shell
/// looks for its own (bash-completion's README, zshcompsys(1), fish-completions(7)).
const SHELLS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "", ""),
    (Shell::Zsh, "_", ""),
    (Shell::Fish, "", ".fish"),
];

fn file(shell: Shell, program: &str) -> String {
    let (_, before, after) = SHELLS
        .iter()
        .find(|(one, ..)| *one == shell)
        .expect("a shell of the list");
    format!("completions/{shell}/{before}{program}{after}")
}

fn completions(shell: impl Generator, mut command: clap::Command, program: &str) -> String {
    let mut text = Vec::new();
    generate(shell, &mut command, program, &mut text);
    String::from_utf8(text).expect("completions are text")
}

#[test]
fn are_those_of_the_command_lines() {
    for (shell, ..) in SHELLS {
        let daemon = completions(shell, batond::daemon::args::Args::command(), "batond");
        compare(&file(shell, "batond"), &daemon);
        let tool = completions(shell, batond::ctl::args::Args::command(), "batonctl");
        compare(&file(shell, "batonctl"), &tool);
    }
}

#[test]
fn are_good_shell_code() {
    for (shell, ..) in SHELLS {
        let name = shell.to_string();
        let present = Command::new(&name)
            .args(["-c", "exit 0"])
            .stderr(Stdio::null())
            .status();
        if present.is_err() {
            println!("not checked: no {name} here");
            continue;
        }
        for program in ["batond", "batonctl"] {
            let path = packaging().join(file(shell, program));
            let checked = Command::new(&name).arg("-n").arg(&path).output();
            let checked = checked.expect("run a shell");
            let said = String::from_utf8_lossy(&checked.stderr);
            assert!(
                checked.status.success() && said.is_empty(),
                "{}: {said}",
                path.display()
            );
        }
    }
}
