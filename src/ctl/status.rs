//! `batonctl status`.

use std::io;

use serde::Serialize;

use super::daemon::Daemon;
use super::failure::Failure;
use super::job::Job;
use super::listing::{self, Problem, Row, Service};
use super::table::{self, Page, Style};
use crate::control::dbus::PATH;

/// What the daemon does, and how it does.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: String,
    phase: String,
    generation: u64,
    clients: u64,
    problems: Vec<Problem>,
    jobs: Vec<Job>,
    services: Vec<Service>,
}

impl Status {
    pub(super) async fn of(daemon: &Daemon) -> Result<Self, Failure> {
        let mut manager = daemon.properties(PATH, "Manager").await?;
        let mut jobs = Job::all(daemon).await?;
        jobs.retain(Job::runs);
        Ok(Self {
            version: manager.take("Version")?,
            phase: manager.take("Phase")?,
            generation: manager.take("Generation")?,
            clients: manager.take("Clients")?,
            problems: Problem::all(daemon).await?,
            jobs,
            services: listing::named(daemon, None).await?,
        })
    }

    pub(super) fn write(&self, page: &mut Page<'_>) -> io::Result<()> {
        if page.json {
            return page.json(self);
        }
        let style = match self.phase.as_str() {
            "serving" => Style::Good,
            _ => Style::Warning,
        };
        let phase = page.painted(style, &self.phase);
        writeln!(page.out, "version     {}", self.version)?;
        writeln!(page.out, "phase       {phase}")?;
        writeln!(page.out, "generation  {}", self.generation)?;
        writeln!(page.out, "clients     {}", self.clients)?;
        if !self.services.is_empty() {
            writeln!(page.out)?;
            listing::write(page, &self.services)?;
        }
        if !self.jobs.is_empty() {
            writeln!(page.out)?;
            let cells: Vec<_> = self.jobs.iter().map(Row::cells).collect();
            table::write(page, Job::HEAD, &cells)?;
        }
        if !self.problems.is_empty() {
            writeln!(page.out)?;
            Problem::write(page, &self.problems)?;
        }
        Ok(())
    }
}
