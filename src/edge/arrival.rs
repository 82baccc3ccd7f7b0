//! A request's way to a backend: straight on, or through the hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ahead::Ahead;
use super::backend::{self, Occupied};
use super::http::Connection;
use super::line::Line;
use super::prober;
use super::route::Service;
use super::wire::Wire;
use crate::restart::hold::{Newcomer, Refused, Turn};

/// A request until a backend has answered it. When it is dropped, because the client is gone, its
/// place in the hold is free.
pub(super) struct Arrival<'a> {
    connection: &'a Connection,
    /// The service, as it is configured by now.
    service: Arc<Service>,
    newcomer: Newcomer,
    came: Instant,
    /// A backend has ended the connection without an answer.
    dropped: bool,
    /// The connection counts until there is another, so that other backends are preferred.
    vain: Option<Occupied>,
}

/// A backend that takes the request.
pub(super) struct Reached {
    pub(super) service: Arc<Service>,
    pub(super) line: Line,
    pub(super) occupied: Occupied,
    /// How long the request has been held, and what was in vain.
    pub(super) held: Duration,
}

impl<'a> Arrival<'a> {
    /// It may wait for `restart.hold` from now on.
    pub(super) fn new(connection: &'a Connection, service: Arc<Service>) -> Self {
        let came = Instant::now();
        let hold = Arc::clone(service.hold());
        let deadline = came + service.restart.hold;
        let newcomer = Newcomer::new(hold, deadline, service.restart.max_held);
        Self {
            connection,
            service,
            newcomer,
            came,
            dropped: false,
            vain: None,
        }
    }

    /// Connects to a backend of the service; as long as it takes nobody, and there is time, the
    /// request waits.
    ///
    /// # Errors
    /// In words for the client.
    pub(super) async fn reach(&mut self, body: &mut Ahead) -> Result<Reached, &'static str> {
        let worker = &self.connection.worker;
        loop {
            let turn = tokio::select! {
                biased;
                turn = self.newcomer.turn() => turn.map_err(|why| refused(&self.service, why))?,
                () = worker.hold_ends(self.connection.socket, &self.service) => {
                    self.service.tally().refused();
                    return Err("the service is not there at the moment, and this server ends");
                }
                () = body.broken() => return Err("the request has broken off"),
            };
            if let Turn::Lead(lead) = turn {
                let shared = Arc::clone(&worker.shared);
                let probing = prober::probe(lead, shared, Arc::clone(&self.service));
                tokio::task::spawn_local(probing);
                continue;
            }
            if self.newcomer.has_waited() {
                self.service = worker.shared.current(&self.service);
            }
            let held = self.came.elapsed();
            let connected = backend::connect(&self.service).await;
            self.vain = None;
            match connected {
                Ok((socket, occupied)) => {
                    self.service.is_back();
                    self.newcomer.reached();
                    return Ok(Reached {
                        service: Arc::clone(&self.service),
                        line: Line::new(Wire::plain(socket)),
                        occupied,
                        held,
                    });
                }
                Err(why) => {
                    self.service.is_away(&why);
                    if !why.may_pass() {
                        self.service.tally().refused();
                        return Err("the service cannot be reached at the moment");
                    }
                    self.turned_away()?;
                }
            }
        }
    }

    /// The backend has ended the connection without an answer. [`Self::reach`] comes next: it may
    /// find another backend, or that there is none. From the second time on the request waits
    /// until a backend has been found to stay.
    ///
    /// # Errors
    /// In words for the client.
    pub(super) fn dropped(&mut self, by: Occupied) -> Result<(), &'static str> {
        if self.dropped {
            return self.turned_away();
        }
        self.dropped = true;
        self.vain = Some(by);
        Ok(())
    }

    fn turned_away(&mut self) -> Result<(), &'static str> {
        let turned_away = self.newcomer.turned_away();
        turned_away.map_err(|why| refused(&self.service, why))
    }
}

fn refused(service: &Service, why: Refused) -> &'static str {
    service.tally().refused();
    match why {
        Refused::Overdue => "the service is not there at the moment",
        Refused::Full { first } => {
            if first {
                service.is_full();
            }
            "the service is not there at the moment, and too many wait for it"
        }
    }
}
