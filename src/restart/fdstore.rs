//! systemd's descriptor store (systemd.service(5), `FileDescriptorStoreMax=`): what is put there
//! comes back to the next process that systemd starts for the unit, after a restart as after a
//! crash. Listening sockets that batond bound itself are kept under their listener's name, and
//! the [`State`] under a name that counts up, so that a new one is there before the old one goes.

use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt;

use super::state::State;
use crate::control::notify::Notifier;
use crate::edge::listener::{Listener, Origin, PassedSocket};

/// The state is kept as `state.1`, `state.2`, …; a listener's name has no dot.
const STATE_PREFIX: &str = "state.";

/// What systemd passed to this process, told apart.
#[derive(Default)]
pub struct Restored {
    /// Sockets of socket units, with their names.
    pub from_units: Vec<(String, OwnedFd)>,
    /// Sockets that batond bound in an earlier life.
    pub stored: Vec<PassedSocket>,
    /// What that life left.
    pub state: State,
}

/// Tells sockets of units from stored ones: the state knows the cookies of the latter
/// (`SO_COOKIE`, socket(7)), which stay the same for a socket's whole life. Without a state,
/// every socket counts as a unit's.
pub fn restore(passed: Vec<(String, OwnedFd)>) -> Restored {
    let (states, sockets): (Vec<_>, Vec<_>) = passed
        .into_iter()
        .partition(|(name, _)| generation(name).is_some());
    let mut state = State::default();
    for (name, file) in states {
        match State::unseal(file) {
            Ok(found) if found.generation >= state.generation => state = found,
            Ok(_) => {}
            Err(error) => tracing::warn!("the stored {name} cannot be used: {error}"),
        }
    }
    let is_bound = |socket: &OwnedFd| {
        sockopt::socket_cookie(socket).is_ok_and(|cookie| state.bound.contains(&cookie))
    };
    let (stored, from_units): (Vec<_>, Vec<_>) = sockets
        .into_iter()
        .partition(|(_, socket)| is_bound(socket));
    let stored = stored
        .into_iter()
        .map(|(name, socket)| PassedSocket {
            name,
            socket,
            from_unit: false,
        })
        .collect();
    Restored {
        from_units,
        stored,
        state,
    }
}

fn generation(name: &str) -> Option<u64> {
    name.strip_prefix(STATE_PREFIX)?.parse().ok()
}

/// Stores the sockets that batond bound itself, and the state with their cookies. What `state`
/// says of cookies is brought up to date, and its generation counted up. Names that no listener
/// has any more (`gone`) are removed.
///
/// The store does not say whether it took a descriptor; see `NFileDescriptorStore`.
pub fn store(notifier: &Notifier, listeners: &[Listener], gone: &[String], state: &mut State) {
    if !notifier.is_heard() {
        return;
    }
    for name in gone {
        notifier.unstore(name);
    }
    let own = || {
        listeners
            .iter()
            .filter(|one| one.origin() != Origin::Systemd)
    };
    for listener in own() {
        // A socket that is there already is not stored twice (sd_notify(3)), so only one that
        // was made anew can meet another of its name.
        if listener.origin() == Origin::Bound {
            notifier.unstore(listener.name());
        }
        notifier.store(listener.name(), listener.as_fd());
    }
    state.bound = own()
        .filter_map(|one| sockopt::socket_cookie(one).ok())
        .collect();
    store_state(notifier, state);
}

/// Stores the state anew, after its ticket keys have changed.
pub fn store_state(notifier: &Notifier, state: &mut State) {
    if !notifier.is_heard() {
        return;
    }
    let before = state.generation;
    state.generation = before + 1;
    match state.seal() {
        Ok(file) => {
            notifier.store(&format!("{STATE_PREFIX}{}", state.generation), file.as_fd());
            notifier.unstore(&format!("{STATE_PREFIX}{before}"));
        }
        Err(error) => {
            state.generation = before;
            tracing::warn!("TLS ticket keys will not outlive this process: {error}");
        }
    }
}
