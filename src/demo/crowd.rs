//! Many clients at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::client::{self, Story};
use super::connection::{Connection, Destination};
use super::event_loop::EventLoop;

/// Who comes, and how they behave.
#[derive(Clone)]
pub struct Plan {
    /// Where they go.
    pub destination: Destination,
    /// How many they are.
    pub clients: usize,
    /// Each sends a message so often.
    pub interval: Duration,
    /// So many may be connecting at the same time.
    pub connecting: usize,
    /// How long one waits for a connection, and for its end.
    pub patience: Duration,
}

/// Where the crowd stands. Numbers of clients; those that only grow count each event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Connected and not ended.
    pub present: usize,
    /// Connections whose first message was echoed.
    pub working: usize,
    /// Closes received.
    pub told: usize,
    /// Connections that ended with a Close.
    pub ended: usize,
    /// Connections that ended without one.
    pub cut: usize,
    /// Clients that gave up, since they could not connect.
    pub failed: usize,
}

/// What a client reports.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Connected,
    Works,
    Told,
    Ended,
    Cut,
    Failed,
}

/// Clients on a thread of their own. Dropping it ends them, without a Close.
pub struct Crowd {
    progress: watch::Receiver<Progress>,
    echoes: Arc<AtomicU64>,
    dismiss: watch::Sender<bool>,
    thread: EventLoop<Vec<Story>>,
}

/// What one client knows of the crowd.
pub(super) struct Member {
    pub(super) number: usize,
    pub(super) plan: Arc<Plan>,
    doorway: Arc<Semaphore>,
    progress: Arc<watch::Sender<Progress>>,
    echoes: Arc<AtomicU64>,
    dismissed: watch::Receiver<bool>,
}

impl Crowd {
    /// Has them all connect.
    ///
    /// # Errors
    /// When no thread is to be had.
    pub fn gather(plan: Plan) -> io::Result<Self> {
        let (sender, progress) = watch::channel(Progress::default());
        let (dismiss, dismissed) = watch::channel(false);
        let echoes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&echoes);
        let thread = EventLoop::start("clients", move || async move {
            let doorway = Arc::new(Semaphore::new(plan.connecting));
            let plan = Arc::new(plan);
            let progress = Arc::new(sender);
            let mut clients = JoinSet::new();
            for number in 0..plan.clients {
                clients.spawn_local(client::live(Member {
                    number,
                    plan: Arc::clone(&plan),
                    doorway: Arc::clone(&doorway),
                    progress: Arc::clone(&progress),
                    echoes: Arc::clone(&counter),
                    dismissed: dismissed.clone(),
                }));
            }
            clients.join_all().await
        })?;
        Ok(Self {
            progress,
            echoes,
            dismiss,
            thread,
        })
    }

    /// Where it stands.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Messages that have been echoed so far.
    pub fn echoes(&self) -> u64 {
        self.echoes.load(Relaxed)
    }

    /// Waits until the crowd stands so, or all clients have gone. No deadline: that is the
    /// caller's.
    pub async fn until(&mut self, stands: impl FnMut(&Progress) -> bool) -> Progress {
        let _ = self.progress.wait_for(stands).await;
        self.progress()
    }

    /// Has every client wait for the echoes that are under way, and close; returns when all have
    /// ended, with what happened to each.
    ///
    /// # Errors
    /// When a client panicked, which is a defect of the demo.
    pub async fn dismiss(mut self) -> io::Result<Vec<Story>> {
        let _ = self.dismiss.send(true);
        self.thread
            .finished()
            .await
            .ok_or_else(|| io::Error::other("a client panicked"))
    }
}

impl Member {
    /// None: the crowd was dismissed meanwhile.
    pub(super) async fn connect(&mut self) -> Option<Result<Connection, String>> {
        let doorway = Arc::clone(&self.doorway);
        let plan = Arc::clone(&self.plan);
        let connecting = async {
            // It is never closed.
            let _permit = doorway.acquire().await;
            match timeout(plan.patience, plan.destination.connect()).await {
                Ok(Ok(connection)) => Ok(connection),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("no connection in time".to_owned()),
            }
        };
        let connected = tokio::select! {
            connected = connecting => connected,
            () = self.dismissed() => return None,
        };
        if connected.is_ok() {
            self.report(Change::Connected);
        }
        Some(connected)
    }

    /// Resolves when the crowd is dismissed.
    pub(super) async fn dismissed(&mut self) {
        // An error says that the crowd has been dropped, and then this task ends anyway.
        let _ = self.dismissed.wait_for(|dismissed| *dismissed).await;
    }

    pub(super) fn count_echo(&self) {
        self.echoes.fetch_add(1, Relaxed);
    }

    pub(super) fn report(&self, change: Change) {
        self.progress.send_modify(|progress| match change {
            Change::Connected => progress.present += 1,
            Change::Works => progress.working += 1,
            Change::Told => progress.told += 1,
            Change::Ended => {
                progress.present -= 1;
                progress.ended += 1;
            }
            Change::Cut => {
                progress.present -= 1;
                progress.cut += 1;
            }
            Change::Failed => progress.failed += 1,
        });
    }
}
