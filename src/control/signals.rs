//! Signals become requests: what `kill`, `systemctl` and the terminal ask of the daemon.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGTERM or SIGINT: tell the clients and exit. A second one means: be quick.
    Terminate,
    /// SIGUSR2: start a successor and pass it the sockets.
    HandOff,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The signals that the daemon reacts to. From construction on none of them ends the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hand_off: Stream,
    reload: Stream,
}

impl Signals {
    /// Takes all signals over at once, so that the daemon may be called ready afterwards.
    ///
    /// Must be called within a tokio runtime with I/O enabled. Fails if the kernel or the runtime
    /// refuses a handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hand_off: signal(SignalKind::user_defined2())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal; requests to terminate come before others that wait.
    ///
    /// The kernel merges equal signals that arrive before one of them was taken. Dropping the
    /// future loses none. Pending for ever if the runtime's signal driver is gone.
    pub async fn recv(&mut self) -> Signal {
        let (request, alive) = tokio::select! {
            biased;
            received = self.terminate.recv() => (Signal::Terminate, received),
            received = self.interrupt.recv() => (Signal::Terminate, received),
            received = self.hand_off.recv() => (Signal::HandOff, received),
            received = self.reload.recv() => (Signal::Reload, received),
        };
        match alive {
            Some(()) => request,
            None => std::future::pending().await,
        }
    }
}
