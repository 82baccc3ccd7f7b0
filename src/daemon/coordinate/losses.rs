//! What it means that a backend's connections have broken: a job of ours is the reason, or systemd
//! knows the unit. The clients wait a second for it, and the control loop may be waiting longer for
//! something else, so a task of its own answers.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Running;
use crate::control::units::{Outlook, Units};
use crate::edge::{Fate, Loss};
use crate::restart::job::Kind;

/// The clients wait for a second.
const WITHIN: Duration = Duration::from_millis(900);

/// Answers as long as somebody asks.
pub(super) async fn answer(
    mut losses: mpsc::Receiver<Loss>,
    running: super::RunningJobs,
    units: Rc<Units>,
) {
    while let Some(loss) = losses.recv().await {
        let jobs = running.borrow();
        let is_meant = |one: &&Running| one.wanted.includes(&loss.service, &loss.backend);
        if let Some(job) = jobs.iter().find(is_meant) {
            job.orders.backend_lost();
            // In a drain somebody else stops the unit, for good or not.
            if job.kind == Kind::Restart {
                loss.backend.settle(Fate::Restarting);
                continue;
            }
        }
        tokio::task::spawn_local(ask_systemd(loss, Rc::clone(&units)));
    }
}

async fn ask_systemd(loss: Loss, units: Rc<Units>) {
    let Some(unit) = loss.backend.unit() else {
        loss.backend.settle(Fate::Gone);
        return;
    };
    let fate = match units.outlook(unit, WITHIN).await {
        Ok(Outlook::Running | Outlook::Restarting) => Fate::Restarting,
        Ok(Outlook::Gone) => Fate::Gone,
        Err(error) => {
            tracing::debug!("does {unit} come back? {error}");
            Fate::Gone
        }
    };
    loss.backend.settle(fate);
}
