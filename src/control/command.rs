//! What an operator asks of the running daemon, and what the daemon shows of itself: both cross
//! to the control loop and back here, whatever carried them.

use tokio::sync::{mpsc, oneshot, watch};

use crate::restart::lifecycle::Phase;

/// Requests that may wait for the control loop. An operator sends one, and waits.
const REQUESTS: usize = 16;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration again. The answer comes when it is in use.
    Reload,
    /// Hand over to a successor. The answer comes when that serves.
    Upgrade,
}

/// Why it was not done. The running state is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The configuration on disk cannot be put into use.
    #[error("{0}")]
    ConfigurationRefused(String),
    /// The successor does not serve.
    #[error("{0}")]
    HandoffFailed(String),
    /// Something else is under way that does not go together with it.
    #[error("{0}")]
    Busy(String),
}

/// Where the answer goes.
pub type Answer = oneshot::Sender<Result<(), Refusal>>;

/// A command, and who waits for its outcome.
#[derive(Debug)]
pub struct Request {
    /// What is to be done.
    pub command: Command,
    /// Dropped without a word: the process ends.
    pub answer: Answer,
}

/// What is to be seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the process stands.
    pub phase: Phase,
    /// 1 for the configuration of the start; every good reload adds one.
    pub generation: u64,
    /// Clients connected, at most half a second ago.
    pub clients: u64,
}

/// The control loop's end.
#[derive(Debug)]
pub struct Inbox {
    /// Commands, in the order in which they came.
    pub requests: mpsc::Receiver<Request>,
    /// Takes what is to be seen.
    pub snapshot: watch::Sender<Snapshot>,
}

/// The end of whoever carries commands.
#[derive(Clone, Debug)]
pub struct Outlet {
    requests: mpsc::Sender<Request>,
    /// What is to be seen.
    pub snapshot: watch::Receiver<Snapshot>,
}

/// Both ends.
pub fn channel(snapshot: Snapshot) -> (Inbox, Outlet) {
    let (sender, requests) = mpsc::channel(REQUESTS);
    let (shown, seen) = watch::channel(snapshot);
    let inbox = Inbox {
        requests,
        snapshot: shown,
    };
    let outlet = Outlet {
        requests: sender,
        snapshot: seen,
    };
    (inbox, outlet)
}

impl Outlet {
    /// Has the control loop carry out a command, and waits for the outcome.
    ///
    /// # Errors
    /// It was not done; see [`Refusal`].
    pub async fn ask(&self, command: Command) -> Result<(), Refusal> {
        let (answer, outcome) = oneshot::channel();
        self.requests
            .try_send(Request { command, answer })
            .map_err(|_| Refusal::Busy("too many requests wait already".to_owned()))?;
        let ending = |_| Err(Refusal::Busy("the process is ending".to_owned()));
        outcome.await.unwrap_or_else(ending)
    }
}
