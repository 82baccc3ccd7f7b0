//! tungstenite as the judge of what a stream of frames means.
//!
//! The cursor must agree with it, except where it differs by intent:
//!
//! - UTF-8 in text messages is for the endpoints to check: the oracle is shown binary ones.
//! - With extensions, reserved bits and opcodes are not judged: the oracle is shown plain frames.
//! - tungstenite turns a Close with a code that it does not know into 1002 "Protocol violation".
//!   The cursor knows 1014, and calls the others a violation.
//! - tungstenite sees a violation when the frame is there in full, the cursor in the first
//!   bytes of its header, so the oracle is shown a made-up rest of a frame that is cut.
//! - Where one frame breaks several rules they may name different ones.
//! - tungstenite reserves memory for the whole frame, and panics on lengths near 2⁶³: frames past
//!   [`FRAME_LIMIT`] end what the oracle can say.

use std::io::{self, Read, Write};

use batond::edge::frame::{Met, Sender, Violation};
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    error::ProtocolError,
    protocol::{CloseFrame, Role, WebSocketConfig},
};

use crate::walk::Walk;

/// Longest payload that the oracle is shown, in bytes.
const FRAME_LIMIT: usize = 1 << 17;

/// Panics where `walk`, a byte-by-byte walk over `stream`, does not say what tungstenite says.
pub(crate) fn agrees(sender: Sender, extensions: bool, stream: &[u8], walk: &Walk) {
    let mut shown = as_judged(stream, extensions);
    if let Some(Met::Violation(_)) = walk.met {
        complete(&mut shown, walk.passed);
    }
    let verdict = Verdict::of(sender, &shown, stream.len());

    let messages: Vec<_> = walk.messages.iter().map(|&(_, end)| end).collect();
    assert_eq!(messages, verdict.messages, "where messages end");
    for end in &verdict.controls {
        assert!(
            walk.frame_ends.contains(end),
            "a control frame ends at {end}"
        );
    }

    let rest = &shown[walk.passed..];
    match (walk.met, verdict.end) {
        // The stream just ends.
        (None, Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {}
        (None, Err(Error::Capacity(_))) => {
            assert_eq!(walk.passed, stream.len());
            assert!(!walk.at_frame_end, "inside a very long frame");
        }
        (Some(Met::Close { len, code }), Ok(close)) => {
            assert_eq!(walk.passed + len, verdict.at, "where the Close ends");
            match code.map(u16::from) {
                Some(1014) => assert!(is_rewritten(&close), "{close:?}"),
                code => assert_eq!(code, close.map(|close| close.code.into())),
            }
        }
        (Some(Met::Violation(Violation::UnsendableCode(_))), Ok(close)) => {
            assert!(is_rewritten(&close), "{close:?}");
        }
        (Some(Met::Violation(violation)), Err(error)) => {
            assert!(verdict.at > walk.passed, "{violation} at {}", walk.passed);
            assert!(
                same_fault(violation, &error, rest),
                "{violation}, but tungstenite: {error}"
            );
        }
        (met, end) => panic!("met {met:?}, but tungstenite: {end:?}"),
    }
}

fn is_rewritten(close: &Option<CloseFrame>) -> bool {
    close
        .as_ref()
        .is_some_and(|close| u16::from(close.code) == 1002 && close.reason == "Protocol violation")
}

/// Does tungstenite's error say of the frame at the start of `rest` what `violation` says?
fn same_fault(violation: Violation, error: &Error, rest: &[u8]) -> bool {
    use Violation as V;
    let error = match error {
        Error::Protocol(error) => error,
        // Before all rules that need the whole frame.
        Error::Capacity(_) => return measure(rest).1 > FRAME_LIMIT as u64,
        Error::Utf8(_) => return matches!(violation, V::ReasonNotUtf8 | V::UnsendableCode(_)),
        _ => return false,
    };
    match error {
        ProtocolError::InvalidOpcode(opcode) => violation == V::ReservedOpcode(*opcode),
        ProtocolError::NonZeroReservedBits => violation == V::ReservedBits,
        // The one rule that a server asks before the reserved bits.
        ProtocolError::UnmaskedFrameFromClient => {
            violation == V::Unmasked || violation == V::ReservedBits && rest[1] & 0x80 == 0
        }
        ProtocolError::MaskedFrameFromServer => violation == V::Masked,
        ProtocolError::FragmentedControlFrame => violation == V::FragmentedControl,
        ProtocolError::ControlFrameTooBig => violation == V::LongControl,
        ProtocolError::UnexpectedContinueFrame => violation == V::NothingToContinue,
        ProtocolError::ExpectedFragment(_) => violation == V::UnfinishedMessage,
        ProtocolError::InvalidCloseSequence => violation == V::HalfCloseCode,
        _ => false,
    }
}

/// The stream as plain frames, and binary ones where they are text.
fn as_judged(stream: &[u8], extensions: bool) -> Vec<u8> {
    let mut shown = stream.to_vec();
    let mut at = 0;
    while let Some(first) = shown.get_mut(at) {
        if extensions {
            *first &= !0x70;
        }
        match *first & 0x0f {
            1 => *first ^= 1 ^ 2,
            reserved @ 3..=7 if extensions => *first ^= reserved ^ 2,
            reserved @ 11..=15 if extensions => *first ^= reserved ^ 10,
            _ => {}
        }
        let (header, payload) = measure(&shown[at..]);
        at = at.saturating_add(header).saturating_add(payload as usize);
    }
    shown
}

/// Makes up the missing end of the frame that begins at `at`.
fn complete(shown: &mut Vec<u8>, at: usize) {
    let (header, _) = measure(&shown[at..]);
    shown.resize(shown.len().max(at + header), 0);
    let (_, payload) = measure(&shown[at..]);
    if payload <= FRAME_LIMIT as u64 {
        shown.resize(shown.len().max(at + header + payload as usize), 0);
    }
}

/// How long a frame's header and its payload are, zeros taken for what is cut.
fn measure(frame: &[u8]) -> (usize, u64) {
    let byte = |at: usize| frame.get(at).copied().unwrap_or(0);
    let number = |bytes: usize| (2..2 + bytes).fold(0, |n, at| n << 8 | u64::from(byte(at)));
    let (header, payload) = match byte(1) & 0x7f {
        126 => (4, number(2)),
        127 => (10, number(8)),
        short => (2, u64::from(short)),
    };
    (header + usize::from(byte(1) >> 7) * 4, payload)
}

/// What tungstenite said of a stream.
struct Verdict {
    /// Where data messages end, and where pings and pongs end.
    messages: Vec<usize>,
    controls: Vec<usize>,
    /// The Close that ended the stream, or the error.
    end: Result<Option<CloseFrame>, Error>,
    /// How much it had read by then.
    at: usize,
}

impl Verdict {
    /// `real`: from there on the bytes are made up, so only an error or a Close counts.
    fn of(sender: Sender, shown: &[u8], real: usize) -> Self {
        let role = match sender {
            Sender::Client => Role::Server,
            Sender::Backend => Role::Client,
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(0)
            .max_message_size(None)
            .max_frame_size(Some(FRAME_LIMIT));
        let wire = Wire {
            bytes: shown,
            real,
            at: 0,
        };
        let mut socket = WebSocket::from_raw_socket(wire, role, Some(config));
        let (mut messages, mut controls) = (Vec::new(), Vec::new());
        let end = loop {
            let message = socket.read();
            let at = socket.get_ref().at;
            match message {
                Ok(Message::Text(_) | Message::Binary(_)) if at <= real => messages.push(at),
                Ok(Message::Ping(_) | Message::Pong(_)) if at <= real => controls.push(at),
                Ok(Message::Close(close)) => break Ok(close),
                // The made-up rest completed a frame that was not at fault.
                Ok(_) => break Err(ProtocolError::ResetWithoutClosingHandshake.into()),
                Err(error) => break Err(error),
            }
        };
        Self {
            messages,
            controls,
            end,
            at: socket.get_ref().at,
        }
    }
}

/// A stream that arrives byte by byte, so that it is known where tungstenite stands.
struct Wire<'a> {
    bytes: &'a [u8],
    real: usize,
    at: usize,
}

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = if self.at < self.real {
            self.at + 1
        } else {
            self.bytes.len()
        };
        let read = (&self.bytes[self.at..end]).read(into)?;
        self.at += read;
        Ok(read)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, pong: &[u8]) -> io::Result<usize> {
        Ok(pong.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
