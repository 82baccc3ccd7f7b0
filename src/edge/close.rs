//! Close codes that may stand on the wire, and Close frames made of them.

use std::fmt;

use rustls::crypto::aws_lc_rs;
use serde::{Deserialize, Serialize};

/// A close code that an endpoint may send (RFC 6455 §7.4 and the IANA registry): 1000–1003,
/// 1007–1014 and 3000–4999. Never 1004, 1005, 1006, 1015 or an unassigned one. In
/// configuration and reports it is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1001: the server goes away for good.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1011: something unexpected happened.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts; come back.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1014: the server behind a gateway failed.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it may be sent.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number on the wire.
    pub const fn value(self) -> u16 {
        self.0
    }

    /// The name in the IANA registry of WebSocket close codes, shortened where it is a sentence.
    /// None for a code that a library or an application defines for itself.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "Normal Closure",
            1001 => "Going Away",
            1002 => "Protocol Error",
            1003 => "Unsupported Data",
            1007 => "Invalid Payload Data",
            1008 => "Policy Violation",
            1009 => "Message Too Big",
            1010 => "Mandatory Extension",
            1011 => "Internal Error",
            1012 => "Service Restart",
            1013 => "Try Again Later",
            1014 => "Bad Gateway",
            3000 => "Unauthorized",
            3003 => "Forbidden",
            3008 => "Timeout",
            _ => return None,
        })
    }
}

/// The number, and the name where there is one: `1012 Service Restart`, `4001`.
impl fmt::Display for CloseCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(out, "{} {name}", self.0),
            None => write!(out, "{}", self.0),
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

/// A number that may not stand in a Close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "close code {0} may not be sent: use 1000-1003, 1007-1014 or 3000-4999 (RFC 6455 section 7.4)"
)]
pub struct UnsendableCode(pub u16);

impl TryFrom<u16> for CloseCode {
    type Error = UnsendableCode;

    fn try_from(code: u16) -> Result<Self, UnsendableCode> {
        Self::new(code).ok_or(UnsendableCode(code))
    }
}

/// Longest reason that fits into a Close frame beside the code, in bytes (RFC 6455 §5.5).
pub const REASON_MAX: usize = 123;

/// Longest Close frame that is made here, in bytes: header, masking key, code and reason.
const FRAME_MAX: usize = 2 + 4 + 2 + REASON_MAX;

/// First byte of every Close frame: FIN and opcode 8 (RFC 6455 §5.2).
const FIN_CLOSE: u8 = 0x88;
/// In the second byte: a masking key follows the length.
const MASKED: u8 = 0x80;

/// A Close frame, ready for the wire.
#[derive(Clone, Copy)]
pub struct CloseFrame {
    bytes: [u8; FRAME_MAX],
    len: u8,
}

impl CloseFrame {
    /// The frame that a server sends (unmasked, RFC 6455 §5.1). A reason longer than
    /// [`REASON_MAX`] is cut at the last character that fits.
    pub fn to_client(code: CloseCode, reason: &str) -> Self {
        Self::encode(code, reason, None)
    }

    /// The frame that a client sends, masked with `key`, which should be unpredictable where
    /// the reason came from outside (RFC 6455 §10.3). A reason longer than [`REASON_MAX`] is
    /// cut at the last character that fits.
    pub fn to_backend(code: CloseCode, reason: &str, key: [u8; 4]) -> Self {
        Self::encode(code, reason, Some(key))
    }

    fn encode(code: CloseCode, reason: &str, key: Option<[u8; 4]>) -> Self {
        let reason = fitting(reason);
        let size = 2 + reason.len();
        let mut bytes = [0; FRAME_MAX];
        bytes[0] = FIN_CLOSE;
        // At most 125, so the short form of the length always does.
        bytes[1] = size as u8;
        let start = match key {
            None => 2,
            Some(key) => {
                bytes[1] |= MASKED;
                bytes[2..6].copy_from_slice(&key);
                6
            }
        };
        let payload = &mut bytes[start..start + size];
        payload[..2].copy_from_slice(&code.0.to_be_bytes());
        payload[2..].copy_from_slice(reason.as_bytes());
        if let Some(key) = key {
            mask(payload, key);
        }
        Self {
            bytes,
            len: (start + size) as u8,
        }
    }

    /// What goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for CloseFrame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("CloseFrame")
            .field(&self.as_bytes())
            .finish()
    }
}

/// Masks, or unmasks, a payload from its first byte on (RFC 6455 §5.3).
pub(super) fn mask(payload: &mut [u8], key: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// As much of `reason` as fits, in whole characters.
fn fitting(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// A key that cannot be guessed (RFC 6455 §10.3).
pub(super) fn masking_key() -> [u8; 4] {
    let mut key = [0; 4];
    // Without randomness a key of zeros is still a legal one, and these frames carry no text
    // from outside.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sendable_codes_exist() {
        let sendable =
            |code: u16| matches!(code, 1000..=1003 | 1007..=1014) || (3000..5000).contains(&code);
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::new(code).is_some(), sendable(code), "{code}");
            assert_eq!(
                CloseCode::try_from(code).map(u16::from).ok(),
                sendable(code).then_some(code)
            );
        }
        for code in [1004, 1005, 1006, 1015, 1016, 2999, 999, 0, 5000] {
            assert_eq!(CloseCode::try_from(code), Err(UnsendableCode(code)));
        }
    }

    #[test]
    fn a_code_reads_as_number_and_name() {
        assert_eq!(
            CloseCode::SERVICE_RESTART.to_string(),
            "1012 Service Restart"
        );
        assert_eq!(CloseCode::BAD_GATEWAY.to_string(), "1014 Bad Gateway");
        assert_eq!(CloseCode(3008).to_string(), "3008 Timeout");
        assert_eq!(CloseCode(4001).to_string(), "4001");
        let nameless = (0..3000)
            .filter_map(CloseCode::new)
            .find(|code| code.name().is_none());
        assert_eq!(
            nameless, None,
            "every code that the registry assigns has a name"
        );
    }

    #[test]
    fn a_code_is_a_number_in_json_and_only_a_sendable_one() {
        assert_eq!(
            serde_json::to_string(&CloseCode::SERVICE_RESTART).expect("a number"),
            "1012"
        );
        let read = serde_json::from_str::<CloseCode>;
        assert_eq!(read("4001").expect("sendable"), CloseCode(4001));
        assert!(
            read("1006")
                .expect_err("not sendable")
                .to_string()
                .contains("1006 may not be sent")
        );
    }

    #[test]
    fn frames_are_as_rfc_6455_lays_them_out() {
        let frame = CloseFrame::to_client(CloseCode::SERVICE_RESTART, "bye");
        assert_eq!(frame.as_bytes(), b"\x88\x05\x03\xf4bye");
        let frame = CloseFrame::to_backend(CloseCode::GOING_AWAY, "", [1, 2, 3, 4]);
        assert_eq!(
            frame.as_bytes(),
            [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2]
        );
        let frame = CloseFrame::to_backend(CloseCode::GOING_AWAY, "abc", [1, 2, 3, 4]);
        assert_eq!(frame.as_bytes()[8..], [b'a' ^ 3, b'b' ^ 4, b'c' ^ 1]);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let longest = "x".repeat(REASON_MAX);
        let frame = CloseFrame::to_client(CloseCode::SERVICE_RESTART, &longest);
        assert_eq!(frame.as_bytes().len(), 2 + 125);
        assert_eq!(&frame.as_bytes()[4..], longest.as_bytes());

        let frame = CloseFrame::to_client(CloseCode::SERVICE_RESTART, &"x".repeat(500));
        assert_eq!(&frame.as_bytes()[4..], longest.as_bytes());

        // 122 bytes and a character of two: it does not fit, the whole character goes.
        let reason = format!("{}é and more", "x".repeat(122));
        let frame = CloseFrame::to_backend(CloseCode::SERVICE_RESTART, &reason, [0; 4]);
        assert_eq!(&frame.as_bytes()[8..], "x".repeat(122).as_bytes());
        assert_eq!(frame.as_bytes()[1], MASKED | 124);
    }
}
