//! What a job sees of its service and of the host while it runs.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::facts::Inquiry;
use super::processor::Processor;
use crate::edge::times::Lately;
use crate::restart::job::Counts;
use crate::restart::pace::RATE_WINDOW;

pub(super) struct Sight {
    began: Instant,
    /// How long clients took to come in.
    lately: Lately,
    /// The control groups of the units, as soon as they are known.
    groups: oneshot::Receiver<Vec<String>>,
    /// None: it is not known what clients come back to.
    processor: Option<Processor>,
}

impl Sight {
    pub(super) fn of(inquiry: &Inquiry) -> Self {
        let (tell, groups) = oneshot::channel();
        let asking = inquiry.clone();
        tokio::task::spawn_local(async move {
            if let Some(groups) = asking.control_groups().await {
                let _ = tell.send(groups);
            }
        });
        let times = inquiry.service().map(|service| service.times());
        Self {
            began: Instant::now(),
            lately: Lately::new(RATE_WINDOW, Duration::ZERO, times.unwrap_or_default()),
            groups,
            processor: None,
        }
    }

    /// All but [`Counts::left`] and [`Counts::untold`].
    pub(super) fn look(&mut self, inquiry: &Inquiry) -> Counts {
        if let Ok(groups) = self.groups.try_recv() {
            self.processor = Some(Processor::new(inquiry.edge.workers(), &groups));
        }
        let processor = self.processor.as_mut();
        let busy = processor.and_then(|processor| processor.busy(Instant::now()));
        // A reload has taken it away; its clients are told all the same.
        let Some(service) = inquiry.service() else {
            return Counts::default();
        };
        let latency = self.lately.look(self.began.elapsed(), service.times());
        let now = service.counters();
        Counts {
            left: 0,
            untold: 0,
            waiting: service.hold().held() as u64,
            latency,
            busy,
            arrived: now.arrived,
            upgraded: now.upgraded,
            told: now.told,
            closed_cleanly: now.closed_cleanly,
            timed_out: now.timed_out,
            gone: now.gone,
            cut: now.cut,
            discarded_messages: now.discarded,
            held: now.held,
            released: now.released,
            refused: now.refused,
        }
    }
}
