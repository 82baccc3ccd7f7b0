//! What an operator asks of the running daemon: it crosses to the control loop and back here,
//! whatever carried it.
//!
//! A new command is a variant of [`Command`] with its [`JobKind`], a method of the same name in
//! `dbus/manager.rs`, and a subcommand of `batonctl`.

use tokio::sync::{mpsc, oneshot, watch};

use super::jobs::{JobId, JobKind};
use super::view::{Census, View};

/// Requests that may wait for the control loop. An operator sends one, and waits.
const REQUESTS: usize = 16;

/// What is to be done. It becomes a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration again. Done when it is in use.
    Reload,
    /// Hand over to a successor. Done when that serves.
    Upgrade,
}

impl Command {
    /// The kind of job that it becomes.
    pub fn kind(self) -> JobKind {
        match self {
            Self::Reload => JobKind::Reload,
            Self::Upgrade => JobKind::Upgrade,
        }
    }
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

/// Where the number of the job goes, as soon as there is one.
pub type Answer = oneshot::Sender<Result<JobId, Refusal>>;

/// What reaches the control loop. An answer that is dropped without a word means that the process
/// ends.
#[derive(Debug)]
pub enum Request {
    /// Something is to be changed.
    Do {
        /// What is to be done.
        command: Command,
        /// Who waits for the job to begin.
        answer: Answer,
    },
    /// Somebody wants to know who is connected.
    Clients {
        /// Of this service only; None: of all.
        service: Option<String>,
        /// At most so many are listed. All are counted.
        limit: usize,
        /// Who waits.
        answer: oneshot::Sender<Census>,
    },
}

/// The control loop's end.
#[derive(Debug)]
pub struct Inbox {
    /// Requests, in the order in which they came.
    pub requests: mpsc::Receiver<Request>,
    /// Takes what is to be seen.
    pub view: watch::Sender<View>,
}

/// The end of whoever carries requests.
#[derive(Clone, Debug)]
pub struct Outlet {
    requests: mpsc::Sender<Request>,
    /// What is to be seen.
    pub view: watch::Receiver<View>,
}

/// Both ends.
pub fn channel(view: View) -> (Inbox, Outlet) {
    let (sender, requests) = mpsc::channel(REQUESTS);
    let (shown, seen) = watch::channel(view);
    let inbox = Inbox {
        requests,
        view: shown,
    };
    let outlet = Outlet {
        requests: sender,
        view: seen,
    };
    (inbox, outlet)
}

impl Outlet {
    /// Has the control loop begin to carry out a command. What becomes of it is told by the job.
    ///
    /// # Errors
    /// It was not begun; see [`Refusal`].
    pub async fn begin(&self, command: Command) -> Result<JobId, Refusal> {
        let (answer, begun) = oneshot::channel();
        self.send(Request::Do { command, answer })?;
        begun.await.unwrap_or_else(|_| Err(ending()))
    }

    /// Who is connected, of one service or of all; at most `limit` of them by name.
    ///
    /// # Errors
    /// Too many requests wait, or the process ends.
    pub async fn clients(&self, service: Option<String>, limit: usize) -> Result<Census, Refusal> {
        let (answer, counted) = oneshot::channel();
        self.send(Request::Clients {
            service,
            limit,
            answer,
        })?;
        counted.await.map_err(|_| ending())
    }

    fn send(&self, request: Request) -> Result<(), Refusal> {
        self.requests
            .try_send(request)
            .map_err(|_| Refusal::Busy("too many requests wait already".to_owned()))
    }
}

fn ending() -> Refusal {
    Refusal::Busy("the process is ending".to_owned())
}
