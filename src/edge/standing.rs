//! What is known of a service from one configuration to the next: who waits for it, what happened
//! to it, and whether it can be reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::backend::Unreachable;
use super::counters::Tally;
use super::route::Service;
use crate::control::message_id;
use crate::event;
use crate::restart::hold::Hold;

/// What is known of a service from one configuration to the next.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) hold: Arc<Hold>,
    pub(super) tally: Tally,
    /// None of its backends could be reached lately, and it was said.
    away: AtomicBool,
}

impl Service {
    /// No backend could be reached. Said once, until one can.
    pub(super) fn is_away(&self, why: &Unreachable) {
        if matches!(why, Unreachable::Drained) || self.standing().away.swap(true, Relaxed) {
            return;
        }
        let what = if why.may_pass() && self.restart.hold > Duration::ZERO {
            "newcomers wait"
        } else {
            "newcomers get 503"
        };
        event!(
            WARN,
            message_id::BACKENDS_AWAY,
            baton_service = self.name.as_str(),
            "service.{}: {why}; {what}",
            self.name
        );
    }

    /// A backend was reached.
    pub(super) fn is_back(&self) {
        let away = &self.standing().away;
        // It almost never was away.
        if away.load(Relaxed) && away.swap(false, Relaxed) {
            event!(
                INFO,
                message_id::BACKENDS_BACK,
                baton_service = self.name.as_str(),
                baton_clients = self.hold().held(),
                "service.{}: a backend answers again",
                self.name
            );
        }
    }

    /// The first newcomer is refused because too many wait.
    pub(super) fn is_full(&self) {
        event!(
            WARN,
            message_id::HOLD_FULL,
            baton_service = self.name.as_str(),
            baton_clients = self.hold().held(),
            "service.{}.restart.max_held: {} newcomers wait, more get 503",
            self.name,
            self.restart.max_held
        );
    }
}
