//! The host is about to go down: everybody is told at once, in the few seconds that logind waits.

use std::rc::Rc;
use std::time::Duration;

use crate::control::logind::HostShutdown;
use crate::control::message_id;
use crate::control::systemd1::StopKind;
use crate::daemon::life::Daemon;
use crate::edge::Departure;
use crate::event;

/// logind waits 5 s unless `InhibitDelayMaxSec=` is set (logind.conf(5)).
const WITHIN: Duration = Duration::from_secs(4);

impl Daemon {
    /// logind has said something.
    pub(in crate::daemon) fn note_host(&mut self, announced: HostShutdown) {
        match announced {
            HostShutdown::Announced(kind) => self.bid_farewell(kind),
            HostShutdown::CalledOff => {
                event!(INFO, message_id::HOST_STAYS, "the host stays up after all");
                self.coordinator.host_shutdown = false;
                // What comes next is another drain.
                self.bidding = None;
                self.clients_at_start = 0;
                if self.phase.accepts() {
                    let edge = Rc::clone(&self.edge);
                    tokio::task::spawn_local(async move { edge.end_drain().await });
                }
            }
        }
    }

    fn bid_farewell(&mut self, kind: StopKind) {
        let (departure, what) = match kind {
            StopKind::Restart | StopKind::Unknown => (Departure::Restart, "restarts"),
            StopKind::Stop => (Departure::Stop, "goes down for good"),
        };
        event!(
            INFO,
            message_id::HOST_GOES_DOWN,
            baton_departure = what,
            "the host {what}: telling everybody"
        );
        self.coordinator.host_goes_down();
        if self.phase.accepts() {
            self.bidding = Some(self.drain(departure, false, Some(WITHIN)));
        } else {
            // A drain is under way, or over.
            self.logind.release();
        }
    }
}
