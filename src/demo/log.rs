//! What batond writes to its stderr: kept for the case that something goes wrong.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Lines that are kept.
const LOG_LINES: usize = 2_000;

type Echo = Box<dyn Fn(&str) + Send + Sync>;

/// What the process and its successors have written to their stderr.
#[derive(Default)]
pub struct Log {
    lines: Mutex<VecDeque<String>>,
    /// Told of every new line.
    grown: Notify,
    echo: Option<Echo>,
}

impl Log {
    /// A log whose lines are also given to `echo` as they come.
    pub fn followed(echo: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            echo: Some(Box::new(echo)),
            ..Self::default()
        }
    }

    /// The last `count` lines.
    pub fn last(&self, count: usize) -> Vec<String> {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(count);
        lines.iter().skip(skipped).cloned().collect()
    }

    /// The value of a field, as in `discarded=0`, in the first line that has it; waits for that
    /// line.
    pub async fn first(&self, field: &str) -> u64 {
        let field = format!("{field}=");
        let value = |line: &String| {
            let mut words = line.split(' ');
            words.find_map(|word| word.strip_prefix(field.as_str())?.parse().ok())
        };
        loop {
            let mut grown = pin!(self.grown.notified());
            grown.as_mut().enable();
            let found = self.lines().iter().find_map(value);
            match found {
                Some(value) => return value,
                None => grown.await,
            }
        }
    }

    pub(super) fn push(&self, line: String) {
        if let Some(echo) = &self.echo {
            echo(&line);
        }
        let mut lines = self.lines();
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        self.grown.notify_waiters();
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
