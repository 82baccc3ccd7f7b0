//! What outlives this process, in systemd's descriptor store, and whether systemd has it.

use std::rc::Rc;
use std::time::Duration;

use super::life::Daemon;
use crate::control::message_id;
use crate::control::systemd1::DescriptorStore;
use crate::edge::listener::{Listener, Origin};
use crate::event;
use crate::restart::fdstore;

/// How long systemd may take to say what it holds. Nobody waits for that.
const ASK_DEADLINE: Duration = Duration::from_secs(10);

impl Daemon {
    /// Stores what the next process is to have. systemd listens to the main process only: after
    /// a handoff this waits until the predecessor has said who that is.
    pub(super) fn store(&mut self) {
        if std::mem::replace(&mut self.stored, true) {
            return;
        }
        self.state.ticket_keys = self.tickets.carry();
        fdstore::store(&self.notifier, &self.listeners, &self.gone, &mut self.state);
        self.look_into_store();
    }

    /// The same after another configuration was put into use: `gone` are names of sockets that
    /// are not kept any more.
    pub(super) fn store_again(&mut self, gone: Vec<String>) {
        if !self.stored {
            // Together with what this process is still to store.
            self.gone.extend(gone);
            return;
        }
        fdstore::store(&self.notifier, &self.listeners, &gone, &mut self.state);
        let new = |one: &Listener| one.origin() == Origin::Bound;
        if self.listeners.iter().any(new) {
            self.look_into_store();
        }
    }

    /// Looks whether a new ticket key is due; the next process gets it, too.
    pub(super) fn rotate_tickets(&mut self) {
        match self.tickets.rotate_if_due() {
            Ok(false) => {}
            Ok(true) => {
                self.state.ticket_keys = self.tickets.carry();
                // After a handover the successor speaks to systemd.
                if self.phase.accepts() && self.stored {
                    fdstore::store_state(&self.notifier, &mut self.state);
                    self.look_into_store();
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// systemd does not tell the sender when its store is full (sd_notify(3), `FDSTORE=1`), so
    /// it is asked, on the side. Without a bus nobody can say.
    fn look_into_store(&self) {
        let (true, Some(systemd)) = (self.notifier.is_heard(), &self.systemd) else {
            return;
        };
        let systemd = Rc::clone(systemd);
        // The sockets, and the state.
        let stored = self.state.bound.len() + 1;
        tokio::task::spawn_local(async move {
            let Some(DescriptorStore { held, max }) = systemd.own_store(ASK_DEADLINE).await else {
                return;
            };
            if usize::try_from(held).is_ok_and(|held| held < stored) {
                // For a moment there are two states, so that there never is none.
                let needed = stored + 1;
                event!(
                    WARN,
                    message_id::FD_STORE_TOO_SMALL,
                    baton_stored = stored,
                    baton_held = held,
                    "systemd keeps {held} of {stored} descriptors (listening sockets that batond \
                     bound itself, TLS ticket keys): the next restart or crash loses the others \
                     (set FileDescriptorStoreMax= of the unit, now {max}, to {needed} or more)"
                );
            }
        });
    }
}
