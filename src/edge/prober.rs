//! Looks for a backend on behalf of all newcomers who wait for a service, and lets them in at a
//! pace once there is one. There is one prober a service, on the worker of whoever waits longest.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::backend;
use super::route::Service;
use super::worker::Shared;
use crate::restart::hold::Lead;

/// From one look to the next, at first; each pause is twice as long as the one before, up to the
/// longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

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
        match backend::connect(&service).await {
            Ok(_) => {
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
