//! Jobs, as they are listed and as they end.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::Command;

use jiff::Timestamp;
use serde::Serialize;

use super::daemon::Daemon;
use super::failure::Failure;
use super::listing::Row;
use super::properties::{Properties, json_owned, serialize_time, serialize_time_option, time};
use crate::restart::report::UnitReport;

use super::table::{Cell, Style, span};

/// A job, as far as it is.
#[derive(Debug, Serialize)]
pub(super) struct Job {
    pub(super) id: u32,
    pub(super) kind: String,
    pub(super) service: String,
    pub(super) state: String,
    pub(super) progress: u32,
    pub(super) counts: BTreeMap<String, u64>,
    #[serde(serialize_with = "serialize_time")]
    started: Timestamp,
    #[serde(serialize_with = "serialize_time_option")]
    ended: Option<Timestamp>,
    pub(super) result: String,
    error: String,
    pub(super) message: String,
    report: BTreeMap<String, serde_json::Value>,
}

impl Row for Job {
    const HEAD: &'static [&'static str] = &[
        "JOB", "KIND", "SERVICE", "STATE", "BEGAN", "TOOK", "MESSAGE",
    ];
    const NONE: &'static str = "no jobs since batond was started";

    fn cells(&self) -> Vec<Cell> {
        let now = Timestamp::now();
        let style = match self.result.as_str() {
            "" => Style::Plain,
            "done" => Style::Good,
            _ => Style::Bad,
        };
        // The first line of a refusal says what was being done, the second what is wrong.
        let lines = self.message.lines().map(str::trim);
        let message: Vec<&str> = lines.take(2).collect();
        vec![
            Cell::number(self.id),
            Cell::text(&self.kind),
            Cell::text(&self.service),
            Cell::text(&self.state).styled(style),
            Cell::text(format!("{} ago", span(self.started, now))),
            Cell::text(span(self.started, self.ended.unwrap_or(now))),
            Cell::text(message.join(": ")),
        ]
    }
}

impl Job {
    pub(super) fn read(mut properties: Properties) -> Result<Self, Failure> {
        let report: std::collections::HashMap<String, zbus::OwnedVariant> =
            properties.take("Report")?;
        Ok(Self {
            id: properties.take("Id")?,
            kind: properties.take("Kind")?,
            service: properties.take("Service")?,
            state: properties.take("State")?,
            progress: properties.take("Progress")?,
            counts: properties.take("Counts")?,
            started: time(properties.take("Started")?),
            ended: properties.take_time("Ended")?,
            result: properties.take("Result")?,
            error: properties.take("Error")?,
            message: properties.take("Message")?,
            report: report
                .iter()
                .map(|(name, value)| (name.clone(), nested(json_owned(value))))
                .collect(),
        })
    }

    /// All that batond still knows, by number.
    pub(super) async fn all(daemon: &Daemon) -> Result<Vec<Self>, Failure> {
        let objects = daemon.objects("Job").await?.into_iter();
        let mut all = objects.map(Self::read).collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|job| job.id);
        Ok(all)
    }

    /// What the journal has last of the units that did not come back. Whoever runs batonctl may
    /// read it; the daemon may not.
    pub(super) fn tell_last_words(&self) {
        let units = self.report.get("units").cloned();
        let units = units.and_then(|list| serde_json::from_value::<Vec<UnitReport>>(list).ok());
        let failed = units
            .iter()
            .flatten()
            .filter(|one| one.restarted_ms.is_none());
        for UnitReport { unit, .. } in failed {
            let _ = writeln!(io::stderr(), "the last lines of {unit} in the journal:");
            // Its output goes to ours; where there is no journal, there is nothing to tell.
            let _ = Command::new("journalctl")
                .args(["--lines=10", "--no-pager", "--quiet", "--output=short"])
                .arg(format!("--unit={unit}"))
                .stdout(io::stderr())
                .status();
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.result.is_empty()
    }

    /// Why it did not come about; None: it did.
    pub(super) fn failure(&self) -> Option<Failure> {
        if self.result == "done" {
            return None;
        }
        let text = || self.message.clone();
        Some(Failure::of_name(&self.error, text()).unwrap_or_else(|| Failure::Unknown(text())))
    }
}

/// Says how it ended.
pub(super) fn write_end(job: &Job, page: &mut super::table::Page<'_>) -> io::Result<()> {
    if page.json {
        return page.json(job);
    }
    if job.result != "done" {
        return Ok(());
    }
    page.line(Style::Plain, &format!("{}: {}", job.kind, job.message))
}

/// Lists travel over the bus as JSON.
fn nested(value: serde_json::Value) -> serde_json::Value {
    let text = value.as_str().filter(|text| text.starts_with('['));
    let list = text.and_then(|text| serde_json::from_str(text).ok());
    list.unwrap_or(value)
}
