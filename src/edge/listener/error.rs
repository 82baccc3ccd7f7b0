//! Why there is no listening socket, and what to do about it.

use std::io;

/// A listener that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", super::key(listener))]
pub struct ListenError {
    /// Its name in the configuration.
    pub listener: String,
    /// What happened, with what, and what to do.
    pub cause: ListenFailure,
}

/// What went wrong with a listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenFailure {
    /// The configured address could not be bound or listened on.
    #[error("cannot bind {address}: {}{}", plain(error), remedy.as_deref().map(|remedy| format!(" ({remedy})")).unwrap_or_default())]
    Bind {
        /// As the configuration writes it.
        address: String,
        /// What the kernel said.
        error: io::Error,
        /// What the operator can do, if anything is known to help.
        remedy: Option<String>,
    },
    /// The path of a Unix socket is taken by something that is not a dead socket.
    #[error("cannot bind {address}: {what}")]
    Occupied {
        /// As the configuration writes it.
        address: String,
        /// What is there, and what to do.
        what: String,
    },
    /// A descriptor that was passed in is not a listening stream socket.
    #[error(
        "the descriptor passed under this name {what} (a socket unit needs ListenStream= and \
         Accept=no)"
    )]
    Unusable {
        /// What is wrong with it, as the rest of a sentence.
        what: String,
    },
    /// A descriptor that was passed in could not be looked at or set up.
    #[error("cannot set up the socket passed under this name: {}", plain(.0))]
    Adopt(io::Error),
}

impl ListenError {
    /// Somebody has the address already, or one that overlaps with it.
    pub(super) fn is_address_in_use(&self) -> bool {
        matches!(&self.cause, ListenFailure::Bind { error, .. }
            if error.kind() == io::ErrorKind::AddrInUse)
    }
}

impl ListenFailure {
    /// Looking at a passed descriptor failed.
    pub(super) fn adopting(error: rustix::io::Errno) -> Self {
        Self::Adopt(error.into())
    }
}

/// "permission denied" rather than "Permission denied (os error 13)", where the standard library
/// has a kind for it.
fn plain(error: &io::Error) -> String {
    // The kind for everything else is unstable, so it is known by its text.
    let kind = error.kind().to_string();
    match kind.as_str() {
        "uncategorized error" | "other error" => error.to_string(),
        _ => kind,
    }
}
