//! A certificate as listeners serve it, with what is known of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::check::Examination;
use super::finding::Finding;
use super::verdict::Verdict;
use crate::config::{CertificateConfig, Config, ListenerConfig};

/// A certificate that listeners serve.
#[derive(Clone, Debug)]
pub struct InUse {
    /// Its name in the configuration.
    pub name: String,
    /// The names that the configuration gives it.
    pub names: Vec<String>,
    /// Names of the listeners that serve it, with its place among their certificates.
    pub listeners: BTreeMap<String, usize>,
    /// The unit that renews it.
    pub renew_unit: Option<String>,
    /// What is served, before the audience of the configuration in use.
    pub examination: Arc<Examination>,
    /// What is said of it now.
    pub verdict: Arc<Verdict>,
    /// When it took the place of another one in this process; none: it is served since the start.
    pub swapped: Option<Timestamp>,
    /// Why what is on disk is not served.
    pub refused: Option<Arc<Refused>>,
}

/// A pair that is not served, since clients would fail who do not fail with the one in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What makes it worse; never empty.
    pub objections: Vec<Finding>,
    /// Since when it is refused.
    pub since: Timestamp,
}

/// The listeners of a configuration that serve this certificate, with its place there.
pub fn listeners(config: &Config, name: &str) -> BTreeMap<String, usize> {
    let place = |listener: &ListenerConfig| {
        let place = listener.certificates.iter().position(|one| one == name)?;
        Some((listener.name.clone(), place))
    };
    config.listeners.iter().filter_map(place).collect()
}

impl InUse {
    /// A certificate that has just been read and is about to be served.
    pub fn new(
        config: &CertificateConfig,
        listeners: BTreeMap<String, usize>,
        examination: Arc<Examination>,
        now: Timestamp,
    ) -> Self {
        Self {
            name: config.name.clone(),
            names: config.names.clone(),
            listeners,
            renew_unit: config.renew_unit.clone(),
            verdict: Arc::new(examination.verdict(now)),
            examination,
            swapped: None,
            refused: None,
        }
    }

    /// What is wrong with the pair on disk, in one sentence; none, if it is the one in service.
    pub fn worse_on_disk(&self) -> Option<&str> {
        let refused = self.refused.as_deref()?;
        refused.objections.first().map(|one| one.what.as_str())
    }
}
