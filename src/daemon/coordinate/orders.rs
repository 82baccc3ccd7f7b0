//! What a job is told while it runs: each order is a flag, so that none is lost however many there
//! are, and one that is given again before it was heard is the same one.

use std::cell::Cell;

use tokio::sync::Notify;

use crate::restart::job::Event;

/// Orders of one job, between those who give them and its task.
#[derive(Debug, Default)]
pub(super) struct Orders {
    end: Cell<Option<End>>,
    backend_lost: Cell<bool>,
    resume: Cell<bool>,
    given: Notify,
}

/// Why a job ends early; the last is the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Cancel,
    HostShutdown,
}

impl Orders {
    /// It is to end.
    pub(super) fn end(&self, why: End) {
        self.end.set(self.end.get().max(Some(why)));
        self.given.notify_one();
    }

    /// A backend of its has gone.
    pub(super) fn backend_lost(&self) {
        self.backend_lost.set(true);
        self.given.notify_one();
    }

    /// What it drained is back.
    pub(super) fn resume(&self) {
        self.resume.set(true);
        self.given.notify_one();
    }

    /// The next one, the most urgent first.
    pub(super) async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            self.given.notified().await;
        }
    }

    fn take(&self) -> Option<Event> {
        match self.end.take() {
            Some(End::HostShutdown) => return Some(Event::HostShutdown),
            Some(End::Cancel) => return Some(Event::Cancel),
            None => {}
        }
        if self.backend_lost.take() {
            return Some(Event::BackendLost);
        }
        self.resume.take().then_some(Event::Resume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_lost_among_many_others() {
        let orders = Orders::default();
        orders.resume();
        (0..1_000).for_each(|_| orders.backend_lost());
        orders.end(End::HostShutdown);
        orders.end(End::Cancel);
        assert!(matches!(orders.take(), Some(Event::HostShutdown)));
        assert!(matches!(orders.take(), Some(Event::BackendLost)));
        assert!(matches!(orders.take(), Some(Event::Resume)));
        assert!(orders.take().is_none());
    }
}
