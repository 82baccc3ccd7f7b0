//! The messages of a handoff, and their form on the channel.
//!
//! Each is one packet: a header of 12 bytes (`BTND`, the protocol version, the kind, the length
//! of the body; numbers in network order), then the body, which is JSON, except for `State`.
//! The header, and the body of `Refused`, stay the same in every version of the protocol, so that
//! a process can say no to one whose version it does not know.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::restart::report::DrainReport;

/// The version of the protocol that this program speaks.
pub const VERSION: u16 = 1;

/// Bytes before the body.
pub const HEADER: usize = 12;

/// Longest body, in bytes. With the header it fits into a socket's default buffer three times.
pub const MAX_BODY: usize = 64 * 1024;

/// Descriptors that the kernel takes with one message (`SCM_MAX_FD`, unix(7)).
pub const MAX_DESCRIPTORS: usize = 253;

/// Longest name of a listener, in bytes (`FDNAME=` in sd_notify(3)).
pub const MAX_NAME: usize = 255;

const MAGIC: [u8; 4] = *b"BTND";

/// What the two sides say to each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The launcher has started the successor. One descriptor: a pidfd of it.
    Launched {
        /// Its process id.
        pid: i32,
    },
    /// The successor introduces itself.
    Hello {
        /// The version of the program, for people.
        version: String,
    },
    /// What the predecessor is about to send.
    Offer {
        /// How many listeners.
        listeners: usize,
        /// How many bytes of state.
        state: usize,
    },
    /// Listeners, in order, with one descriptor each.
    Listeners(Vec<ListenerName>),
    /// The next bytes of the state.
    State(Vec<u8>),
    /// The successor could serve at once.
    Ready,
    /// The successor cannot serve, and ends.
    Failed {
        /// What the operator should know.
        reason: String,
    },
    /// The sender does not go along with what it received.
    Refused {
        /// What the operator should know.
        reason: String,
    },
    /// The predecessor accepts no more.
    Commit,
    /// The predecessor goes on serving; the successor is to end.
    Abandon,
    /// The successor accepts from now on.
    Accepting,
    /// How the predecessor's drain is going.
    Progress(DrainReport),
    /// The predecessor's drain has ended.
    Done(DrainReport),
}

/// What goes with the descriptor of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerName {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it comes from a socket unit.
    pub from_unit: bool,
}

/// Why bytes from the other side are no message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("a packet of {0} bytes is too short to be a message")]
    Truncated(usize),
    /// It does not begin as a message does.
    #[error("a packet does not come from batond")]
    Foreign,
    /// The other side speaks another version.
    #[error(
        "the other process speaks version {0} of the handoff protocol, this one version {VERSION}"
    )]
    Version(u16),
    /// The packet is longer or shorter than its header says.
    #[error("a message announces {announced} bytes and has {found}")]
    Length {
        /// What the header says.
        announced: u32,
        /// What follows it.
        found: usize,
    },
    /// Longer than any message may be.
    #[error("a message is longer than {MAX_BODY} bytes")]
    Oversized,
    /// A kind that this version does not have.
    #[error("messages of kind {0} are not known")]
    Kind(u16),
    /// The body is not what its kind calls for.
    #[error("the body of a message of kind {kind} is malformed: {what}")]
    Body {
        /// The message's kind.
        kind: u16,
        /// What is wrong.
        what: String,
    },
    /// It came with fewer or more descriptors than belong to it.
    #[error("a message came with {found} descriptors instead of {expected}")]
    Descriptors {
        /// How many belong to it.
        expected: usize,
        /// How many came.
        found: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Pid {
    pid: i32,
}

#[derive(Serialize, Deserialize)]
struct ProgramVersion {
    version: String,
}

#[derive(Serialize, Deserialize)]
struct Sizes {
    listeners: usize,
    state: usize,
}

#[derive(Serialize, Deserialize)]
struct Reason {
    reason: String,
}

mod kind {
    pub(super) const LAUNCHED: u16 = 1;
    pub(super) const HELLO: u16 = 2;
    pub(super) const OFFER: u16 = 3;
    pub(super) const LISTENERS: u16 = 4;
    pub(super) const STATE: u16 = 5;
    pub(super) const READY: u16 = 6;
    pub(super) const FAILED: u16 = 7;
    pub(super) const REFUSED: u16 = 8;
    pub(super) const COMMIT: u16 = 9;
    pub(super) const ABANDON: u16 = 10;
    pub(super) const ACCEPTING: u16 = 11;
    pub(super) const PROGRESS: u16 = 12;
    pub(super) const DONE: u16 = 13;
}

impl Message {
    /// The packet for this message. A reason that is too long is cut; everything else is
    /// bounded by whoever makes the message.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Launched { pid } => (kind::LAUNCHED, json(&Pid { pid: *pid })),
            Self::Hello { version } => (
                kind::HELLO,
                json(&ProgramVersion {
                    version: version.clone(),
                }),
            ),
            Self::Offer { listeners, state } => (
                kind::OFFER,
                json(&Sizes {
                    listeners: *listeners,
                    state: *state,
                }),
            ),
            Self::Listeners(names) => (kind::LISTENERS, json(names)),
            Self::State(bytes) => (kind::STATE, bytes.clone()),
            Self::Ready => (kind::READY, vec![]),
            Self::Failed { reason } => (
                kind::FAILED,
                json(&Reason {
                    reason: cut(reason),
                }),
            ),
            Self::Refused { reason } => (
                kind::REFUSED,
                json(&Reason {
                    reason: cut(reason),
                }),
            ),
            Self::Commit => (kind::COMMIT, vec![]),
            Self::Abandon => (kind::ABANDON, vec![]),
            Self::Accepting => (kind::ACCEPTING, vec![]),
            Self::Progress(report) => (kind::PROGRESS, json(report)),
            Self::Done(report) => (kind::DONE, json(report)),
        };
        packet(VERSION, kind, &body)
    }

    /// How many descriptors belong to it.
    pub fn descriptors(&self) -> usize {
        match self {
            Self::Launched { .. } => 1,
            Self::Listeners(names) => names.len(),
            _ => 0,
        }
    }

    /// What it is, in a word, for errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Launched { .. } => "Launched",
            Self::Hello { .. } => "Hello",
            Self::Offer { .. } => "Offer",
            Self::Listeners(_) => "Listeners",
            Self::State(_) => "State",
            Self::Ready => "Ready",
            Self::Failed { .. } => "Failed",
            Self::Refused { .. } => "Refused",
            Self::Commit => "Commit",
            Self::Abandon => "Abandon",
            Self::Accepting => "Accepting",
            Self::Progress(_) => "Progress",
            Self::Done(_) => "Done",
        }
    }
}

/// Reads one packet. Pure, so that it can be fuzzed.
///
/// # Errors
/// Everything that is not exactly a message of this version, or a `Refused` of any version.
pub fn decode(packet: &[u8]) -> Result<Message, DecodeError> {
    let Some((header, body)) = packet.split_first_chunk::<HEADER>() else {
        return Err(DecodeError::Truncated(packet.len()));
    };
    let [m0, m1, m2, m3, v0, v1, k0, k1, l0, l1, l2, l3] = *header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(DecodeError::Foreign);
    }
    let version = u16::from_be_bytes([v0, v1]);
    let kind = u16::from_be_bytes([k0, k1]);
    let announced = u32::from_be_bytes([l0, l1, l2, l3]);
    if version != VERSION && kind != kind::REFUSED {
        return Err(DecodeError::Version(version));
    }
    if body.len() > MAX_BODY {
        return Err(DecodeError::Oversized);
    }
    if usize::try_from(announced) != Ok(body.len()) {
        return Err(DecodeError::Length {
            announced,
            found: body.len(),
        });
    }
    Ok(match kind {
        kind::LAUNCHED => Message::Launched {
            pid: parse::<Pid>(kind, body)?.pid,
        },
        kind::HELLO => Message::Hello {
            version: parse::<ProgramVersion>(kind, body)?.version,
        },
        kind::OFFER => {
            let Sizes { listeners, state } = parse(kind, body)?;
            Message::Offer { listeners, state }
        }
        kind::LISTENERS => Message::Listeners(listener_names(parse(kind, body)?)?),
        kind::STATE if body.is_empty() => return Err(malformed(kind, "no bytes of state")),
        kind::STATE => Message::State(body.to_vec()),
        kind::READY => empty(kind, body, Message::Ready)?,
        kind::FAILED => Message::Failed {
            reason: parse::<Reason>(kind, body)?.reason,
        },
        kind::REFUSED => Message::Refused {
            reason: parse::<Reason>(kind, body)?.reason,
        },
        kind::COMMIT => empty(kind, body, Message::Commit)?,
        kind::ABANDON => empty(kind, body, Message::Abandon)?,
        kind::ACCEPTING => empty(kind, body, Message::Accepting)?,
        kind::PROGRESS => Message::Progress(parse(kind, body)?),
        kind::DONE => Message::Done(parse(kind, body)?),
        unknown => return Err(DecodeError::Kind(unknown)),
    })
}

/// A packet with any version and kind. Tests use it to be another version.
pub fn packet(version: u16, kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut packet = Vec::with_capacity(HEADER + body.len());
    packet.extend_from_slice(&MAGIC);
    packet.extend_from_slice(&version.to_be_bytes());
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(body);
    packet
}

fn json(body: &impl Serialize) -> Vec<u8> {
    // Only maps with keys that are not strings cannot be written, and there is none.
    serde_json::to_vec(body).unwrap_or_default()
}

fn parse<T: DeserializeOwned>(kind: u16, body: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(body).map_err(|error| malformed(kind, &error.to_string()))
}

fn empty(kind: u16, body: &[u8], message: Message) -> Result<Message, DecodeError> {
    if body.is_empty() {
        Ok(message)
    } else {
        Err(malformed(kind, "it should be empty"))
    }
}

fn listener_names(names: Vec<ListenerName>) -> Result<Vec<ListenerName>, DecodeError> {
    if names.is_empty() || names.len() > MAX_DESCRIPTORS {
        return Err(malformed(kind::LISTENERS, "not 1 to 253 listeners"));
    }
    if names
        .iter()
        .any(|listener| listener.name.is_empty() || listener.name.len() > MAX_NAME)
    {
        return Err(malformed(
            kind::LISTENERS,
            "a name that is empty or too long",
        ));
    }
    Ok(names)
}

fn malformed(kind: u16, what: &str) -> DecodeError {
    DecodeError::Body {
        kind,
        what: what.to_owned(),
    }
}

/// The first 2,000 characters of a reason, each at most 12 bytes of JSON.
fn cut(reason: &str) -> String {
    reason.chars().take(2000).collect()
}

#[cfg(test)]
mod tests;
