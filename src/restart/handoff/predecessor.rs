//! The new side: receive everything, get ready, take over.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::Pid;
use tokio::time::timeout;

use super::LAST_WORD;
use super::channel::{Channel, Received};
use super::error::{Cause, HandoffError, Step};
use super::message::Message;
use super::{MAX_LISTENERS, MAX_STATE};
use crate::edge::listener::PassedSocket;
use crate::restart::report::DrainReport;

/// What a predecessor handed over.
#[derive(Debug)]
pub struct Handed {
    /// The listening sockets, in the order of the offer.
    pub listeners: Vec<PassedSocket>,
    /// Whatever else it wanted its successor to know.
    pub state: Vec<u8>,
}

/// The process that hands over to this one.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
    pid: Pid,
}

/// How the wait for the commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The predecessor has stopped to accept: accept now, and tell it with
    /// [`Predecessor::accepting`].
    Committed,
    /// The predecessor died: accept now, nobody else does.
    PredecessorGone,
    /// The predecessor goes on serving: end without accepting, and without removing any
    /// socket's file.
    Abandoned,
}

/// News from a predecessor that drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// How the drain is going.
    Draining(DrainReport),
    /// How it ended.
    Done(DrainReport),
}

/// Receives what the predecessor hands over. Call it within a tokio runtime, with the channel
/// whose number was on the command line.
///
/// # Errors
/// The predecessor ended, called it off or was silent until the deadline; or it sent what this
/// version does not understand, which it is told. Every descriptor received is closed then.
pub async fn receive(
    channel: OwnedFd,
    deadline: Duration,
) -> Result<(Predecessor, Handed), HandoffError> {
    let introduce = |cause| HandoffError {
        step: Step::Introduce,
        cause,
    };
    let channel = Channel::inherited(channel).map_err(|error| introduce(Cause::Io(error)))?;
    let pid = channel
        .maker()
        .map_err(|error| introduce(Cause::Io(error)))?;
    let handed = timeout(deadline, take(&channel)).await;
    let cause = match handed {
        Ok(Ok(handed)) => return Ok((Predecessor { channel, pid }, handed)),
        Ok(Err(cause)) => cause,
        Err(_) => Cause::TimedOut(deadline),
    };
    if let Some(reason) = cause.refusal() {
        say(&channel, &Message::Refused { reason }).await;
    }
    Err(HandoffError {
        step: Step::Offer,
        cause,
    })
}

async fn take(channel: &Channel) -> Result<Handed, Cause> {
    let hello = Message::Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    // If the predecessor is gone, the next line says so, and more.
    let _ = channel.send(&hello, &[]).await;
    let (listeners, state) = match next(channel).await?.message {
        Message::Offer { listeners, state } => (listeners, state),
        other => return Err(Cause::OutOfTurn(other.name())),
    };
    if listeners > MAX_LISTENERS || state > MAX_STATE {
        return Err(Cause::TooMuch(format!(
            "{listeners} listeners and {state} bytes of state are more than this version takes"
        )));
    }
    let mut handed = Handed {
        listeners: Vec::with_capacity(listeners),
        state: vec![],
    };
    while handed.listeners.len() < listeners {
        let Received {
            message,
            descriptors,
            ..
        } = next(channel).await?;
        let Message::Listeners(names) = message else {
            return Err(Cause::OutOfTurn(message.name()));
        };
        handed.listeners.extend(
            names
                .into_iter()
                .zip(descriptors)
                .map(|(listener, socket)| PassedSocket {
                    name: listener.name,
                    socket,
                    from_unit: listener.from_unit,
                }),
        );
    }
    while handed.state.len() < state {
        match next(channel).await?.message {
            Message::State(bytes) => handed.state.extend(bytes),
            other => return Err(Cause::OutOfTurn(other.name())),
        }
    }
    if handed.listeners.len() > listeners || handed.state.len() > state {
        return Err(Cause::TooMuch("more came than was announced".to_owned()));
    }
    Ok(handed)
}

impl Predecessor {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Tells it that this process cannot serve, and why. Takes at most a second.
    pub async fn failed(self, reason: &str) {
        say(
            &self.channel,
            &Message::Failed {
                reason: reason.to_owned(),
            },
        )
        .await;
    }

    /// Tells it that this process could serve at once.
    ///
    /// # Errors
    /// What the kernel says. That the predecessor is gone is no error here:
    /// [`Predecessor::committed`] tells.
    pub async fn ready(&mut self) -> Result<(), HandoffError> {
        match self.channel.send(&Message::Ready, &[]).await {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(HandoffError {
                step: Step::GetReady,
                cause: Cause::Io(error),
            }),
            _ => Ok(()),
        }
    }

    /// Waits until it is decided who serves; call it after [`Predecessor::ready`]. There is no
    /// deadline: the predecessor has one.
    pub async fn committed(&mut self) -> Outcome {
        let cause = match next(&self.channel).await {
            Ok(Received {
                message: Message::Commit,
                ..
            }) => return Outcome::Committed,
            Ok(other) => Cause::OutOfTurn(other.message.name()),
            Err(Cause::Ended) => return Outcome::PredecessorGone,
            Err(Cause::Abandoned) => return Outcome::Abandoned,
            Err(cause) => cause,
        };
        // Whoever is there speaks, so it lives and serves.
        tracing::error!("the predecessor called the handoff off: {cause}");
        if let Some(reason) = cause.refusal() {
            say(&self.channel, &Message::Refused { reason }).await;
        }
        Outcome::Abandoned
    }

    /// Tells the predecessor that this process accepts. If this process ends without it, the
    /// predecessor goes back to accepting; after it, the predecessor drains.
    pub async fn accepting(&mut self) {
        // If the predecessor has died meanwhile, this process serves all the same.
        say(&self.channel, &Message::Accepting).await;
    }

    /// The next news of its drain; none when it has ended.
    pub async fn next_progress(&mut self) -> Option<Progress> {
        match next(&self.channel).await {
            Ok(Received {
                message: Message::Progress(report),
                ..
            }) => Some(Progress::Draining(report)),
            Ok(Received {
                message: Message::Done(report),
                ..
            }) => Some(Progress::Done(report)),
            Ok(Received { message, .. }) => {
                tracing::warn!("the predecessor sent {} while it drains", message.name());
                None
            }
            Err(Cause::Ended) => None,
            Err(cause) => {
                tracing::warn!("no more news of the predecessor's drain: {cause}");
                None
            }
        }
    }
}

/// The predecessor's next message, or what it says against going on.
async fn next(channel: &Channel) -> Result<Received, Cause> {
    let received = channel.receive().await?;
    match received.message {
        Message::Refused { reason } => Err(Cause::Refused(reason)),
        Message::Abandon => Err(Cause::Abandoned),
        _ => Ok(received),
    }
}

/// Sends a message, if the predecessor takes it in within a second.
async fn say(channel: &Channel, message: &Message) {
    let _ = timeout(LAST_WORD, channel.send(message, &[])).await;
}
