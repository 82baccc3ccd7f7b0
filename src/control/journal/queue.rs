//! Between those who log and where the log goes: a queue and a thread. journald may stand still, and
//! so may whoever reads stderr; clients are served all the same. What finds the queue full is lost,
//! and counted.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::field::{DisplayValue, Field, Value, Visit, display};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::repeats::Repeats;
use crate::control::message_id;
use crate::event;

/// Entries that may wait to be written.
const WAITING_MAX: usize = 1024;

/// How long the end of the process waits for what has not been written.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// An event on its way.
pub(super) struct Entry {
    metadata: &'static Metadata<'static>,
    /// In the order of the fields.
    values: Vec<Option<String>>,
}

impl Entry {
    fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut entry = Self {
            metadata,
            values: vec![None; metadata.fields().len()],
        };
        event.record(&mut entry);
        entry
    }

    pub(super) fn metadata(&self) -> &'static Metadata<'static> {
        self.metadata
    }

    /// The value of a field that the event may have.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let field = self.metadata.fields().field(name)?;
        self.values.get(field.index())?.as_deref()
    }

    fn write(&self, to: &dyn Subscriber) {
        let shown: Vec<Option<DisplayValue<&String>>> = self
            .values
            .iter()
            .map(|value| value.as_ref().map(display))
            .collect();
        let values: Vec<Option<&dyn Value>> = shown
            .iter()
            .map(|value| value.as_ref().map(|value| value as &dyn Value))
            .collect();
        let values = self.metadata.fields().value_set_all(&values);
        to.event(&Event::new(self.metadata, &values));
    }

    fn set(&mut self, field: &Field, value: String) {
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(value);
        }
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

/// What has been logged and not been written.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Something waits, or nothing any more.
    changed: Condvar,
    repeats: Repeats,
    lost: AtomicU64,
    left_out: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// One of them has been taken out and is being written.
    is_writing: bool,
    /// Found the queue full since that was last said.
    lost: u64,
}

impl Queue {
    /// Begins to write to `to`, on a thread of its own.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn start(to: impl Subscriber + Send) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self::default());
        let writer = Arc::clone(&queue);
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || writer.run(&to))?;
        Ok(queue)
    }

    /// Waits until all has been written, but not for ever.
    pub(super) fn flush(&self) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.entries.is_empty();
        let waiting = self.waiting();
        let waited = self.changed.wait_timeout_while(waiting, FLUSH_MAX, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Entries that were lost since the process began, because the queue was full.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Entries that were left out since the process began, because they repeated others.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Relaxed)
    }

    fn push(&self, entry: Entry) {
        let mut waiting = self.waiting();
        if waiting.entries.len() < WAITING_MAX {
            waiting.entries.push_back(entry);
            self.changed.notify_all();
        } else {
            waiting.lost += 1;
            self.lost.fetch_add(1, Relaxed);
        }
    }

    fn run(&self, to: &dyn Subscriber) {
        loop {
            let (entry, lost) = self.next();
            if let Some(entry) = entry {
                entry.write(to);
                self.waiting().is_writing = false;
                self.changed.notify_all();
            }
            if lost > 0 {
                event!(
                    WARN,
                    message_id::LOG_ENTRIES_LOST,
                    baton_count = lost,
                    "{lost} log entries were lost: the log took none for a while"
                );
            }
            for (left_out, like) in self.repeats.over(Instant::now()) {
                event!(
                    WARN,
                    message_id::LOG_ENTRIES_LEFT_OUT,
                    baton_count = left_out,
                    "{left_out} more entries of this kind were left out: {like}"
                );
            }
        }
    }

    /// The next entry, once there is one or repeats are to be summed up, and how many were lost
    /// behind the one before.
    fn next(&self) -> (Option<Entry>, u64) {
        let mut waiting = self.waiting();
        loop {
            if let Some(entry) = waiting.entries.pop_front() {
                waiting.is_writing = true;
                // Said only where there is room for it.
                return (Some(entry), std::mem::take(&mut waiting.lost));
            }
            let now = Instant::now();
            waiting = match self.repeats.next_over() {
                None => self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) if at <= now => return (None, 0),
                Some(at) => {
                    let waited = self.changed.wait_timeout(waiting, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere leaves nothing half done here.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts what is logged into the queue.
pub(super) struct Front(pub(super) Arc<Queue>);

impl<S: Subscriber> Layer<S> for Front {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let entry = Entry::of(event);
        // Who asks for more than the default wants to see it all.
        if *event.metadata().level() > Level::INFO || self.0.repeats.admit(&entry, Instant::now()) {
            self.0.push(entry);
        } else {
            self.0.left_out.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry::Registry;

    use super::super::repeats::{BURST, PERIOD};
    use super::*;

    /// A queue that nobody empties, after this has been logged.
    fn after(logging: impl FnOnce()) -> Arc<Queue> {
        let queue = Arc::new(Queue::default());
        let log = Registry::default().with(Front(Arc::clone(&queue)));
        tracing::subscriber::with_default(log, logging);
        queue
    }

    #[test]
    fn what_finds_it_full_is_lost_and_counted() {
        let queue = after(|| {
            for number in 0..WAITING_MAX + 5 {
                tracing::debug!(number, "wordy");
            }
        });
        assert_eq!(queue.waiting().entries.len(), WAITING_MAX);
        assert_eq!((queue.lost(), queue.left_out()), (5, 0));
        let (entry, lost) = queue.next();
        assert_eq!(
            entry.as_ref().and_then(|one| one.value("number")),
            Some("0")
        );
        assert_eq!(lost, 5);
    }

    #[test]
    fn repeats_are_summed_up_when_their_time_is_over() {
        let begin = Instant::now();
        let queue = after(|| {
            for number in 0..BURST + 7 {
                for baton_service in ["one", "two"] {
                    tracing::warn!(baton_service, "breach {number}");
                }
            }
            tracing::warn!(baton_service = "three", "breach");
        });
        assert_eq!(queue.waiting().entries.len() as u64, 2 * BURST + 1);
        assert_eq!(queue.left_out(), 14);
        assert!(
            queue
                .repeats
                .next_over()
                .is_some_and(|at| at >= begin + PERIOD)
        );
        assert_eq!(queue.repeats.over(Instant::now()), []);
        let sum = (7, format!("breach {BURST}"));
        let end = Instant::now() + PERIOD;
        assert_eq!(queue.repeats.over(end), [sum.clone(), sum]);
        assert_eq!(queue.repeats.next_over(), None);
        assert_eq!(queue.repeats.over(end), []);
    }
}
