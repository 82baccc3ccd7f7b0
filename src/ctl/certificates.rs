//! The certificates that are in use, and how they are.

use jiff::Timestamp;
use serde::Serialize;

use super::failure::Failure;
use super::listing::{Named, Row};
use super::properties::{Properties, serialize_time, serialize_time_option, time};
use super::table::{Cell, Style, span};

#[derive(Debug, Serialize)]
pub(super) struct Certificate {
    name: String,
    names: Vec<String>,
    #[serde(serialize_with = "serialize_time")]
    not_before: Timestamp,
    #[serde(serialize_with = "serialize_time")]
    not_after: Timestamp,
    /// Of everything on the way to a root.
    #[serde(serialize_with = "serialize_time")]
    chain_not_after: Timestamp,
    fingerprint: String,
    chain: String,
    listeners: Vec<String>,
    severity: String,
    breaks_clients: bool,
    findings: Vec<Finding>,
    #[serde(serialize_with = "serialize_time_option")]
    swapped: Option<Timestamp>,
    refused: String,
    probe: String,
}

#[derive(Debug, Serialize)]
struct Finding {
    name: String,
    severity: String,
    breaks: String,
    what: String,
    remedy: String,
}

impl Certificate {
    /// In a word, how it is: clients fail; what is on disk is worse; or the worst finding.
    fn state(&self) -> (&'static str, Style) {
        if self.breaks_clients {
            ("failing", Style::Bad)
        } else if !self.refused.is_empty() {
            ("refused", Style::Bad)
        } else {
            match self.severity.as_str() {
                "critical" => ("critical", Style::Bad),
                "warning" => ("warning", Style::Warning),
                _ => ("good", Style::Good),
            }
        }
    }
}

impl Row for Certificate {
    const HEAD: &'static [&'static str] = &[
        "CERTIFICATE",
        "STATE",
        "SEEN",
        "ENDS",
        "NAMES",
        "LISTENERS",
        "SHA-256",
        "CHAIN",
    ];
    const NONE: &'static str = "no certificates";

    fn cells(&self) -> Vec<Cell> {
        let now = Timestamp::now();
        let end = self.chain_not_after;
        let ends = if end < now {
            format!("{} ago", span(end, now))
        } else {
            format!("in {}", span(now, end))
        };
        let (state, style) = self.state();
        let short: String = self.fingerprint.chars().take(16).collect();
        vec![
            Cell::text(&self.name),
            Cell::text(state).styled(style),
            seen(&self.probe),
            Cell::text(ends),
            Cell::list(&self.names, "none"),
            Cell::list(&self.listeners, ""),
            Cell::text(short),
            Cell::text(&self.chain),
        ]
    }
}

/// What a look through the listeners has seen, in a word or two.
fn seen(probe: &str) -> Cell {
    let (word, _) = probe.split_once(':').unwrap_or((probe, ""));
    match word {
        "" => Cell::text("not yet"),
        "good" => Cell::text(word).styled(Style::Good),
        "bad" => Cell::text(word).styled(Style::Bad),
        _ => Cell::text(word),
    }
}

impl Named for Certificate {
    const INTERFACE: &'static str = "Certificate";
    const WHAT: &'static str = "certificate in use";

    fn read(mut properties: Properties) -> Result<Self, Failure> {
        type Rows = Vec<(String, String, String, String, String)>;
        let findings: Rows = properties.take("Findings")?;
        let finding = |(name, severity, breaks, what, remedy)| Finding {
            name,
            severity,
            breaks,
            what,
            remedy,
        };
        Ok(Self {
            name: properties.take("Name")?,
            names: properties.take("Names")?,
            not_before: time(properties.take("NotBefore")?),
            not_after: time(properties.take("NotAfter")?),
            chain_not_after: time(properties.take("ChainNotAfter")?),
            fingerprint: properties.take("Fingerprint")?,
            chain: properties.take("Chain")?,
            listeners: properties.take("Listeners")?,
            severity: properties.take("Severity")?,
            breaks_clients: properties.take("BreaksClients")?,
            findings: findings.into_iter().map(finding).collect(),
            swapped: properties.take_time("Swapped")?,
            refused: properties.take("Refused")?,
            probe: properties.take("Probe")?,
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}
