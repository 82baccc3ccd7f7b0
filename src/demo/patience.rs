//! Waiting, but not for ever.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::STEP;
use super::error::DemoError;

/// Waits for one step of the demo.
pub(super) async fn within<T>(
    step: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, DemoError> {
    timeout(STEP, future)
        .await
        .map_err(|_| DemoError::TimedOut { step })
}

/// Ctrl-C and its like: the demo ends itself then, and batond with it.
pub(super) struct Interruption([Signal; 3]);

impl Interruption {
    /// From now on these signals do not end the process.
    pub(super) fn expect() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    pub(super) async fn comes(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
