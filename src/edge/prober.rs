//! Looks for a backend on behalf of all newcomers who wait for a service, and lets them in at a
//! pace once there is one. There is one prober a service, on the worker of whoever waits longest.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::backend::{self, Unreachable};
use super::route::Service;
use super::worker::Shared;
use crate::restart::hold::Lead;

/// From one look to the next, at first; each pause is twice as long as the one before, up to the
/// longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a backend must keep a connection to be there: one that only forwards to another may
/// take connections, and drop them, while that one is away.
const WATCH: Duration = Duration::from_millis(50);

/// How many are let in first; each batch is twice as large as the one before.
const FIRST_BATCH: usize = 50;

/// From one batch to the next.
const PACE: Duration = Duration::from_millis(100);

/// Goes on until nobody waits, or the hold is closed: then whoever closed it lets them in.
pub(super) async fn probe(lead: Lead, shared: Arc<Shared>, service: Arc<Service>) {
    let mut pause = SHORTEST_PAUSE;
    while lead.is_wanted() {
        // It may have been given other backends.
        let service = shared.current(&service);
        match look(&service).await {
            Ok(()) => {
                service.is_back();
                pause = SHORTEST_PAUSE;
                let_in(&lead).await;
            }
            Err(why) => {
                service.is_away(&why);
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

async fn look(service: &Service) -> Result<(), Unreachable> {
    let (mut socket, occupied) = backend::connect(service).await?;
    match timeout(WATCH, socket.ended()).await {
        Ok(()) => {
            let why = Error::new(ErrorKind::ConnectionAborted, "it ends connections at once");
            Err(Unreachable::new(occupied.backend(), why))
        }
        Err(_) => Ok(()),
    }
}

/// Lets in who waits, until nobody does, or one of those who were let in was turned away.
async fn let_in(lead: &Lead) {
    let relapses = lead.relapses();
    let mut batch = FIRST_BATCH;
    while lead.is_wanted() && lead.relapses() == relapses {
        lead.let_in(batch);
        batch = batch.saturating_mul(2);
        sleep(PACE).await;
    }
}
