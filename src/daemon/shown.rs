//! What the daemon shows of itself, put together for whoever looks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::life::Daemon;
use crate::certificate::forecast::Change;
use crate::certificate::in_use::InUse;
use crate::certificate::leaf::Leaf;
use crate::config::{Config, ServiceConfig};
use crate::control::view::{
    Census, CertificateView, ClientView, Foretold, ListenerView, ServiceView, View,
};
use crate::edge::Connected;
use crate::edge::listener::{Cookie, Listener};

/// The part that only another configuration changes.
pub(super) struct Shown {
    services: Vec<Arc<ServiceConfig>>,
    listeners: Arc<[Arc<ListenerView>]>,
    certificates: Arc<[Arc<CertificateView>]>,
}

impl Shown {
    pub(super) fn of(config: &Config, in_use: &[InUse], sockets: &[Listener]) -> Self {
        Self {
            services: config.services.iter().cloned().map(Arc::new).collect(),
            listeners: listeners(config, sockets),
            certificates: certificates(config, in_use),
        }
    }
}

impl Shown {
    /// The certificate with this leaf.
    pub(super) fn certificate(&self, fingerprint: &str) -> Option<&CertificateView> {
        let mut all = self.certificates.iter();
        let found = all.find(|one| one.fingerprint == fingerprint)?;
        Some(found)
    }
}

fn listeners(config: &Config, sockets: &[Listener]) -> Arc<[Arc<ListenerView>]> {
    let view = |name: &String, certificates: &[String]| {
        let own = sockets.iter().filter(|one| one.name() == name);
        Arc::new(ListenerView {
            name: name.clone(),
            sockets: own
                .map(|one| (one.address().to_string(), one.origin()))
                .collect(),
            certificates: certificates.to_vec(),
        })
    };
    let all = config.listeners.iter();
    all.map(|one| view(&one.name, &one.certificates)).collect()
}

fn certificates(config: &Config, in_use: &[InUse]) -> Arc<[Arc<CertificateView>]> {
    let chain = |name: &str| {
        let one = config.certificates.iter().find(|one| one.name == name)?;
        Some(one.chain.clone())
    };
    let view = |one: &InUse| view_of(one, chain(&one.name)?);
    in_use.iter().filter_map(view).map(Arc::new).collect()
}

fn view_of(one: &InUse, chain: PathBuf) -> Option<CertificateView> {
    let leaf = Leaf::of(one.examination.pair()?)?;
    let first_end = one.examination.first_end(one.verdict.at);
    Some(CertificateView {
        name: one.name.clone(),
        chain,
        names: leaf.names,
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        chain_not_after: first_end.unwrap_or(leaf.not_after),
        fingerprint: leaf.fingerprint,
        listeners: one.listeners.keys().cloned().collect(),
        severity: one.verdict.severity(),
        breaks_clients: one.verdict.breaks_clients(),
        findings: one.verdict.findings.clone(),
        swapped: one.swapped,
        refused: one.worse_on_disk().map(str::to_owned),
        probe: String::new(),
    })
}

impl Shown {
    /// A certificate was looked at through its listeners. Whether that has seen anything new.
    pub(super) fn probed(&mut self, name: &str, seen: &str) -> bool {
        let before = &self.certificates;
        let is_new = |one: &&Arc<CertificateView>| one.name == name && one.probe != seen;
        if !before.iter().any(|one| is_new(&one)) {
            return false;
        }
        let view = |one: &Arc<CertificateView>| {
            if one.name != name {
                return Arc::clone(one);
            }
            let mut now = CertificateView::clone(one);
            seen.clone_into(&mut now.probe);
            Arc::new(now)
        };
        self.certificates = before.iter().map(view).collect();
        true
    }

    /// The certificates have changed, or what is said of them.
    pub(super) fn certify(&mut self, in_use: &[InUse]) {
        let before = &self.certificates;
        let view = |one: &InUse| {
            let known = before.iter().find(|view| view.name == one.name)?;
            let mut now = view_of(one, known.chain.clone())?;
            if now.fingerprint == known.fingerprint {
                now.probe.clone_from(&known.probe);
            }
            // What has not changed stays the same object.
            Some(if **known == now {
                Arc::clone(known)
            } else {
                Arc::new(now)
            })
        };
        self.certificates = in_use.iter().filter_map(view).collect();
    }
}

impl Daemon {
    /// What is to be seen from outside is brought up to date.
    pub(super) fn show(&self) {
        let service = |config: &Arc<ServiceConfig>| ServiceView {
            config: Arc::clone(config),
            clients: self.edge.clients_of(&config.name) as u64,
        };
        let now = View {
            phase: self.phase,
            generation: self.generation,
            clients: self.edge.clients() as u64,
            services: self.shown.services.iter().map(service).collect(),
            listeners: Arc::clone(&self.shown.listeners),
            certificates: Arc::clone(&self.shown.certificates),
            jobs: self.jobs.list(),
            ended: self.jobs.ended(),
            problems: self.problems.shown(),
            predecessor_clients: self.predecessor_left,
        };
        self.inbox.view.send_if_modified(|shown| {
            let changed = *shown != now;
            *shown = now;
            changed
        });
    }

    /// Counts the clients, beside everything else that happens, for one caller after the other:
    /// anybody may ask, and the workers have better things to do.
    pub(super) fn answer_clients(
        &self,
        service: Option<String>,
        limit: usize,
        answer: oneshot::Sender<Census>,
    ) {
        let edge = Rc::clone(&self.edge);
        let names: HashMap<Cookie, String> = self
            .listeners
            .iter()
            .filter_map(|one| Some((one.cookie().ok()?, one.name().to_owned())))
            .collect();
        let counting = Rc::clone(&self.counting);
        tokio::task::spawn_local(async move {
            let _turn = counting.lock().await;
            let count = edge.count(service.as_deref(), limit).await;
            let view = |one: Connected| ClientView {
                service: one.service,
                listener: names.get(&one.socket).cloned().unwrap_or_default(),
                address: one.peer,
                since: one.since,
            };
            // Who has gone away meanwhile does not want it any more.
            let _ = answer.send(Census {
                total: count.total as u64,
                clients: count.first.into_iter().map(view).collect(),
            });
        });
    }
    /// Works out what will become of the certificates, beside everything else that happens, for
    /// one caller after the other, as above.
    pub(super) fn foretell(&self, answer: oneshot::Sender<Vec<Foretold>>) {
        let in_use = Arc::clone(&self.in_use);
        let counting = Rc::clone(&self.counting);
        tokio::task::spawn_local(async move {
            let _turn = counting.lock().await;
            let work = tokio::task::spawn_blocking(move || foretold(&in_use, Timestamp::now()));
            // An answer that is dropped says that there is none.
            if let Ok(foretold) = work.await {
                let _ = answer.send(foretold);
            }
        });
    }
}

fn foretold(in_use: &[InUse], now: Timestamp) -> Vec<Foretold> {
    let of = |one: &InUse| {
        let view = |change: Change| Foretold {
            certificate: one.name.clone(),
            change,
        };
        let changes = one.examination.forecast(now).into_iter();
        changes.map(view).collect::<Vec<_>>()
    };
    let mut all: Vec<Foretold> = in_use.iter().flat_map(of).collect();
    all.sort_by_key(|one| one.change.at);
    all
}
