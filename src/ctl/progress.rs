//! How far a job is: a bar on a terminal, a line for each step elsewhere.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use super::job::Job;

/// Shown on stderr, so that stdout has the result alone.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// What was said last.
    said: String,
    quiet: bool,
}

impl Progress {
    /// `quiet`: whoever called reads JSON and nothing else.
    pub(super) fn new(quiet: bool) -> Self {
        let bar = (!quiet && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(100);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos:>3}%  {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            said: String::new(),
            quiet,
        }
    }

    pub(super) fn show(&mut self, job: &Job) {
        let text = format!("{}: {}{}", job.kind, job.state, counts(job));
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.set_position(job.progress.into());
        } else if !self.quiet && job.state != self.said {
            self.said.clone_from(&job.state);
            // Nobody reads what cannot be written.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn counts(job: &Job) -> String {
    let counts = job.counts.iter();
    counts
        .map(|(name, count)| format!(", {} {count}", name.replace('_', " ")))
        .collect()
}
