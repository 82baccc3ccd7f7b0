//! What a process writes, read as it comes, so that the process never waits for the test.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::PATIENCE;

/// The collected output of a process and of all that inherited its output.
#[derive(Clone, Default)]
pub(crate) struct Output {
    shared: Arc<(Mutex<Written>, Condvar)>,
}

#[derive(Default)]
struct Written {
    text: String,
    ended: bool,
}

impl Output {
    /// An empty collection, and the end of a pipe to give to the process.
    pub(crate) fn pipe() -> (Self, PipeWriter) {
        let (reader, writer) = io::pipe().expect("make a pipe");
        let output = Self::default();
        let follower = output.clone();
        thread::spawn(move || follower.follow(reader));
        (output, writer)
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.shared
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .text
            .clone()
    }

    /// Waits until this has been written so many times.
    ///
    /// # Panics
    /// When the writing ends first, or after [`PATIENCE`].
    pub(crate) fn wait_for(&self, what: &str, times: usize) {
        let (written, changed) = &*self.shared;
        let is_missing =
            |written: &mut Written| !written.ended && written.text.matches(what).count() < times;
        let written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, _) = changed
            .wait_timeout_while(written, PATIENCE, is_missing)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            written.text.matches(what).count() >= times,
            "not written {times} times: {what}\n{}",
            written.text
        );
    }

    /// Everything, once all that could write have ended.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub(crate) fn finished(&self) -> String {
        let (written, changed) = &*self.shared;
        let written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, waited) = changed
            .wait_timeout_while(written, PATIENCE, |written| !written.ended)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "still being written after {PATIENCE:?}:\n{}",
            written.text
        );
        written.text.clone()
    }

    fn follow(&self, mut reader: PipeReader) {
        let (written, changed) = &*self.shared;
        let mut buffer = [0; 4096];
        loop {
            // An error ends the output as its end does: the test then reports what there is.
            let read = reader.read(&mut buffer).unwrap_or(0);
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written
                .text
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
            written.ended = read == 0;
            changed.notify_all();
            if written.ended {
                return;
            }
        }
    }
}
