//! The old side: start a successor, pass it everything, and let go.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::process::Pid;
use tokio::time::timeout;

use super::LAST_WORD;
use super::channel::{Channel, Received};
use super::error::{Cause, HandoffError, Step};
use super::launch::{Launch, Launcher};
use super::message::Message;
use super::offer::{Offer, Part};
use super::process::Process;
use crate::restart::report::DrainReport;

/// How long a successor that has been told to end may take.
const GRACE: Duration = Duration::from_secs(2);

/// How long a successor that is ready may take to begin to accept.
const COMMIT: Duration = Duration::from_secs(5);

/// A successor that has everything and could serve at once, but does not yet. Dropping it ends
/// it.
#[derive(Debug)]
pub struct Successor {
    held: Held,
}

/// Starts a successor, passes it the offer, and returns when it is ready to serve. This process
/// goes on serving meanwhile, and after a failure.
///
/// # Errors
/// The successor could not be started, ended, failed (the error has its reason), or was not
/// ready before the deadline. It has ended then, if need be by SIGKILL. Dropping the future
/// before it is done ends the successor, too.
pub async fn prepare(
    launch: &Launch,
    offer: Offer<'_>,
    deadline: Duration,
) -> Result<Successor, HandoffError> {
    let parts = offer.parts().map_err(|cause| HandoffError {
        step: Step::Compose,
        cause,
    })?;
    let mut step = Step::Start;
    let mut started: Option<Held> = None;
    let attempt = attempt(launch, &parts, &mut step, &mut started);
    let cause = match timeout(deadline, attempt).await {
        Ok(Ok(())) => match started {
            Some(held) => return Ok(Successor { held }),
            None => Cause::Ended,
        },
        Ok(Err(cause)) => cause,
        Err(_) => Cause::TimedOut(deadline),
    };
    if let Some(held) = started {
        held.dismiss(&cause).await;
    }
    Err(HandoffError { step, cause })
}

impl Successor {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.held.process.pid()
    }

    /// A pidfd of it.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.held.process.pidfd()
    }

    /// Lets it take over, and returns when it accepts. The caller has stopped to accept before.
    ///
    /// # Errors
    /// It has ended, or does not react within 5 s and was killed. Then the caller can go on
    /// accepting.
    pub async fn commit(self) -> Result<Departing, HandoffError> {
        let held = self.held;
        let accepting = async {
            held.send(&Message::Commit, &[]).await?;
            match held.next().await?.message {
                // Nobody would be told of its end before the caller has named it to systemd.
                Message::Accepting if held.process.has_ended() => Err(Cause::Ended),
                Message::Accepting => Ok(()),
                other => Err(Cause::OutOfTurn(other.name())),
            }
        };
        let cause = match timeout(COMMIT, accepting).await {
            Ok(Ok(())) => {
                return Ok(Departing {
                    held: held.let_go(),
                });
            }
            Ok(Err(cause)) => cause,
            Err(_) => Cause::TimedOut(COMMIT),
        };
        held.dismiss(&cause).await;
        Err(HandoffError {
            step: Step::Commit,
            cause,
        })
    }

    /// Tells it to end, and returns when it has.
    pub async fn abandon(self) {
        self.held.dismiss(&Cause::Abandoned).await;
    }
}

/// A process that has handed over and drains. Its reports go to the successor, which speaks to
/// systemd for both. None of them ever holds up the drain: what the successor does not take
/// in is dropped.
#[derive(Debug)]
pub struct Departing {
    held: Held,
}

impl Departing {
    /// The successor's process id.
    pub fn pid(&self) -> Pid {
        self.held.process.pid()
    }

    /// A pidfd of it.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.held.process.pidfd()
    }

    /// Returns when the successor has ended.
    pub async fn ended(&self) {
        self.held.process.ended().await;
    }

    /// Reports how the drain is going.
    pub async fn progress(&mut self, report: DrainReport) {
        // A full channel or a successor that is gone: the next report is as good.
        let _ = self.held.channel.try_send(&Message::Progress(report));
    }

    /// Reports how it ended, and closes the channel. Takes at most a second.
    pub async fn done(self, report: DrainReport) {
        let _ = timeout(
            LAST_WORD,
            self.held.channel.send(&Message::Done(report), &[]),
        )
        .await;
    }
}

/// A successor's process and the channel to it. When it is ended, the channel stays open until
/// it is dead, so that it never mistakes being given up for having lost its predecessor.
#[derive(Debug)]
struct Held {
    channel: Channel,
    process: Process,
    /// Until the successor has taken over.
    ends_on_drop: bool,
}

impl Held {
    async fn send(&self, message: &Message, sockets: &[BorrowedFd<'_>]) -> Result<(), Cause> {
        let Err(error) = self.channel.send(message, sockets).await else {
            return Ok(());
        };
        // What the successor said before it closed its end tells more than the error.
        while let Some(Ok(received)) = self.channel.try_receive() {
            spoken(received)?;
        }
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Err(Cause::Ended),
            _ => Err(Cause::Io(error)),
        }
    }

    /// The successor's next message. Its end counts even where a process that it started keeps
    /// the channel open.
    async fn next(&self) -> Result<Received, Cause> {
        let received = tokio::select! {
            biased;
            received = self.channel.receive() => received?,
            () = self.process.ended() => self.channel.try_receive().unwrap_or(Err(Cause::Ended))?,
        };
        if received.sender != Some(self.process.pid()) {
            return Err(Cause::Stranger(raw(received.sender)));
        }
        spoken(received)
    }

    /// Says why, and sees the process end. One that did not react in time has no time left.
    async fn dismiss(mut self, cause: &Cause) {
        let farewell = match cause.refusal() {
            Some(reason) => Message::Refused { reason },
            None => Message::Abandon,
        };
        let _ = self.channel.try_send(&farewell);
        let grace = if matches!(cause, Cause::TimedOut(_)) {
            Duration::ZERO
        } else {
            GRACE
        };
        self.process.end(grace).await;
        self.ends_on_drop = false;
    }

    fn let_go(mut self) -> Self {
        self.ends_on_drop = false;
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.ends_on_drop {
            let _ = self.channel.try_send(&Message::Abandon);
            self.process.kill();
            self.process.reap();
        }
    }
}

/// The steps up to readiness. `step` and `started` tell the caller how far it came when this
/// fails or is given up.
async fn attempt(
    launch: &Launch,
    parts: &[Part<'_>],
    step: &mut Step,
    started: &mut Option<Held>,
) -> Result<(), Cause> {
    let (channel, mut launcher) = launch.start()?;
    let status = launcher.finished().await.map_err(Cause::Io)?;
    let (process, early) = launched(&channel, &launcher, status)?;
    let held = started.insert(Held {
        channel,
        process,
        ends_on_drop: true,
    });

    *step = Step::Introduce;
    let first = match early {
        Some(outcome) => outcome?,
        None => held.next().await?,
    };
    if first.sender != Some(held.process.pid()) {
        return Err(Cause::Stranger(raw(first.sender)));
    }
    let Message::Hello { version } = spoken(first)?.message else {
        return Err(Cause::OutOfTurn("something else than Hello"));
    };
    tracing::debug!(version, "the successor introduced itself");

    *step = Step::Offer;
    for part in parts {
        held.send(&part.message, &part.sockets).await?;
    }

    *step = Step::GetReady;
    match held.next().await?.message {
        Message::Ready => Ok(()),
        other => Err(Cause::OutOfTurn(other.name())),
    }
}

/// The successor's process, as the launcher reports it. The launcher has ended, so its report is
/// here; the successor may have been quicker with its own first message, which is kept.
fn launched(
    channel: &Channel,
    launcher: &Launcher,
    status: std::process::ExitStatus,
) -> Result<(Process, Option<Result<Received, Cause>>), Cause> {
    let mut early = None;
    // Who keeps to the protocol sends one message unasked; the rest is for those who do not.
    for _ in 0..64 {
        let outcome = match channel.try_receive() {
            None | Some(Err(Cause::Ended)) => break,
            Some(outcome) => outcome,
        };
        match outcome {
            Ok(received) if received.sender == Some(launcher.pid()) => {
                return Ok((watched(received)?, early));
            }
            outcome if early.is_none() => early = Some(outcome),
            _ => early = Some(Err(Cause::OutOfTurn("more than a Hello"))),
        }
    }
    Err(match early {
        Some(Err(cause)) => cause,
        _ => Cause::Launcher(status),
    })
}

/// The process that the launcher's message is about.
fn watched(received: Received) -> Result<Process, Cause> {
    let Received {
        message,
        descriptors,
        ..
    } = spoken(received)?;
    let Message::Launched { pid } = message else {
        return Err(Cause::OutOfTurn(message.name()));
    };
    match (Pid::from_raw(pid), descriptors.into_iter().next()) {
        (Some(pid), Some(pidfd)) => Process::new(pid, pidfd).map_err(Cause::Io),
        _ => Err(Cause::OutOfTurn("no process")),
    }
}

/// The other side's own reason becomes the error.
fn spoken(received: Received) -> Result<Received, Cause> {
    match received.message {
        Message::Failed { reason } => Err(Cause::GaveUp(reason)),
        Message::Refused { reason } => Err(Cause::Refused(reason)),
        _ => Ok(received),
    }
}

fn raw(pid: Option<Pid>) -> i32 {
    pid.map_or(0, |pid| pid.as_raw_nonzero().get())
}
