//! What it means that a backend's connections have broken: systemd knows the unit.

use std::rc::Rc;

use tokio::sync::mpsc;

use std::time::Duration;

use crate::control::units::{Outlook, Units};
use crate::edge::{Edge, Fate, Loss};

/// The questions of the edge.
pub(in crate::daemon) struct Losses(Option<mpsc::Receiver<Loss>>);

impl Losses {
    /// Takes them over. There is one who answers.
    pub(in crate::daemon) fn of(edge: &Edge) -> Self {
        Self(edge.losses())
    }

    /// The next one.
    pub(in crate::daemon) async fn next(&mut self) -> Loss {
        if let Some(losses) = &mut self.0
            && let Some(loss) = losses.recv().await
        {
            return loss;
        }
        std::future::pending().await
    }
}

/// The clients wait for a second.
const WITHIN: Duration = Duration::from_millis(900);

/// Asks systemd, and answers.
pub(super) fn settle(loss: Loss, units: Rc<Units>) {
    tokio::task::spawn_local(async move {
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
    });
}
