//! The end of the process or of its service: where the clients are sent, how they leave, and what
//! is told about it.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::control_loop::Pending;
use super::life::Daemon;
use crate::control::message_id;
use crate::control::systemd1::{self, StopKind};
use crate::edge::listener::{Listener, Origin};
use crate::edge::{Announcement, Departure};
use crate::event;
use crate::restart::handoff::{Predecessor, Progress};
use crate::restart::lifecycle::Phase;
use crate::restart::report::DrainReport;

/// How long systemd may take to say what it has in mind.
pub(super) const ASK_DEADLINE: Duration = Duration::from_secs(1);

/// What a drain asks systemd for, over and over: enough for a few looks at the state.
const MORE_TIME: Duration = Duration::from_secs(10);

impl Daemon {
    /// Gives up the sockets and finds out where the clients are to be sent.
    pub(super) async fn stop(&mut self) -> Departure {
        let departure = match self.ask_systemd().await {
            StopKind::Restart => Departure::Restart,
            StopKind::Stop => Departure::Stop,
            // Nobody can say. Sockets that came from outside outlive this process, so somebody
            // means to go on with them.
            StopKind::Unknown => {
                let lasting = |one: &Listener| one.origin() == Origin::Systemd;
                if self.listeners.iter().any(lasting) {
                    Departure::Restart
                } else {
                    Departure::Stop
                }
            }
        };
        let what = match departure {
            Departure::Restart => "to be started again",
            Departure::Stop | Departure::Removed => "for good",
        };
        self.notifier.stopping(&format!("stopping {what}"));
        event!(
            INFO,
            message_id::STOPPING,
            baton_departure = what,
            "stopping {what}"
        );
        self.edge.stop_accepting().await;
        if departure == Departure::Restart
            && self.notifier.is_heard()
            && let Some(listeners) = Rc::get_mut(&mut self.listeners)
        {
            // The next process gets the sockets from the store, and clients need their files.
            listeners.iter_mut().for_each(Listener::hand_on);
        }
        self.listeners = Rc::default();
        departure
    }

    pub(super) async fn ask_systemd(&self) -> StopKind {
        match &self.systemd {
            Some(systemd) => systemd.own_stop_kind(ASK_DEADLINE).await,
            None => systemd1::own_stop_kind(self.args.bus.as_deref(), ASK_DEADLINE).await,
        }
    }

    pub(super) fn drain(
        &mut self,
        departure: Departure,
        paced: bool,
        within: Option<Duration>,
    ) -> Pending<()> {
        if self.clients_at_start == 0 {
            self.clients_at_start = self.edge.clients() as u64;
            self.before_drain = self.drain_report();
            event!(
                INFO,
                message_id::DRAIN_STARTED,
                baton_clients = self.clients_at_start,
                "telling {} clients to leave",
                self.clients_at_start
            );
        }
        let announcement = Announcement {
            departure,
            paced,
            within,
            since: Instant::now(),
        };
        let edge = Rc::clone(&self.edge);
        Box::pin(async move { edge.drain(&announcement).await })
    }

    pub(super) fn drain_report(&self) -> DrainReport {
        self.edge
            .counters()
            .drain_report(self.clients_at_start, self.edge.clients() as u64)
            .since(&self.before_drain)
    }

    pub(super) async fn report(&mut self) {
        let report = self.drain_report();
        if report.remaining > 0 {
            event!(
                WARN,
                message_id::DRAIN_DEADLINE_PASSED,
                baton_clients = report.remaining,
                "{} clients had not left in time and are cut off",
                report.remaining
            );
        }
        event!(
            INFO,
            message_id::DRAIN_FINISHED,
            baton_told = report.told,
            baton_closed_cleanly = report.closed_cleanly,
            baton_timed_out = report.timed_out,
            baton_discarded = report.discarded_messages,
            "{report}"
        );
        if let Some(departing) = self.departing.take() {
            departing.done(report).await;
        }
    }

    pub(super) fn note_predecessor(
        &mut self,
        progress: Option<Progress>,
        from: &mut Option<Predecessor>,
    ) {
        self.store();
        match progress {
            Some(Progress::Draining(report)) => self.predecessor_left = Some(report.remaining),
            Some(Progress::Done(report)) => {
                // It has told so itself.
                tracing::debug!("the predecessor has left: {report}");
                self.predecessor_left = None;
            }
            None => {
                self.predecessor_left = None;
                *from = None;
            }
        }
    }

    pub(super) fn status(&self) -> String {
        let clients = self.edge.clients();
        let status = match (self.phase, self.predecessor_left) {
            (Phase::Serving, None) if self.doors_open() == 0 && clients == 0 => format!(
                "idle: no listener is configured (edit {}, see batond(8))",
                self.args.config.display()
            ),
            (Phase::Serving, None) => format!("serving {clients} clients"),
            (Phase::Serving, Some(left)) => {
                format!("serving {clients} clients; {left} are leaving the predecessor")
            }
            (Phase::HandingOff, _) => format!("serving {clients} clients; starting a successor"),
            (_, None) => format!(
                "{clients} of {} clients have yet to leave",
                self.clients_at_start
            ),
            (_, Some(left)) => format!(
                "{clients} of {} clients have yet to leave, and {left} of the predecessor's",
                self.clients_at_start
            ),
        };
        match self.problems.summary() {
            Some(problems) if self.phase.accepts() => format!("{problems}; {status}"),
            _ => status,
        }
    }

    pub(super) async fn tell_status(&mut self) {
        self.notifier.status(&self.status());
        self.show();
        if !self.phase.accepts() || self.predecessor_left.is_some() {
            self.notifier.extend_timeout(MORE_TIME);
        }
        let report = self.drain_report();
        if let Some(departing) = &mut self.departing {
            departing.progress(report).await;
        }
    }
}
