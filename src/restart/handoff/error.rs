//! Where a handoff failed, and why.

use std::fmt;
use std::io;
use std::time::Duration;

use super::message::DecodeError;

/// A handoff that did not happen.
#[derive(Debug, thiserror::Error)]
#[error("the handoff failed {step}: {cause}")]
pub struct HandoffError {
    /// What was being done.
    pub step: Step,
    /// What went wrong.
    pub cause: Cause,
}

/// The steps of a handoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Old side: the offer is put together.
    Compose,
    /// Old side: the launcher starts the successor.
    Start,
    /// Old side: the successor is to introduce itself. New side: it does.
    Introduce,
    /// Old side: listeners and state are sent. New side: they are received.
    Offer,
    /// The successor prepares to serve.
    GetReady,
    /// The successor is to take over.
    Commit,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The kernel refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The program could not be started.
    #[error("cannot start {program}: {error}")]
    Spawn {
        /// Which one.
        program: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// The launcher ended without having started the successor.
    #[error("the launcher ended with {0}")]
    Launcher(std::process::ExitStatus),
    /// More is to be passed than a handoff takes.
    #[error("{0}")]
    TooMuch(String),
    /// The other process is gone.
    #[error("the other process has ended (its last log lines may say why)")]
    Ended,
    /// The other process did not get there in time.
    #[error("the other process did not get there within {0:?}")]
    TimedOut(Duration),
    /// The other process gave up, and says why.
    #[error("{0}")]
    GaveUp(String),
    /// The other process does not go along, and says why.
    #[error("the other process refuses: {0}")]
    Refused(String),
    /// The predecessor goes on serving.
    #[error("the predecessor called it off")]
    Abandoned,
    /// What came is not a message.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
    /// A message that does not belong here.
    #[error("the other process sent {0} out of turn")]
    OutOfTurn(&'static str),
    /// A message from a process that has no part in this.
    #[error("a message came from process {0}, which was not started for this")]
    Stranger(i32),
    /// Descriptors were lost on their way.
    #[error(
        "not every descriptor arrived: this process has as many open files as it may have (raise \
         LimitNOFILE=)"
    )]
    DescriptorsLost,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compose => "before the successor was started",
            Self::Start => "while the successor was being started",
            Self::Introduce => "while the successor introduced itself",
            Self::Offer => "while the listening sockets were passed",
            Self::GetReady => "while the successor got ready",
            Self::Commit => "while the successor took over",
        })
    }
}

impl Cause {
    /// What to answer the other side, if it can make something of an answer.
    pub(super) fn refusal(&self) -> Option<String> {
        match self {
            Self::Malformed(_)
            | Self::OutOfTurn(_)
            | Self::Stranger(_)
            | Self::TooMuch(_)
            | Self::DescriptorsLost => Some(self.to_string()),
            _ => None,
        }
    }
}
