//! The restart of services: what is asked for ([`requests`]) becomes jobs, and each job has a task
//! that drives it ([`drive`]) by what it sees ([`sight`], [`processor`]); what becomes of it is
//! kept and told ([`results`]). Before one begins, [`facts`] are gathered for the interlock.
//! [`orders`] are what a job is told meanwhile. [`targets`] says which backends are meant, [`arrivals`] how many newcomers are usual. What a lost
//! backend means is found out by [`losses`], and what follows from the end of the host by [`host`].

mod arrivals;
mod drive;
mod facts;
mod host;
mod losses;
mod orders;
mod processor;
mod requests;
mod results;
mod sight;
mod targets;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use self::arrivals::Arrivals;
pub(super) use self::drive::Update;
use self::orders::{End, Orders};
use self::targets::Wanted;
use crate::control::jobs::JobId;
use crate::control::units::Units;
use crate::edge::Edge;
use crate::restart::handoff::Rehearsals;
use crate::restart::job::Kind;

/// What jobs have told and the control loop has not heard yet. A job waits for it.
const UPDATES: usize = 64;

/// All that restarts services.
pub(super) struct Coordinator {
    units: Rc<Units>,
    rehearsals: Rc<Rehearsals>,
    /// Held by whoever finds out what a restart would do: anybody may ask, one at a time.
    planning: Rc<Mutex<()>>,
    running: RunningJobs,
    /// Of each service.
    arrivals: HashMap<String, Arrivals>,
    /// Clients a second that the host took back, of each service.
    known_rates: HashMap<String, f64>,
    /// What a service's unit took to be healthy again the last time.
    restart_took: HashMap<String, Duration>,
    pub(super) host_shutdown: bool,
    updates: mpsc::Sender<Update>,
}

/// Those that run. Never borrowed over an await.
type RunningJobs = Rc<RefCell<Vec<Running>>>;

/// A job that runs.
#[derive(Clone)]
struct Running {
    job: JobId,
    kind: Kind,
    wanted: Wanted,
    orders: Rc<Orders>,
}

impl Coordinator {
    /// Must be called within a local runtime: the edge's questions are answered from now on.
    pub(super) fn new(
        bus: Option<&str>,
        edge: &Edge,
        rehearsals: Rehearsals,
    ) -> (Self, mpsc::Receiver<Update>) {
        let (updates, received) = mpsc::channel(UPDATES);
        let units = Rc::new(Units::connect(bus));
        let running = RunningJobs::default();
        if let Some(losses) = edge.losses() {
            let (running, units) = (Rc::clone(&running), Rc::clone(&units));
            tokio::task::spawn_local(losses::answer(losses, running, units));
        }
        let coordinator = Self {
            units,
            rehearsals: Rc::new(rehearsals),
            planning: Rc::default(),
            running,
            arrivals: HashMap::new(),
            known_rates: HashMap::new(),
            restart_took: HashMap::new(),
            host_shutdown: false,
            updates,
        };
        (coordinator, received)
    }

    /// The service manager of this host.
    pub(super) fn units(&self) -> Rc<Units> {
        Rc::clone(&self.units)
    }

    /// Comes every half second. While a service is restarted, most who come are those who were
    /// told, so that time is left out.
    pub(super) fn look(&mut self, edge: &Edge) {
        let services = edge.services();
        let is_there = |name: &str| services.iter().any(|one| one.name == name);
        self.arrivals.retain(|name, _| is_there(name));
        self.known_rates.retain(|name, _| is_there(name));
        for service in services {
            let seen = self.arrivals.entry(service.name.clone()).or_default();
            let running = self.running.borrow();
            let counts = running.iter().all(|one| one.wanted.service != service.name);
            seen.look(service.counters().arrived, counts);
        }
    }

    /// Newcomers a second lately.
    fn newcomers(&self, service: &str) -> f64 {
        let seen = self.arrivals.get(service).map(Arrivals::at_a_time);
        seen.unwrap_or_default() / super::control_loop::TICK.as_secs_f64()
    }

    fn in_the_way(&self, wanted: &Wanted) -> Option<Running> {
        self.find(|one| one.wanted.overlaps(wanted))
    }

    fn find(&self, is_meant: impl Fn(&Running) -> bool) -> Option<Running> {
        self.running
            .borrow()
            .iter()
            .find(|one| is_meant(one))
            .cloned()
    }

    /// What restarts a service now, if anything does.
    pub(super) fn busy(&self) -> Option<(JobId, &'static str, String)> {
        let one = self.find(|_| true)?;
        Some((one.job, one.kind.word(), one.wanted.service))
    }

    /// Every job that runs ends, with its hold open: this process goes away.
    pub(super) fn cancel_all(&self) {
        for one in self.running.borrow().iter() {
            one.orders.end(End::Cancel);
        }
    }

    /// Every job that runs ends: the host goes away.
    pub(super) fn host_goes_down(&mut self) {
        self.host_shutdown = true;
        for one in self.running.borrow().iter() {
            one.orders.end(End::HostShutdown);
        }
    }

    pub(super) fn ended(&mut self, job: JobId) {
        self.running.borrow_mut().retain(|one| one.job != job);
    }
}
