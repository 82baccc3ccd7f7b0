//! What the checks find: one fault of a certificate, for whom it breaks, and what to do.

use std::fmt;

use serde::Serialize;

use super::client::{Affected, Client};
pub use super::fault::Fault;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// To be set right, no client fails.
    Warning,
    /// Clients fail, or will soon.
    Critical,
}

/// As `warning`.
impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// Which setting of the certificate a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `chain`
    Chain,
    /// `key`
    Key,
    /// `names`, or the hosts of services
    Names,
    /// `roots`
    Roots,
}

/// One thing that was found. Its sentences never hold anything of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    #[serde(rename = "name")]
    pub fault: Fault,
    /// How much it matters.
    pub severity: Severity,
    /// Which clients fail because of it, at the time of the check.
    pub breaks: Affected,
    /// The dialled names that it is about; empty: all.
    pub names: Vec<String>,
    /// The setting that it is about.
    pub part: Part,
    /// The certificate, name or file that it is about: tells findings of one name apart.
    pub about: String,
    /// One sentence: what is wrong. Without a full stop.
    pub what: String,
    /// One sentence: what to do. Without a full stop.
    pub remedy: String,
}

impl Finding {
    /// Clients fail: all of them.
    pub(super) fn fatal(
        fault: Fault,
        part: Part,
        about: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            fault,
            severity: Severity::Critical,
            breaks: Affected::everyone(),
            names: Vec::new(),
            part,
            about: about.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Only these fail.
    pub(super) fn only_for(mut self, clients: &[Client]) -> Self {
        self.breaks = Affected::new(clients.iter().copied());
        self
    }

    /// It is about these names only.
    pub(super) fn of_names(mut self, names: Vec<String>) -> Self {
        self.names = names;
        self
    }

    /// No client fails.
    pub(super) fn harmless(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self.breaks = Affected::nobody();
        self
    }

    /// Whether any client fails because of it.
    pub fn breaks_clients(&self) -> bool {
        !self.breaks.is_nobody()
    }

    /// Whether the two are about the same thing, however its details have changed.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.fault == other.fault && self.about == other.about && self.names == other.names
    }
}

/// `critical: what is wrong (what to do) [expired; every client fails]`
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: {} ({}) [{}",
            self.severity, self.what, self.remedy, self.fault
        )?;
        if self.breaks.is_everyone() {
            write!(out, "; every client fails")?;
        } else if self.breaks_clients() {
            write!(out, "; fails: {}", self.breaks)?;
        }
        out.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_told_with_its_name_and_who_fails() {
        let finding = Finding::fatal(
            Fault::ChainIncomplete,
            Part::Chain,
            "leaf",
            "x is wrong",
            "do y",
        );
        assert_eq!(
            finding.to_string(),
            "critical: x is wrong (do y) [chain-incomplete; every client fails]"
        );
        let some = finding.clone().only_for(&[Client::Java, Client::Go]);
        assert!(some.to_string().ends_with("; fails: Java and Go]"));
        let none = finding.harmless(Severity::Info);
        assert_eq!(
            none.to_string(),
            "info: x is wrong (do y) [chain-incomplete]"
        );
        assert_eq!(
            serde_json::to_value(&some).unwrap(),
            serde_json::json!({
                "name": "chain-incomplete",
                "severity": "critical",
                "breaks": ["java", "go"],
                "names": [],
                "part": "chain",
                "about": "leaf",
                "what": "x is wrong",
                "remedy": "do y",
            })
        );
    }
}
