//! Where frames and messages end in one direction of a WebSocket (RFC 6455 §5).
//!
//! The relay passes bytes on as they came. A [`Cursor`] walks along and reads headers only, so
//! that a Close of our own lands between frames, and between messages where there is time. It
//! unmasks, buffers and allocates nothing. The one payload that it looks into is that of a
//! Close frame, because some codes may not travel.

use super::close::{self, CloseCode};

/// Longest header: two bytes, a 64-bit length and a masking key (RFC 6455 §5.2).
const HEADER_MAX: usize = 2 + 8 + 4;
/// Longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_MAX: usize = 125;

/// Longest run of bytes that must be seen in one piece, in bytes: a Close frame with the longest
/// header. Of a longer chunk something is passed or met, so what is held back is always shorter.
pub const HELD_MAX: usize = HEADER_MAX + CONTROL_MAX;

const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;
/// The bit that tells control opcodes from data opcodes (RFC 6455 §5.5).
const CONTROL: u8 = 0x8;
/// One bit for each opcode that RFC 6455 §5.2 defines: 0, 1, 2, 8, 9, 10.
const DEFINED: u16 = 0b0000_0111_0000_0111;

/// Which side sent the bytes: clients mask, servers do not (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client: every frame is masked.
    Client,
    /// The backend: no frame is masked.
    Backend,
}

/// The place that has been reached in one direction of a WebSocket, from the first byte after
/// the handshake on.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Bytes still to come of the payload under way; 0 between frames.
    left: u64,
    sender: Sender,
    extensions: bool,
    /// A data message has begun and its last frame has not.
    open: bool,
    /// The payload under way ends a data message.
    last: bool,
}

/// What a chunk of bytes holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// How many leading bytes may go on as they are. They end between frames or inside a payload,
    /// never inside a header or a Close frame. What is left is shorter than [`HELD_MAX`] and
    /// waits for more, or follows `met`.
    pub pass: usize,
    /// The last offset ≤ `pass` at which the receiver stands between messages (a control frame
    /// outside a fragmented message counts as between). `Some(0)`: only before these bytes.
    pub message_end: Option<usize>,
    /// The last offset ≤ `pass` at which the receiver stands between frames. `Some(0)`: only
    /// before these bytes.
    pub frame_end: Option<usize>,
    /// Whole data messages that ended within `pass`.
    pub messages: u32,
    /// Why the scan stopped early, if so.
    pub met: Option<Met>,
}

/// What the cursor does not walk over. Presented again, the same bytes give the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// A whole, legal Close frame follows.
    Close {
        /// Its length with the header, in bytes: at most [`HELD_MAX`].
        len: usize,
        /// None: an empty payload, which the receiver reports as 1005 (RFC 6455 §7.1.5).
        code: Option<CloseCode>,
    },
    /// What follows is not legal.
    Violation(Violation),
}

/// How a frame broke RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Opcodes 3–7 and 11–15 mean nothing without an extension.
    #[error("opcode {0} is reserved (RFC 6455 section 5.2)")]
    ReservedOpcode(u8),
    /// RSV1–RSV3 must be 0 without an extension.
    #[error("a reserved bit is set and no extension was negotiated (RFC 6455 section 5.2)")]
    ReservedBits,
    /// A client must mask.
    #[error("a frame from the client is not masked (RFC 6455 section 5.1)")]
    Unmasked,
    /// A server must not mask.
    #[error("a frame from the backend is masked (RFC 6455 section 5.1)")]
    Masked,
    /// FIN is missing on a control frame.
    #[error("a control frame is fragmented (RFC 6455 section 5.5)")]
    FragmentedControl,
    /// A control frame carries more than 125 bytes.
    #[error("a control frame is longer than 125 bytes (RFC 6455 section 5.5)")]
    LongControl,
    /// Nothing has begun that could be continued.
    #[error("a continuation frame continues no message (RFC 6455 section 5.4)")]
    NothingToContinue,
    /// A fragmented message has not ended, and another one begins.
    #[error("a message begins inside a fragmented one (RFC 6455 section 5.4)")]
    UnfinishedMessage,
    /// The most significant bit of a 64-bit length must be 0.
    #[error("a frame claims to be longer than 2^63 bytes (RFC 6455 section 5.2)")]
    ImpossibleLength,
    /// A Close payload of one byte cannot hold a code.
    #[error("a Close frame holds half a close code (RFC 6455 section 5.5.1)")]
    HalfCloseCode,
    /// A code that must not be sent, or that nobody has assigned.
    #[error("close code {0} may not be sent (RFC 6455 section 7.4)")]
    UnsendableCode(u16),
    /// The reason is not UTF-8.
    #[error("the reason in a Close frame is not UTF-8 (RFC 6455 section 5.5.1)")]
    ReasonNotUtf8,
}

/// A header that is there in full and legal so far as headers go.
struct Header {
    /// Its own length in bytes.
    size: usize,
    /// The length of the payload in bytes.
    payload: u64,
    opcode: u8,
    fin: bool,
}

impl Cursor {
    /// A cursor before the first byte after the handshake. `extensions`: one was negotiated
    /// (Sec-WebSocket-Extensions in the 101), so reserved bits and opcodes are not ours to judge.
    pub fn new(sender: Sender, extensions: bool) -> Self {
        Self {
            left: 0,
            sender,
            extensions,
            open: false,
            last: false,
        }
    }

    /// Advances over `bytes`, which begin where the last call's `pass` ended: what was not passed
    /// is presented again, with more behind it.
    pub fn advance(&mut self, bytes: &[u8]) -> Scan {
        let mut scan = Scan {
            pass: 0,
            message_end: None,
            frame_end: None,
            messages: 0,
            met: None,
        };
        loop {
            let step = self.left.min((bytes.len() - scan.pass) as u64);
            self.left -= step;
            scan.pass += step as usize;
            if self.left > 0 {
                return scan;
            }
            scan.messages += u32::from(std::mem::take(&mut self.last));
            scan.frame_end = Some(scan.pass);
            if !self.open {
                scan.message_end = Some(scan.pass);
            }
            let rest = &bytes[scan.pass..];
            let header = match self.header(rest) {
                Ok(Some(header)) => header,
                Ok(None) => return scan,
                Err(violation) => {
                    scan.met = Some(Met::Violation(violation));
                    return scan;
                }
            };
            if header.opcode == CLOSE {
                scan.met = self.close(rest, &header);
                return scan;
            }
            if header.opcode & CONTROL == 0 {
                self.open = !header.fin;
                self.last = header.fin;
            }
            self.left = header.payload;
            scan.pass += header.size;
        }
    }

    /// What was passed so far ends between messages.
    pub fn at_message_end(&self) -> bool {
        self.left == 0 && !self.open
    }

    /// What was passed so far ends between frames.
    pub fn at_frame_end(&self) -> bool {
        self.left == 0
    }

    /// The header that `rest` begins with; None if it is cut.
    #[inline]
    fn header(&self, rest: &[u8]) -> Result<Option<Header>, Violation> {
        let &[first, second, ref more @ ..] = rest else {
            return Ok(None);
        };
        self.judge(first, second)?;
        // RFC 6455 §5.2 demands the shortest form of the length. Most endpoints do not check, so
        // a longer form is passed: those who mind see it as they would without us.
        let (length_size, payload) = match second & LENGTH {
            126 => match more {
                &[a, b, ..] => (2, u64::from(u16::from_be_bytes([a, b]))),
                _ => return Ok(None),
            },
            127 => match more.first_chunk() {
                Some(&length) => (8, u64::from_be_bytes(length)),
                None => return Ok(None),
            },
            short => (0, u64::from(short)),
        };
        if first & CONTROL != 0 && payload > CONTROL_MAX as u64 {
            return Err(Violation::LongControl);
        }
        if payload > i64::MAX as u64 {
            return Err(Violation::ImpossibleLength);
        }
        let size = 2 + length_size + if second & MASKED == 0 { 0 } else { 4 };
        if rest.len() < size {
            return Ok(None);
        }
        Ok(Some(Header {
            size,
            payload,
            opcode: first & OPCODE,
            fin: first & FIN != 0,
        }))
    }

    /// The rules that the first two bytes of a header decide.
    #[inline]
    fn judge(&self, first: u8, second: u8) -> Result<(), Violation> {
        let opcode = first & OPCODE;
        if !self.extensions {
            if DEFINED >> opcode & 1 == 0 {
                return Err(Violation::ReservedOpcode(opcode));
            }
            if first & RESERVED_BITS != 0 {
                return Err(Violation::ReservedBits);
            }
        }
        match (self.sender, second & MASKED != 0) {
            (Sender::Client, false) => return Err(Violation::Unmasked),
            (Sender::Backend, true) => return Err(Violation::Masked),
            _ => {}
        }
        match (opcode & CONTROL != 0, self.open) {
            (true, _) if first & FIN == 0 => Err(Violation::FragmentedControl),
            (false, false) if opcode == CONTINUATION => Err(Violation::NothingToContinue),
            (false, true) if opcode != CONTINUATION => Err(Violation::UnfinishedMessage),
            _ => Ok(()),
        }
    }

    /// The Close frame that `rest` begins with; None if it is cut.
    #[cold]
    fn close(&self, rest: &[u8], header: &Header) -> Option<Met> {
        let len = header.size + header.payload as usize;
        let payload = rest.get(header.size..len)?;
        let mut space = [0; CONTROL_MAX];
        let clear = &mut space[..payload.len()];
        clear.copy_from_slice(payload);
        if self.sender == Sender::Client
            && let Some(&key) = rest[..header.size].last_chunk()
        {
            close::mask(clear, key);
        }
        Some(match close_code(clear) {
            Ok(code) => Met::Close { len, code },
            Err(violation) => Met::Violation(violation),
        })
    }
}

/// The code in an unmasked Close payload (RFC 6455 §5.5.1); None if it is empty.
fn close_code(payload: &[u8]) -> Result<Option<CloseCode>, Violation> {
    let &[high, low, ref reason @ ..] = payload else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(Violation::HalfCloseCode)
        };
    };
    let code = u16::from_be_bytes([high, low]);
    let code = CloseCode::new(code).ok_or(Violation::UnsendableCode(code))?;
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Violation::ReasonNotUtf8),
    }
}
