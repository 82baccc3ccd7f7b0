//! Close codes that may stand on the wire, and Close frames made of them.

/// A close code that an endpoint may send (RFC 6455 §7.4 and the IANA registry): 1000–1003,
/// 1007–1014 and 3000–4999. Never 1004, 1005, 1006, 1015 or an unassigned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
}

/// Longest reason that fits into a Close frame beside the code, in bytes (RFC 6455 §5.5).
pub const REASON_MAX: usize = 123;
