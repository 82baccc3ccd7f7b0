//! The control loop: whatever happens becomes an event of the lifecycle, and what that answers is
//! carried out.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::life::{BUS_DEADLINE, Daemon};
use crate::control::command::{Answer, Command, Refusal};
use crate::control::signals::Signal;
use crate::edge::Departure;
use crate::restart::handoff::{Departing, HandoffError, Predecessor, Progress, Successor};
use crate::restart::lifecycle::{Action, Event, Phase};

/// How often the state is looked at for `STATUS=` and for progress reports.
const TICK: Duration = Duration::from_millis(500);

/// How long a process that has nothing left to do waits for its predecessor, whose own deadline
/// is shorter.
const OUTWAIT: Duration = Duration::from_secs(10 * 60);

/// How long clients have after a second SIGTERM.
const HURRY: Duration = Duration::from_secs(1);

/// Why a request is refused.
const UNDER_WAY: &str = "a handoff or a stop is under way already";

/// A future that the loop waits for among others. There is at most one of a kind.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

impl Daemon {
    pub(super) async fn control(&mut self, mut predecessor: Option<Predecessor>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watchdog = self.notifier.watchdog_interval().map(interval);
        let mut preparing: Option<Pending<Result<Successor, HandoffError>>> = None;
        let mut draining: Option<Pending<()>> = None;
        let mut answering: Option<Pending<bool>> = None;
        // With KillMode=mixed systemd kills what is left when the main process ends: outwait a
        // predecessor that is still draining, unless asked once more.
        let mut outwait = None;
        while self.phase != Phase::Ended || predecessor.is_some() {
            let mut answer = None;
            let mut failure = String::new();
            let event = tokio::select! {
                signal = self.signals.recv() => Some(match signal {
                    Signal::Terminate => Event::Terminate,
                    Signal::HandOff => Event::HandOff,
                    Signal::Reload => Event::Reload,
                }),
                Some(request) = self.inbox.requests.recv() => {
                    answer = Some(request.answer);
                    Some(match request.command {
                        Command::Reload => Event::Reload,
                        Command::Upgrade => Event::HandOff,
                    })
                }
                result = done(&mut preparing) => Some(match self.commit(result).await {
                    Ok(()) => Event::SuccessorServes,
                    Err(reason) => {
                        failure = reason;
                        Event::SuccessorFailed
                    }
                }),
                () = done(&mut draining) => Some(Event::Drained),
                () = gone(&self.departing), if self.phase == Phase::HandedOver => {
                    tracing::error!("the successor has ended: this process does, too, at once");
                    Some(Event::SuccessorGone)
                }
                progress = next_progress(&mut predecessor) => {
                    self.note_predecessor(progress, &mut predecessor);
                    None
                }
                () = past(outwait) => break,
                _ = tick.tick() => {
                    self.tell_status().await;
                    self.rotate_tickets();
                    None
                }
                () = due(&mut watchdog), if answering.is_none() => {
                    let edge = Rc::clone(&self.edge);
                    answering = Some(Box::pin(async move { edge.ping().await }));
                    None
                }
                alive = done(&mut answering) => {
                    // Both loops have answered: this one and every worker's.
                    if alive {
                        self.notifier.watchdog();
                    }
                    None
                }
            };
            let Some(event) = event else { continue };
            if self.phase == Phase::Ended && event == Event::Terminate {
                break;
            }
            let (phase, action) = self.phase.on(event);
            self.phase = phase;
            self.show();
            match action {
                Action::Nothing => {}
                Action::Refuse => {
                    tracing::warn!("{UNDER_WAY}");
                    tell(answer, Err(Refusal::Busy(UNDER_WAY.to_owned())));
                }
                Action::Reload => {
                    let outcome = self.reload().await;
                    self.show();
                    tell(answer, outcome.map_err(Refusal::ConfigurationRefused));
                }
                Action::StartSuccessor => {
                    self.upgrading = answer;
                    preparing = Some(self.prepare());
                }
                Action::CarryOn => {
                    preparing = None;
                    self.failure = Some(format!("upgrade failed: {}", beginning(&failure)));
                    // Whoever asked may look there next.
                    self.notifier.status(&self.status());
                    let outcome = Err(Refusal::HandoffFailed(failure));
                    tell(self.upgrading.take(), outcome);
                }
                Action::HandOver => {
                    draining = Some(self.drain(Departure::Restart, true, None));
                    if let Some(bus) = &mut self.bus {
                        bus.let_name_go(BUS_DEADLINE).await;
                    }
                    tell(self.upgrading.take(), Ok(()));
                }
                Action::AbandonAndStop | Action::Stop => {
                    // Dropping the future ends the successor.
                    preparing = None;
                    let outcome = Refusal::HandoffFailed("the process was asked to end".to_owned());
                    tell(self.upgrading.take(), Err(outcome));
                    self.departure = self.stop().await;
                    draining = Some(self.drain(self.departure, false, None));
                }
                Action::Hurry => {
                    draining = Some(self.drain(self.departure, false, Some(HURRY)));
                }
                Action::Exit => {
                    self.report().await;
                    outwait = Some(Instant::now() + OUTWAIT);
                }
            }
        }
    }
}

/// Tells whoever waits for the outcome, if anybody does.
fn tell(answer: Option<Answer>, outcome: Result<(), Refusal>) {
    if let Some(answer) = answer {
        // Who has gone away meanwhile finds it in the log.
        let _ = answer.send(outcome);
    }
}

/// What fits on the one line of `STATUS=`. A mistake in the configuration is on the second line.
fn beginning(reason: &str) -> String {
    let lines: Vec<&str> = reason.lines().take(2).collect();
    lines.join(": ")
}

/// Resolves when the future does, and takes it away; never without one.
async fn done<T>(pending: &mut Option<Pending<T>>) -> T {
    match pending {
        None => std::future::pending().await,
        Some(future) => {
            let result = future.as_mut().await;
            *pending = None;
            result
        }
    }
}

async fn due(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        None => std::future::pending().await,
        Some(interval) => {
            interval.tick().await;
        }
    }
}

async fn past(at: Option<Instant>) {
    match at {
        None => std::future::pending().await,
        Some(at) => tokio::time::sleep_until(at).await,
    }
}

async fn gone(successor: &Option<Departing>) {
    match successor {
        None => std::future::pending().await,
        Some(successor) => successor.ended().await,
    }
}

async fn next_progress(predecessor: &mut Option<Predecessor>) -> Option<Progress> {
    match predecessor {
        None => std::future::pending().await,
        Some(predecessor) => predecessor.next_progress().await,
    }
}
