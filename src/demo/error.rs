//! What keeps the demo from its end.

use std::io;

use super::STEP;
use super::crowd::Progress;
use super::daemon::DaemonError;
use super::stage::StageError;

/// Exit codes.
pub(super) mod exit {
    /// A promise did not hold.
    pub(in crate::demo) const BROKEN: u8 = 1;
    /// The command line is wrong (sysexits.h).
    pub(super) const USAGE: u8 = 64;
    /// The demo could not be staged (sysexits.h).
    pub(super) const OSERR: u8 = 71;
    /// Ended by Ctrl-C, as shells report it.
    pub(super) const INTERRUPTED: u8 = 130;
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error(
        "{limit} descriptors are allowed, enough for {room} clients and not for {asked} (`ulimit \
         -n {needed}` allows more, `--clients {room}` asks for fewer)"
    )]
    NoRoom {
        limit: u64,
        room: usize,
        asked: usize,
        needed: u64,
    },
    #[error("{0}")]
    Stage(#[from] StageError),
    #[error("{0}")]
    Daemon(#[from] DaemonError),
    #[error("cannot {doing}: {error}")]
    Io {
        doing: &'static str,
        error: io::Error,
    },
    #[error(
        "of {clients} clients only {} have had a message echoed within {} s",
        progress.working,
        STEP.as_secs()
    )]
    Stuck { clients: usize, progress: Progress },
    #[error("{step} took longer than {} s", STEP.as_secs())]
    TimedOut { step: &'static str },
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoRoom { .. } => exit::USAGE,
            Self::Interrupted => exit::INTERRUPTED,
            Self::Stage(_)
            | Self::Daemon(_)
            | Self::Io { .. }
            | Self::Stuck { .. }
            | Self::TimedOut { .. } => exit::OSERR,
        }
    }
}

/// For `map_err`.
pub(super) fn failed(doing: &'static str) -> impl Fn(io::Error) -> DemoError {
    move |error| DemoError::Io { doing, error }
}
