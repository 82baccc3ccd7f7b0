//! What will become of the certificates that are in use.

use jiff::Timestamp;
use serde::Serialize;

use super::certificates::Certificate;
use super::daemon::Daemon;
use super::failure::Failure;
use super::listing::{self, Row};
use super::none;
use super::properties::{serialize_time, time};
use super::table::{Cell, Style, span};

/// Something that comes with time, if nothing is done.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    certificate: String,
    #[serde(serialize_with = "serialize_time")]
    at: Timestamp,
    severity: String,
    finding: String,
    what: String,
}

impl Change {
    /// All that is foretold, or that of one certificate, in order of time.
    pub(super) async fn all(daemon: &Daemon, name: Option<&str>) -> Result<Vec<Self>, Failure> {
        if name.is_some() {
            listing::named::<Certificate>(daemon, name).await?;
        }
        type Rows = Vec<(String, u64, String, String, String)>;
        let rows: Rows = daemon.ask("Forecast", &none()).await?;
        let read = |(certificate, at, severity, finding, what)| Self {
            certificate,
            at: time(at),
            severity,
            finding,
            what,
        };
        let all = rows.into_iter().map(read);
        let wanted = |one: &Self| name.is_none_or(|name| name == one.certificate);
        Ok(all.filter(wanted).collect())
    }
}

impl Row for Change {
    const HEAD: &'static [&'static str] = &["CERTIFICATE", "WHEN", "SEVERITY", "WHAT"];
    const NONE: &'static str = "nothing is foretold";

    fn cells(&self) -> Vec<Cell> {
        let style = match self.severity.as_str() {
            "info" => Style::Plain,
            "warning" => Style::Warning,
            _ => Style::Bad,
        };
        vec![
            Cell::text(&self.certificate),
            Cell::text(format!("in {}", span(Timestamp::now(), self.at))),
            Cell::text(&self.severity).styled(style),
            Cell::text(&self.what),
        ]
    }
}
