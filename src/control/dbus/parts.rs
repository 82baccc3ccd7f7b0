//! The objects under the root: `/service/NAME`, `/listener/NAME`, `/certificate/NAME`, `/job/ID`.
//! They only show; what can be done to them is done through the Manager.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use zbus::object_server::SignalEmitter;
use zbus::{DBusError, ObjectPath, OwnedVariant, Variant, interface};

use super::object::{Exhibit, Held};
use super::{Error, path};
use crate::certificate::finding::Finding;
use crate::control::jobs::{JobResult, JobView};
use crate::control::view::{CertificateView, ListenerView, ServiceView};
use crate::edge::listener::Origin;

/// A service.
pub(super) struct Service(pub(super) Held<ServiceView>);

impl Exhibit for Service {
    type Part = ServiceView;
    const SILENT: &'static [&'static str] = &["Clients"];
}

impl Service {
    pub(super) fn path(name: &str) -> ObjectPath<'static> {
        path::of("service", name)
    }
}

#[interface(name = "org.batond.Baton1.Service")]
impl Service {
    /// As in the configuration.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> String {
        self.0.load().config.name.clone()
    }

    /// Names of the listeners through which it is reached.
    #[zbus(property)]
    fn listeners(&self) -> Vec<String> {
        self.0.load().config.listeners.clone()
    }

    /// Hosts that it answers to; none: any.
    #[zbus(property)]
    fn hosts(&self) -> Vec<String> {
        let part = self.0.load();
        part.config.hosts.iter().map(ToString::to_string).collect()
    }

    /// Prefixes of paths.
    #[zbus(property)]
    fn paths(&self) -> Vec<String> {
        self.0.load().config.paths.clone()
    }

    /// Where its backends are, and the unit that runs each (empty: none is known).
    #[zbus(property)]
    fn backends(&self) -> Vec<(String, String)> {
        let part = self.0.load();
        let backends = part.config.backends.iter();
        backends
            .map(|one| {
                (
                    one.address.to_string(),
                    one.unit.clone().unwrap_or_default(),
                )
            })
            .collect()
    }

    /// Clients with a WebSocket. Changes all the time, so nobody is told.
    #[zbus(property(emits_changed_signal = "false"))]
    fn clients(&self) -> u64 {
        self.0.load().clients
    }
}

/// A listener.
pub(super) struct Listener(pub(super) Held<ListenerView>);

impl Exhibit for Listener {
    type Part = ListenerView;
    const SILENT: &'static [&'static str] = &[];
}

impl Listener {
    pub(super) fn path(name: &str) -> ObjectPath<'static> {
        path::of("listener", name)
    }
}

#[interface(name = "org.batond.Baton1.Listener")]
impl Listener {
    /// As in the configuration.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> String {
        self.0.load().name.clone()
    }

    /// The address of each of its sockets, and who made it: systemd, predecessor or batond.
    #[zbus(property)]
    fn sockets(&self) -> Vec<(String, String)> {
        let part = self.0.load();
        let sockets = part.sockets.iter();
        sockets
            .map(|(address, origin)| (address.clone(), origin_word(*origin).to_owned()))
            .collect()
    }

    /// Names of its certificates, the default first; none: it speaks no TLS.
    #[zbus(property)]
    fn certificates(&self) -> Vec<String> {
        self.0.load().certificates.clone()
    }
}

fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Systemd => "systemd",
        Origin::Handoff => "predecessor",
        Origin::Bound => "batond",
    }
}

/// A certificate.
pub(super) struct Certificate(pub(super) Held<CertificateView>);

impl Exhibit for Certificate {
    type Part = CertificateView;
    const SILENT: &'static [&'static str] = &[];
}

impl Certificate {
    pub(super) fn path(name: &str) -> ObjectPath<'static> {
        path::of("certificate", name)
    }
}

#[interface(name = "org.batond.Baton1.Certificate")]
impl Certificate {
    /// As in the configuration.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> String {
        self.0.load().name.clone()
    }

    /// The file that the chain was read from.
    #[zbus(property)]
    fn chain(&self) -> String {
        self.0.load().chain.display().to_string()
    }

    /// What the leaf covers.
    #[zbus(property)]
    fn names(&self) -> Vec<String> {
        self.0.load().names.clone()
    }

    /// From when on the leaf is valid, in microseconds since 1970.
    #[zbus(property)]
    fn not_before(&self) -> u64 {
        microseconds(self.0.load().not_before)
    }

    /// Until when the leaf is valid, in microseconds since 1970.
    #[zbus(property)]
    fn not_after(&self) -> u64 {
        microseconds(self.0.load().not_after)
    }

    /// Until when everything from the leaf up to a root is valid, in microseconds since 1970.
    #[zbus(property)]
    fn chain_not_after(&self) -> u64 {
        microseconds(self.0.load().chain_not_after)
    }

    /// SHA-256 of the leaf, in hexadecimal digits.
    #[zbus(property)]
    fn fingerprint(&self) -> String {
        self.0.load().fingerprint.clone()
    }

    /// Names of the listeners that serve it.
    #[zbus(property)]
    fn listeners(&self) -> Vec<String> {
        self.0.load().listeners.clone()
    }

    /// The highest severity of the findings: info, warning or critical; empty: there are none.
    #[zbus(property)]
    fn severity(&self) -> String {
        let part = self.0.load();
        part.severity.map(|one| one.to_string()).unwrap_or_default()
    }

    /// Some clients fail with it now.
    #[zbus(property)]
    fn breaks_clients(&self) -> bool {
        self.0.load().breaks_clients
    }

    /// What is wrong with it, the worst first: name, severity, who fails, what is wrong, what to
    /// do about it.
    #[zbus(property)]
    fn findings(&self) -> Vec<(String, String, String, String, String)> {
        let part = self.0.load();
        let row = |one: &Finding| {
            (
                one.fault.to_string(),
                one.severity.to_string(),
                one.breaks.to_string(),
                one.what.clone(),
                one.remedy.clone(),
            )
        };
        part.findings.iter().map(row).collect()
    }

    /// When it took the place of another one, in microseconds since 1970; 0: it is served since the
    /// start of the process.
    #[zbus(property)]
    fn swapped(&self) -> u64 {
        self.0.load().swapped.map_or(0, microseconds)
    }

    /// Why what is on disk is not served instead; empty: it is what is served.
    #[zbus(property)]
    fn refused(&self) -> String {
        self.0.load().refused.clone().unwrap_or_default()
    }

    /// What was seen when it was looked at through its listeners, as clients see it: `good`, `not
    /// possible: ` or `bad: ` and why; empty: it has not been looked at.
    #[zbus(property)]
    fn probe(&self) -> String {
        self.0.load().probe.clone()
    }
}

/// A job.
pub(super) struct Job(pub(super) Held<JobView>);

impl Exhibit for Job {
    type Part = JobView;
    const SILENT: &'static [&'static str] = &[];
}

impl Job {
    pub(super) fn path(id: u32) -> ObjectPath<'static> {
        // As systemd has them: a number may begin an element of a path.
        let path = format!("{}/job/{id}", super::PATH);
        ObjectPath::try_from(path).unwrap_or_default()
    }
}

#[interface(name = "org.batond.Baton1.Job")]
impl Job {
    /// Its number.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> u32 {
        self.0.load().id
    }

    /// What it does, in one word.
    #[zbus(property(emits_changed_signal = "const"))]
    fn kind(&self) -> &'static str {
        self.0.load().kind.word()
    }

    /// The service that it is about; empty: all of batond.
    #[zbus(property(emits_changed_signal = "const"))]
    fn service(&self) -> String {
        self.0.load().service.clone().unwrap_or_default()
    }

    /// What it is doing, in a few words.
    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.0.load().state
    }

    /// How much of it is done, in percent.
    #[zbus(property)]
    fn progress(&self) -> u32 {
        self.0.load().progress.into()
    }

    /// What it has counted so far.
    #[zbus(property)]
    fn counts(&self) -> BTreeMap<String, u64> {
        let part = self.0.load();
        let counts = part.counts.iter();
        counts.map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    /// When it began, in microseconds since 1970.
    #[zbus(property(emits_changed_signal = "const"))]
    fn started(&self) -> u64 {
        microseconds(self.0.load().started)
    }

    /// When it ended, in microseconds since 1970; 0 while it runs.
    #[zbus(property)]
    fn ended(&self) -> u64 {
        self.0.load().ended.map_or(0, microseconds)
    }

    /// `done` or `failed`; empty while it runs.
    #[zbus(property)]
    fn result(&self) -> &'static str {
        self.0.load().result.as_ref().map_or("", JobResult::word)
    }

    /// Why it failed, as the name of an error; empty, if it did not.
    #[zbus(property)]
    fn error(&self) -> String {
        match &self.0.load().result {
            Some(JobResult::Failed(refusal)) => Error::from(refusal.clone()).name().to_string(),
            None | Some(JobResult::Done) => String::new(),
        }
    }

    /// What there is to say about the result.
    #[zbus(property)]
    fn message(&self) -> String {
        self.0.load().message.clone()
    }

    /// What it ends with.
    #[zbus(property)]
    fn report(&self) -> HashMap<String, OwnedVariant> {
        let part = self.0.load();
        let figures = part.report.iter();
        figures
            .filter_map(|(name, value)| Some(((*name).to_owned(), figure(value)?)))
            .collect()
    }

    /// It has come further: State, Progress and Counts.
    #[zbus(signal, name = "Progress")]
    pub(super) async fn went_on(
        emitter: &SignalEmitter<'_>,
        state: &str,
        progress: u32,
        counts: BTreeMap<&str, u64>,
    ) -> zbus::Result<()>;
}

/// Texts and truths as they are, what is not known not at all, lists as JSON; numbers as `t` if they can be, else as `x` or `d`.
pub(super) fn figure(value: &serde_json::Value) -> Option<OwnedVariant> {
    use serde_json::Value;
    let variant = match value {
        Value::Bool(truth) => Variant::from(*truth),
        Value::Number(number) => number
            .as_u64()
            .map(Variant::from)
            .or_else(|| number.as_i64().map(Variant::from))
            .or_else(|| number.as_f64().map(Variant::from))?,
        Value::String(text) => Variant::from(text.as_str()),
        // The bus has nothing for it.
        Value::Null => return None,
        other => Variant::from(other.to_string()),
    };
    OwnedVariant::try_from(variant).ok()
}

/// Since 1970, as everywhere on the bus. What was before does not occur.
pub(super) fn microseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_microsecond()).unwrap_or_default()
}
