//! WebSocket frames, byte by byte (RFC 6455 §5.2).

use std::fmt;

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Any key will do: the daemon never looks at it.
const KEY: [u8; 4] = [0x5a, 0x01, 0xc3, 0x7e];

/// How the length of the payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// As short as it goes.
    Shortest,
    /// In 16 bits, where that is enough.
    Medium,
    /// In 64 bits, always.
    Long,
}

/// One frame, unmasked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The last or only frame of a message, or a control frame.
    pub(crate) fn last(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            first: FIN | opcode,
            payload: payload.into(),
        }
    }

    /// A frame that another one continues.
    pub(crate) fn more(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            first: opcode,
            payload: payload.into(),
        }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::last(TEXT, text.into())
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        Self::last(CLOSE, payload)
    }

    /// The code and the reason, if this is a Close frame that has a code.
    pub(crate) fn close_code(&self) -> Option<(u16, &str)> {
        let &[high, low, ref reason @ ..] = &*self.payload else {
            return None;
        };
        let reason = std::str::from_utf8(reason).ok()?;
        (self.first == FIN | CLOSE).then_some((u16::from_be_bytes([high, low]), reason))
    }

    /// As a server sends it.
    pub(crate) fn plain(&self) -> Vec<u8> {
        self.encode(None, Length::Shortest)
    }

    /// As a client sends it.
    pub(crate) fn masked(&self) -> Vec<u8> {
        self.encode(Some(KEY), Length::Shortest)
    }

    /// As the one or the other sends it.
    pub(crate) fn bytes(&self, masked: bool) -> Vec<u8> {
        self.encode(masked.then_some(KEY), Length::Shortest)
    }

    pub(crate) fn encode(&self, key: Option<[u8; 4]>, length: Length) -> Vec<u8> {
        let size = self.payload.len();
        let mask_bit = if key.is_some() { MASKED } else { 0 };
        let mut bytes = vec![self.first];
        match (length, u8::try_from(size), u16::try_from(size)) {
            (Length::Shortest, Ok(size @ 0..126), _) => bytes.push(mask_bit | size),
            (Length::Shortest | Length::Medium, _, Ok(size)) => {
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&size.to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend_from_slice(&(size as u64).to_be_bytes());
            }
        }
        let Some(key) = key else {
            bytes.extend_from_slice(&self.payload);
            return bytes;
        };
        bytes.extend_from_slice(&key);
        bytes.extend(masked(&self.payload, key));
        bytes
    }

    /// The frame that the bytes begin with, whether it is masked, and its length on the wire.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, bool, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (mut at, size) = match second & 0x7f {
            126 => {
                let length = bytes.get(2..4)?.try_into().expect("two bytes");
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => {
                let length = bytes.get(2..10)?.try_into().expect("eight bytes");
                (10, usize::try_from(u64::from_be_bytes(length)).ok()?)
            }
            short => (2, usize::from(short)),
        };
        let mut key = [0; 4];
        let is_masked = second & MASKED != 0;
        if is_masked {
            key.copy_from_slice(bytes.get(at..at + 4)?);
            at += 4;
        }
        let payload = bytes.get(at..at + size)?;
        let frame = Self {
            first,
            payload: match is_masked {
                true => masked(payload, key).collect(),
                false => payload.to_vec(),
            },
        };
        Some((frame, is_masked, at + size))
    }
}

fn masked(payload: &[u8], key: [u8; 4]) -> impl Iterator<Item = u8> {
    payload
        .iter()
        .zip(key.into_iter().cycle())
        .map(|(byte, key)| byte ^ key)
}

impl fmt::Debug for Frame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((code, reason)) = self.close_code() {
            return write!(out, "Close {code} {reason:?}");
        }
        let shown = &self.payload[..self.payload.len().min(40)];
        write!(
            out,
            "{:#04x} {} bytes {:?}",
            self.first,
            self.payload.len(),
            String::from_utf8_lossy(shown)
        )
    }
}
