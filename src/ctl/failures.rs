//! TLS handshakes that failed: how many, why, and the latest of them.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use serde::Serialize;

use super::daemon::Daemon;
use super::failure::Failure;
use super::none;
use super::properties::{serialize_time, time};
use super::table::{self, Cell, Page, Style, span};

/// One of them.
#[derive(Debug, Serialize)]
struct Handshake {
    #[serde(serialize_with = "serialize_time")]
    at: Timestamp,
    listener: String,
    network: String,
    family: String,
    name: String,
    reason: String,
    alert: u32,
    version: String,
    certificate: String,
    cause: String,
    what: String,
}

/// All that is known of them.
#[derive(Debug, Serialize)]
pub(super) struct Failures {
    counts: BTreeMap<String, u64>,
    latest: Vec<Handshake>,
}

impl Failures {
    pub(super) async fn of(daemon: &Daemon, limit: usize) -> Result<Self, Failure> {
        type Row = (
            u64,
            String,
            String,
            String,
            String,
            String,
            u32,
            String,
            String,
            String,
            String,
        );
        let (counts, rows): (BTreeMap<String, u64>, Vec<Row>) =
            daemon.ask("ListFailures", &none()).await?;
        let read = |row: Row| {
            let (
                at,
                listener,
                network,
                family,
                name,
                reason,
                alert,
                version,
                certificate,
                cause,
                what,
            ) = row;
            Handshake {
                at: time(at),
                listener,
                network,
                family,
                name,
                reason,
                alert,
                version,
                certificate,
                cause,
                what,
            }
        };
        Ok(Self {
            counts,
            latest: rows.into_iter().take(limit).map(read).collect(),
        })
    }

    /// Why they failed, the most frequent reason first, and then the latest.
    pub(super) fn write(&self, page: &mut Page<'_>) -> io::Result<()> {
        if page.json {
            return page.json(self);
        }
        let mut counts: Vec<_> = self
            .counts
            .iter()
            .filter(|(_, count)| **count > 0)
            .collect();
        if counts.is_empty() {
            return page.line(Style::Good, "no TLS handshake has failed");
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let row = |(reason, count): &(&String, &u64)| {
            vec![Cell::text(reason.as_str()), Cell::number(**count)]
        };
        let rows: Vec<_> = counts.iter().map(row).collect();
        table::write(page, &["REASON", "HANDSHAKES"], &rows)?;
        let now = Timestamp::now();
        for one in &self.latest {
            let head = format!("{} ago, listener {}:", span(one.at, now), one.listener);
            let style = if one.cause.is_empty() {
                Style::Plain
            } else {
                Style::Bad
            };
            let what = page.painted(style, &one.what);
            writeln!(page.out, "{head} {what}")?;
        }
        Ok(())
    }
}
