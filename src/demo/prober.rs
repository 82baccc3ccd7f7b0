//! Newcomers: new connections at a steady rate, whatever happens on the other side. They show
//! whether anybody is ever refused.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{self, Message};

use super::connection::{Connection, Destination};
use super::event_loop::EventLoop;

/// How newcomers come.
#[derive(Clone)]
pub struct Plan {
    /// Where they go.
    pub destination: Destination,
    /// One comes so often.
    pub every: Duration,
    /// How long one waits until it is served, and for its end.
    pub patience: Duration,
}

/// Newcomers on a thread of their own. Dropping it ends them.
pub struct Prober {
    stop: watch::Sender<bool>,
    finished: watch::Receiver<usize>,
    thread: EventLoop<Vec<Probe>>,
}

/// One newcomer. It connects with TLS and upgrade, and closes at once.
#[derive(Debug)]
pub struct Probe {
    /// When it began to connect.
    pub began: Instant,
    /// How long it took from there to its WebSocket, or until it knew that it gets none.
    pub waited: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a newcomer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It had its WebSocket, and could close it.
    Served,
    /// Nobody listened.
    Refused,
    /// Its connection was reset or ended, at whatever point.
    Reset(String),
    /// Nothing came in time.
    TimedOut,
    /// It got something else: an answer that is not 101, or a certificate that it does not trust.
    Failed(String),
}

impl Prober {
    /// Has the first one come at once.
    ///
    /// # Errors
    /// When no thread is to be had.
    pub fn start(plan: Plan) -> io::Result<Self> {
        let (stop, mut stopped) = watch::channel(false);
        let (count, finished) = watch::channel(0);
        let thread = EventLoop::start("newcomers", move || async move {
            let plan = Arc::new(plan);
            let count = Arc::new(count);
            let mut ticks = interval(plan.every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut probes = JoinSet::new();
            loop {
                tokio::select! {
                    // An error says that the prober was dropped, and then this ends anyway.
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                    _ = ticks.tick() => {
                        let (plan, count) = (Arc::clone(&plan), Arc::clone(&count));
                        probes.spawn_local(async move {
                            let probe = probe(&plan).await;
                            count.send_modify(|count| *count += 1);
                            probe
                        });
                    }
                }
            }
            let mut probes = probes.join_all().await;
            probes.sort_by_key(|probe| probe.began);
            probes
        })?;
        Ok(Self {
            stop,
            finished,
            thread,
        })
    }

    /// Waits until so many have come and gone. No deadline: that is the caller's.
    pub async fn until(&mut self, count: usize) {
        // An error says that no more come.
        let _ = self.finished.wait_for(|finished| *finished >= count).await;
    }

    /// No more newcomers; waits for those under way, and returns all.
    ///
    /// # Errors
    /// When one panicked, which is a defect of the demo.
    pub async fn stop(mut self) -> io::Result<Vec<Probe>> {
        let _ = self.stop.send(true);
        self.thread
            .finished()
            .await
            .ok_or_else(|| io::Error::other("a newcomer panicked"))
    }
}

async fn probe(plan: &Plan) -> Probe {
    let began = Instant::now();
    let deadline = began + plan.patience;
    let connected = timeout_at(deadline, plan.destination.connect()).await;
    let waited = began.elapsed();
    let outcome = match connected {
        Err(_) => Outcome::TimedOut,
        Ok(Err(error)) if error.is_refused() => Outcome::Refused,
        Ok(Err(error)) if error.is_reset() => Outcome::Reset(error.to_string()),
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Ok(Ok(connection)) => close(connection, plan.patience).await,
    };
    Probe {
        began,
        waited,
        outcome,
    }
}

/// Also where it is told 1012 at once, since it was accepted by a process that is leaving, it has
/// been served: a Close is answered either way.
async fn close(mut connection: Connection, patience: Duration) -> Outcome {
    let closing = async {
        match connection.socket.close(None).await {
            // The server was faster with a Close of its own.
            Ok(()) | Err(tungstenite::Error::Protocol(_)) => {}
            Err(error) => return Err(error),
        }
        let mut closed = false;
        while let Some(message) = connection.socket.next().await {
            closed |= matches!(message?, Message::Close(_));
        }
        Ok(closed)
    };
    match timeout(patience, closing).await {
        Ok(Ok(true)) => Outcome::Served,
        Ok(Ok(false)) => Outcome::Reset("the connection ended without a Close".to_owned()),
        Ok(Err(error)) => Outcome::Reset(error.to_string()),
        Err(_) => Outcome::TimedOut,
    }
}
