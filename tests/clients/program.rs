//! The client programs and the application of this folder, run as processes that print JSON.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde_json::{Value, json};

use super::support::PATIENCE;
use super::support::output::Output;
use super::support::process::Process;

/// Whose WebSocket is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// Python's `websockets`.
    Python,
    /// Node's `ws`.
    Node,
    /// A page in headless Chromium.
    Chromium,
}

impl Client {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Python, Self::Node, Self::Chromium];

    /// The command that runs the client with this argument; none where the client cannot be
    /// installed, and then the reason is printed.
    ///
    /// # Panics
    /// When `tests/clients/install` has not been run.
    pub(crate) fn command(self, mut argument: Value, directory: &Path) -> Option<Command> {
        let (interpreter, script) = match self {
            Self::Python => (
                installed("target/clients/venv/bin/python"),
                "python_client.py",
            ),
            Self::Node => (PathBuf::from("node"), "node_client.mjs"),
            Self::Chromium => {
                argument["browser"] = json!(browser()?);
                argument["profile"] = json!(directory.join("chromium"));
                (PathBuf::from("node"), "chromium_client.mjs")
            }
        };
        installed("tests/clients/node_modules/ws/package.json");
        let mut command = Command::new(interpreter);
        command
            .arg(here().join("tests/clients").join(script))
            .arg(argument.to_string());
        Some(command)
    }
}

/// The command that runs the application with this argument.
pub(crate) fn application(argument: &Value) -> Command {
    installed("tests/clients/node_modules/ws/package.json");
    let mut command = Command::new("node");
    command
        .arg(here().join("tests/clients/app.mjs"))
        .arg(argument.to_string());
    command
}

/// A running program. When this is dropped, its standard input ends and it must end too, so that
/// it can clean up; if the test failed, it is killed, and what it wrote to standard error is
/// printed.
pub(crate) struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    errors: Output,
}

impl Program {
    /// Starts it.
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        let (errors, writer) = Output::pipe();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(writer);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {name} with {command:?}: {error} (run tests/clients/install)")
        });
        // The command holds an end of the pipe: let go of it.
        drop(command);
        let output = child.stdout.take().expect("standard output is a pipe");
        let (sender, lines) = sync_channel(64);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            name: name.to_owned(),
            child,
            lines,
            errors,
        }
    }

    /// The next line that it prints, which is JSON.
    ///
    /// # Panics
    /// When it ends instead, or after [`PATIENCE`].
    pub(crate) fn line(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("no answer from {}: {error}", self.name));
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{} printed {line:?}: {error}", self.name))
    }

    /// The next result that it prints.
    ///
    /// # Panics
    /// As for [`Self::line`], or when it prints something else.
    pub(crate) fn result(&self) -> Value {
        let mut line = self.line();
        match line.get_mut("result") {
            Some(result) => result.take(),
            None => panic!("{} printed {line}, awaited was a result", self.name),
        }
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("standard input is a pipe");
        writeln!(input, "{line}")
            .unwrap_or_else(|error| panic!("cannot write to {}: {error}", self.name));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            drop(self.child.kill());
        } else {
            drop(self.child.stdin.take());
            Process::open(self.child.id())
                .expect("a child is there")
                .wait_gone();
        }
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("--- {} wrote:\n{}", self.name, self.errors.text());
        }
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that `tests/clients/install` puts there.
fn installed(file: &str) -> PathBuf {
    let path = here().join(file);
    assert!(
        path.exists(),
        "{} is missing: run tests/clients/install",
        path.display()
    );
    path
}

/// Where Chromium is. `tests/clients/install` leaves a note where it cannot be installed.
fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .flat_map(|directory| ["chromium", "chromium-browser"].map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        let note = installed("target/clients/no-chromium");
        let reason = std::fs::read_to_string(note).expect("read why there is no Chromium");
        // Straight to the terminal: the output of a test that passes is not shown.
        drop(writeln!(
            io::stderr(),
            "skipped for Chromium: {}",
            reason.trim()
        ));
    }
    found
}
