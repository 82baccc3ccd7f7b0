//! A load generator process, seen from the conductor.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};

use anyhow::{Context, Result, bail};

use super::LOAD_CORE;
use crate::load::{Outcome, Round};
use crate::process::{Launch, Process};

pub(crate) struct Loader {
    // Dropped first: the end of its input ends the process.
    commands: ChildStdin,
    outcomes: BufReader<ChildStdout>,
    process: Process,
}

impl Loader {
    /// Starts it and waits until all its clients are connected.
    pub(crate) fn start(
        name: &str,
        target: SocketAddr,
        authority: Option<&Path>,
        work: &[String],
        folder: &Path,
    ) -> Result<Self> {
        let mut arguments: Vec<OsString> =
            vec!["load".into(), "--target".into(), target.to_string().into()];
        if let Some(authority) = authority {
            arguments.extend(["--authority".into(), authority.into()]);
        }
        arguments.extend(work.iter().map(OsString::from));
        let launch = Launch {
            program: std::env::current_exe()?,
            arguments,
        };
        let mut process = Process::start(name, &[LOAD_CORE], &launch, folder, true)?;
        let (Some(commands), Some(outcomes)) =
            (process.child().stdin.take(), process.child().stdout.take())
        else {
            bail!("the load generator was started without pipes");
        };
        let mut loader = Self {
            commands,
            outcomes: BufReader::new(outcomes),
            process,
        };
        let line = loader.line()?;
        if line != "ready" {
            bail!("the load generator said {line:?} instead of ready");
        }
        Ok(loader)
    }

    pub(crate) fn round(&mut self, round: Round) -> Result<Outcome> {
        let sent = writeln!(self.commands, "{}", serde_json::to_string(&round)?);
        sent.with_context(|| self.process.last_words())?;
        let line = self.line()?;
        serde_json::from_str(&line).context("cannot understand the load generator")
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.outcomes.read_line(&mut line)? == 0 {
            bail!("the load generator gave up; {}", self.process.last_words());
        }
        Ok(line.trim_end().to_owned())
    }
}
