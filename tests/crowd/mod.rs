//! Many clients at once: steady ones that come back whatever happens, and newcomers at a steady
//! rate. They keep books of what each of them sees. Each kind has a thread of its own, so that the
//! newcomers do not wait for the steady ones.
//!
//! All speak `wss://`. A steady one keeps the TLS tickets that it gets, and none of the others'.

// Each test program includes this module and uses its own part of it.
#![allow(dead_code)]

pub(crate) mod books;
mod newcomer;
mod steady;
pub(crate) mod trust;
pub(crate) mod way_in;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use books::{Books, Ledger};
use trust::Trust;

/// How long any one wait may take before a test fails. It bounds a hang, it measures nothing: a
/// machine that is busy with other things may take its time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Who comes, and where.
pub(crate) struct Plan {
    /// Where they go.
    pub(crate) address: SocketAddr,
    /// Whom they trust.
    pub(crate) trust: Trust,
    /// How many steady clients there are.
    pub(crate) steady: usize,
    /// Each of them sends a message so often.
    pub(crate) says_every: Duration,
    /// Newcomers come so often, while they are [let](Crowd::newcomers_come).
    pub(crate) newcomer_every: Duration,
    /// Whether steady clients keep the tickets that they get.
    pub(crate) resumes: bool,
}

/// The clients. Dropping it ends them, without a Close.
pub(crate) struct Crowd {
    ledger: Arc<Ledger>,
    /// Its end is the end of both threads.
    coming: Option<watch::Sender<bool>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Has the steady clients connect, from the network of the calling thread. No newcomers yet.
    ///
    /// # Panics
    /// When no thread is to be had.
    pub(crate) fn gather(plan: Plan) -> Self {
        raise_descriptor_limit();
        let plan = Arc::new(plan);
        let ledger = Arc::new(Ledger::default());
        let (coming, come) = watch::channel(false);
        let (steady, newcomers) = (
            (Arc::clone(&plan), Arc::clone(&ledger), come.clone()),
            (plan, Arc::clone(&ledger), come),
        );
        let threads = vec![
            event_loop("steady", move || steady::stay(steady.0, steady.1, steady.2)),
            event_loop("newcomers", move || {
                newcomer::come(newcomers.0, newcomers.1, newcomers.2)
            }),
        ];
        Self {
            ledger,
            coming: Some(coming),
            threads,
        }
    }

    /// From now on newcomers come, or no more do.
    pub(crate) fn newcomers_come(&self, come: bool) {
        if let Some(coming) = &self.coming {
            // An error says that the threads have ended, which the next wait tells.
            let _ = coming.send(come);
        }
    }

    /// Waits until the books are so.
    ///
    /// # Panics
    /// After ten minutes, with what the books say then.
    pub(crate) fn wait(&self, what: &str, so: impl Fn(&Books) -> bool) {
        self.ledger.wait(what, PATIENCE, so);
    }

    /// Waits until so many newcomers have been served that have come since the call.
    pub(crate) fn wait_for_newcomers(&self, count: usize) {
        let since = Instant::now();
        self.wait("newcomers to be served", |books| {
            let newcomers = books.newcomers.iter().rev();
            let served = newcomers.filter(|one| one.arrival.began >= since && one.is_served());
            served.count() >= count
        });
    }

    /// Closes the books: what happened since the last time. Who is present stays in them.
    pub(crate) fn take_books(&self) -> Books {
        self.ledger.take()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Else they would see no reason to end: nothing has changed.
        self.newcomers_come(false);
        drop(self.coming.take());
        for thread in self.threads.drain(..) {
            // A panic has been printed by then; there is nothing to add to it.
            let _ = thread.join();
        }
    }
}

/// Runs a future on a thread of its own, to its end.
fn event_loop<F: Future<Output = ()>>(
    name: &str,
    make: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<()> {
    let run = move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        runtime.expect("make an event loop").block_on(make());
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.expect("start a thread")
}

/// As many descriptors as the hard limit allows.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let raised = setrlimit(Resource::Nofile, raised).map_err(io::Error::from);
    raised.expect("raise the limit on descriptors up to the hard limit");
}
