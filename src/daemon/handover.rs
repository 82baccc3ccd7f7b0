//! Handing over to a successor process.

use std::ffi::OsString;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::control_loop::Pending;
use super::life::Daemon;
use super::reload;
use super::setup::StartError;
use crate::control::command::Refusal;
use crate::control::message_id;
use crate::edge::listener::{Listener, OfferedSocket, PassedSocket};
use crate::event;
use crate::restart::handoff::{self, Departing, HandoffError, Launch, Offer, Successor};
use crate::restart::state::State;

/// How long a successor may take until it is ready.
const SUCCESSOR_DEADLINE: Duration = Duration::from_secs(30);

/// Why there is no successor.
pub(super) enum Unprepared {
    /// It was not started: with what is on disk clients would fail who do not fail now.
    Worse(StartError),
    /// It does not get ready.
    Failed(HandoffError),
}

impl Daemon {
    /// Starts a successor of the same program, with the same arguments, unless it would serve a
    /// certificate that is worse than the one that is served.
    pub(super) fn prepare(&self) -> Pending<Result<Successor, Unprepared>> {
        let launch = Launch {
            program: self.program.clone(),
            args: without_successor_option(&self.arguments),
            environment: self.notifier.environment_for_successor(),
        };
        let (listeners, aside) = (Rc::clone(&self.listeners), Rc::clone(&self.aside));
        let state = State {
            ticket_keys: self.tickets.carry(),
            ..self.state.clone()
        }
        .encode();
        let path = self.args.config.clone();
        let (tickets, served) = (Arc::clone(&self.tickets), Arc::clone(&self.in_use));
        Box::pin(async move {
            // Whatever else is wrong keeps the successor from serving, and it says so itself. It
            // may be of another version, which knows settings that this one does not.
            if let Err(error @ StartError::Worse { .. }) =
                reload::read(path, &tickets, &served).await
            {
                return Err(Unprepared::Worse(error));
            }
            event!(
                INFO,
                message_id::HANDOFF_STARTED,
                "starting a successor: {}",
                launch.program.display()
            );
            let listeners = listeners.iter().map(Listener::offer);
            let offered: Vec<OfferedSocket<'_>> = listeners
                .chain(aside.iter().map(PassedSocket::offer))
                .collect();
            let offer = Offer {
                listeners: &offered,
                state: &state,
            };
            handoff::prepare(&launch, offer, SUCCESSOR_DEADLINE)
                .await
                .map_err(Unprepared::Failed)
        })
    }

    /// Lets the successor take over. If it does not, this process accepts again: the connections
    /// of the moment between have waited in the queue.
    ///
    /// # Errors
    /// Why the successor does not serve, in words.
    pub(super) async fn commit(
        &mut self,
        prepared: Result<Successor, Unprepared>,
    ) -> Result<(), Refusal> {
        let handed_over = match prepared {
            Err(Unprepared::Worse(error)) => {
                let why = format!("{error} (`batond check` shows everything that is wrong)");
                tracing::warn!("no handoff: {why}");
                return Err(Refusal::Interlock(why));
            }
            Err(Unprepared::Failed(error)) => Err(error.to_string()),
            Ok(successor) => self.let_go(successor).await,
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
                self.scrape_at(None).await;
                self.aside = Rc::default();
                Ok(())
            }
            Err(error) => {
                event!(
                    ERROR,
                    message_id::HANDOFF_FAILED,
                    "the successor does not serve, this process goes on: {error}"
                );
                self.accept_again().await;
                Err(Refusal::HandoffFailed(error))
            }
        }
    }

    /// systemd is told last: until the successor accepts, this process is the one to watch. That
    /// it can be told is made sure first, since there is no way back afterwards.
    async fn let_go(&self, successor: Successor) -> Result<Departing, String> {
        if let Err(error) = self.notifier.reach() {
            successor.abandon().await;
            return Err(format!(
                "systemd cannot be told of a new main process: {error}"
            ));
        }
        self.edge.stop_accepting().await;
        let departing = successor
            .commit()
            .await
            .map_err(|error| error.to_string())?;
        let pid = departing.pid().as_raw_nonzero().get().unsigned_abs();
        if let Err(error) = self.notifier.hand_over(pid, Some(departing.pidfd())) {
            tracing::error!("systemd does not know of the new main process {pid}: {error}");
        }
        Ok(departing)
    }

    pub(super) async fn accept_again(&self) {
        // Also after a failure before anything was stopped: stopping twice does no harm.
        self.edge.stop_accepting().await;
        if let Err(error) = self.accept().await {
            error.report();
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
