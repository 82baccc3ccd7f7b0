//! What an operator asks of the running daemon: it crosses to the control loop and back here,
//! whatever carried it.
//!
//! A new command is a variant of [`Command`], a method of the same name in `dbus/manager.rs`, and
//! a subcommand of `batonctl`.

use tokio::sync::{mpsc, oneshot, watch};

use super::jobs::JobId;
use super::view::{Census, Failures, Foretold, View};
use crate::restart::interlock::Plan;

/// Requests that may wait for the control loop. An operator sends one, and waits.
const REQUESTS: usize = 16;

/// What is to be done. It becomes a job, or is about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration again. Done when it is in use.
    Reload,
    /// Hand over to a successor. Done when that serves.
    Upgrade,
    /// Restart a service. Done when its clients are back.
    Restart {
        /// Its name.
        service: String,
        /// How.
        options: Options,
    },
    /// Send the clients of a service away and hold newcomers. Done when it has been resumed.
    Drain {
        /// Its name.
        service: String,
        /// How.
        options: Options,
    },
    /// Bring a service back that was drained. The job is that of the drain.
    Resume {
        /// Its name.
        service: String,
    },
    /// Return the service of a job that runs to normal.
    Cancel {
        /// The job.
        job: JobId,
    },
}

/// How a service is restarted or drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Overrides those refusals of the interlock that may be overridden, and a canary that does
    /// not come back.
    pub force: bool,
}

/// What is to be done to the services behind a systemd unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitCommand {
    /// As [`Command::Drain`], of the backends that are the unit's.
    Drain(Options),
    /// As [`Command::Resume`].
    Resume,
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
    /// There is nothing of that name.
    #[error("{0}")]
    NotFound(String),
    /// The clients' return would fail: nobody was told.
    #[error("{0}")]
    Interlock(String),
    /// The first clients that were told did not come back: the others were not told.
    #[error("{0}")]
    CanaryLost(String),
    /// The unit was not restarted, or did not get healthy.
    #[error("{0}")]
    BackendNotBack(String),
    /// Somebody cancelled it, or the host goes down.
    #[error("{0}")]
    Canceled(String),
}

impl Refusal {
    /// One word for programs, as metrics have it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::ConfigurationRefused(_) => "configuration-refused",
            Self::HandoffFailed(_) => "handoff-failed",
            Self::Busy(_) => "busy",
            Self::NotFound(_) => "not-found",
            Self::Interlock(_) => "refused",
            Self::CanaryLost(_) => "canary-lost",
            Self::BackendNotBack(_) => "backend-not-back",
            Self::Canceled(_) => "canceled",
        }
    }

    /// There is no such `kind` of thing; perhaps one of the `known` is meant.
    pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let near = known
            .map(|one| (strsim::damerau_levenshtein(one, name), one))
            .min()
            .filter(|(distance, _)| *distance <= 1 + name.chars().count() / 3);
        Self::NotFound(match near {
            Some((_, near)) => format!("there is no {kind} {name:?} (did you mean {near:?}?)"),
            None => format!("there is no {kind} {name:?}"),
        })
    }
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
    /// Something is to be done to the services behind a unit.
    DoUnit {
        /// The unit.
        unit: String,
        /// What is to be done.
        command: UnitCommand,
        /// Who waits for the jobs to begin. None: there is nothing to do.
        answer: oneshot::Sender<Result<Vec<JobId>, Refusal>>,
    },
    /// Somebody wants to know what a restart would do.
    Plan {
        /// Of this service.
        service: String,
        /// Who waits.
        answer: oneshot::Sender<Result<Box<Plan>, Refusal>>,
    },
    /// Somebody wants to know what will become of the certificates in use.
    Forecast {
        /// Who waits. What comes first is first.
        answer: oneshot::Sender<Vec<Foretold>>,
    },
    /// Somebody wants to know which TLS handshakes failed.
    Failures {
        /// Who waits.
        answer: oneshot::Sender<Failures>,
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

    /// Has the control loop begin to do something to the services behind a unit.
    ///
    /// # Errors
    /// It was not begun; see [`Refusal`].
    pub async fn begin_unit(
        &self,
        unit: String,
        command: UnitCommand,
    ) -> Result<Vec<JobId>, Refusal> {
        let (answer, begun) = oneshot::channel();
        self.send(Request::DoUnit {
            unit,
            command,
            answer,
        })?;
        begun.await.unwrap_or_else(|_| Err(ending()))
    }

    /// What a restart of a service would do.
    ///
    /// # Errors
    /// There is no such service, too many requests wait, or the process ends.
    pub async fn plan(&self, service: String) -> Result<Box<Plan>, Refusal> {
        let (answer, planned) = oneshot::channel();
        self.send(Request::Plan { service, answer })?;
        planned.await.unwrap_or_else(|_| Err(ending()))
    }

    /// What will become of the certificates in use, if nothing is done, in order of time.
    ///
    /// # Errors
    /// Too many requests wait, or the process ends.
    pub async fn forecast(&self) -> Result<Vec<Foretold>, Refusal> {
        let (answer, foretold) = oneshot::channel();
        self.send(Request::Forecast { answer })?;
        foretold.await.map_err(|_| ending())
    }

    /// Which TLS handshakes failed.
    ///
    /// # Errors
    /// Too many requests wait, or the process ends.
    pub async fn failures(&self) -> Result<Failures, Refusal> {
        let (answer, failures) = oneshot::channel();
        self.send(Request::Failures { answer })?;
        failures.await.map_err(|_| ending())
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
