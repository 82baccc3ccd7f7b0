//! Everything that is known at one moment. Nobody is asked for it: the counters of the edge are
//! read where they are counted, and the rest is what the control loop showed last.

use std::rc::Rc;
use std::sync::Arc;

use super::process::Process;
use crate::certificate::ledger::reason::Reason;
use crate::config::Limits;
use crate::control::command::Outlet;
use crate::control::journal::Log;
use crate::control::view::View;
use crate::edge::Edge;
use crate::edge::counters::{Counts, ServiceCounts};

/// Where it is read.
#[derive(Clone)]
pub struct Source {
    /// The workers' counters.
    pub edge: Rc<Edge>,
    /// What the control loop shows, at most half a second old.
    pub outlet: Outlet,
    /// What counts the entries that it drops.
    pub log: Log,
}

/// What was read.
pub struct Snapshot {
    /// Of the control loop.
    pub view: View,
    /// Of the whole edge.
    pub counts: Counts,
    /// Failed TLS handshakes, by reason.
    pub failures: Vec<(Reason, u64)>,
    /// Of each service, in the order of the configuration.
    pub services: Vec<Service>,
    /// Connections from clients, WebSockets or not.
    pub connections: u64,
    /// Clients with a WebSocket.
    pub clients: u64,
    /// The limits that hold.
    pub limits: Arc<Limits>,
    /// Log entries that were lost, and that were left out.
    pub log: (u64, u64),
    /// Of the kernel.
    pub process: Process,
}

/// One service.
pub struct Service {
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub counts: ServiceCounts,
    /// Newcomers that wait.
    pub held: u64,
    /// How many may.
    pub max_held: u64,
    /// Each backend's address, and its clients.
    pub backends: Vec<(String, u64)>,
}

impl Source {
    /// Reads it all.
    pub fn read(&self) -> Snapshot {
        let service = |one: &Arc<crate::edge::route::Service>| Service {
            name: one.name.clone(),
            counts: one.counters(),
            held: one.hold().held() as u64,
            max_held: one.restart.max_held as u64,
            backends: one
                .backends()
                .iter()
                .map(|backend| (backend.to_string(), backend.clients() as u64))
                .collect(),
        };
        Snapshot {
            view: self.outlet.view.borrow().clone(),
            counts: self.edge.counters().read(),
            failures: self.edge.ledger().counts().collect(),
            services: self.edge.services().iter().map(service).collect(),
            connections: self.edge.connections() as u64,
            clients: self.edge.clients() as u64,
            limits: self.edge.limits(),
            log: (self.log.lost(), self.log.left_out()),
            process: Process::now(),
        }
    }
}
