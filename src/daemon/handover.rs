//! Handing over to a successor process.

use std::ffi::OsString;
use std::rc::Rc;
use std::time::Duration;

use super::control_loop::Pending;
use super::life::Daemon;
use crate::control::message_id;
use crate::edge::listener::{Listener, OfferedSocket};
use crate::event;
use crate::restart::handoff::{self, HandoffError, Launch, Offer, Successor};
use crate::restart::state::State;

/// How long a successor may take until it is ready.
const SUCCESSOR_DEADLINE: Duration = Duration::from_secs(30);

impl Daemon {
    /// Starts a successor of the same program, with the same arguments.
    pub(super) fn prepare(&self) -> Pending<Result<Successor, HandoffError>> {
        event!(
            INFO,
            message_id::HANDOFF_STARTED,
            "starting a successor: {}",
            self.program.display()
        );
        let launch = Launch {
            program: self.program.clone(),
            args: without_successor_option(&self.arguments),
            environment: self.notifier.environment_for_successor(),
        };
        let listeners = Rc::clone(&self.listeners);
        let state = State {
            ticket_keys: self.tickets.carry(),
            ..self.state.clone()
        }
        .encode();
        Box::pin(async move {
            let offered: Vec<OfferedSocket<'_>> = listeners.iter().map(Listener::offer).collect();
            let offer = Offer {
                listeners: &offered,
                state: &state,
            };
            handoff::prepare(&launch, offer, SUCCESSOR_DEADLINE).await
        })
    }

    /// Lets the successor take over. If it does not, this process accepts again: the connections
    /// of the moment between have waited in the queue.
    ///
    /// # Errors
    /// Why the successor does not serve, in words.
    pub(super) async fn commit(
        &mut self,
        prepared: Result<Successor, HandoffError>,
    ) -> Result<(), String> {
        let handed_over = match prepared {
            Err(error) => Err(error),
            Ok(successor) => {
                self.edge.stop_accepting().await;
                let pid = successor.pid().as_raw_nonzero().get().unsigned_abs();
                if let Err(error) = self.notifier.hand_over(pid, Some(successor.pidfd())) {
                    tracing::warn!("systemd does not know of the new main process {pid}: {error}");
                }
                successor.commit().await
            }
        };
        match handed_over {
            Ok(departing) => {
                event!(
                    INFO,
                    message_id::HANDOFF_SUCCEEDED,
                    baton_successor = departing.pid().as_raw_nonzero().get(),
                    "process {} serves from now on",
                    departing.pid().as_raw_nonzero()
                );
                self.departing = Some(departing);
                if let Some(listeners) = Rc::get_mut(&mut self.listeners) {
                    listeners.iter_mut().for_each(Listener::hand_on);
                }
                self.listeners = Rc::default();
                Ok(())
            }
            Err(error) => {
                event!(
                    ERROR,
                    message_id::HANDOFF_FAILED,
                    "the successor does not serve, this process goes on: {error}"
                );
                self.accept_again().await;
                Err(error.to_string())
            }
        }
    }

    pub(super) async fn accept_again(&self) {
        // Also after a failure before anything was stopped: stopping twice does no harm.
        self.edge.stop_accepting().await;
        if let Err(error) = self.accept().await {
            error.report();
        }
        if let Err(error) = self.notifier.hand_over(std::process::id(), None) {
            tracing::warn!("systemd was not told who the main process is: {error}");
        }
    }
}

/// The arguments for a successor: our own, less the option that made us one.
fn without_successor_option(arguments: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == handoff::SUCCESSOR_OPTION {
            arguments.next();
        } else {
            kept.push(argument.clone());
        }
    }
    kept
}
