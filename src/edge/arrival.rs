//! A request's way to a backend: straight on, or through the hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ahead::Ahead;
use super::backend::{self, Occupied};
use super::http::Connection;
use super::prober;
use super::route::Service;
use super::wire::Socket;
use crate::restart::hold::{Newcomer, Refused, Turn};

/// A backend that takes the request.
pub(super) struct Reached {
    /// The service, as it is configured by now.
    pub(super) service: Arc<Service>,
    pub(super) socket: Socket,
    pub(super) occupied: Occupied,
    /// How long the request was held.
    pub(super) held: Duration,
}

/// Connects to a backend of the service; as long as it takes nobody, and `restart.hold` lasts, the
/// request waits. When the future is dropped, because the client is gone, its place is free.
///
/// # Errors
/// In words for the client.
pub(super) async fn reach(
    connection: &Connection,
    mut service: Arc<Service>,
    body: &mut Ahead,
) -> Result<Reached, &'static str> {
    let shared = &connection.worker.shared;
    let deadline = Instant::now() + service.restart.hold;
    let hold = Arc::clone(service.hold());
    let mut newcomer = Newcomer::new(hold, deadline, service.restart.max_held);
    loop {
        let turn = tokio::select! {
            biased;
            turn = newcomer.turn() => turn.map_err(|why| refused(&service, why))?,
            () = connection.worker.farewell_begins(connection.socket) => {
                service.tally().refused();
                return Err("the service is not there at the moment, and this server ends");
            }
            () = body.broken() => return Err("the request has broken off"),
        };
        if let Turn::Lead(lead) = turn {
            let probing = prober::probe(lead, Arc::clone(shared), Arc::clone(&service));
            tokio::task::spawn_local(probing);
            continue;
        }
        if newcomer.waited() > Duration::ZERO {
            service = shared.current(&service);
        }
        match backend::connect(&service).await {
            Ok((socket, occupied)) => {
                service.is_back();
                let held = newcomer.waited();
                newcomer.arrived();
                return Ok(Reached {
                    service,
                    socket,
                    occupied,
                    held,
                });
            }
            Err(why) => {
                service.is_away(&why);
                if !why.may_pass() {
                    service.tally().refused();
                    return Err("the service cannot be reached at the moment");
                }
                newcomer
                    .turned_away()
                    .map_err(|why| refused(&service, why))?;
            }
        }
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
