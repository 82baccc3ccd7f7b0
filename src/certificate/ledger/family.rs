//! Who a client is, from the order in which it offers things. Only what was seen of the real
//! program is told apart; whoever else offers the same shares its code.

use std::fmt;

use serde::Serialize;

use crate::certificate::client::Client;

/// Clients that greet alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Chromium, Chrome, Edge, Electron's pages.
    Chromium,
    /// Node.
    Node,
    /// Python's `ssl`.
    Python,
    /// OpenSSL by another hand: curl, Ruby, PHP.
    Openssl,
    /// GnuTLS: wget, GNOME programs.
    Gnutls,
    /// The Java platform.
    Java,
    /// rustls.
    Rustls,
    /// Somebody else.
    Unknown,
}

impl Family {
    /// Whose judgement of certificates it shares; none: not known.
    pub fn clients(self) -> &'static [Client] {
        match self {
            Self::Chromium => &[Client::Chromium],
            Self::Node | Self::Openssl => &[Client::Openssl],
            // Which of the two depends on its version.
            Self::Python => &[Client::Openssl, Client::Python],
            Self::Gnutls => &[Client::Gnutls],
            Self::Java => &[Client::Java],
            Self::Rustls => &[Client::Rustls],
            Self::Unknown => &[],
        }
    }

    /// Clients that no greeting is known of.
    pub fn untold() -> impl Iterator<Item = Client> {
        let told = |client: &Client| Self::TOLD.iter().any(|it| it.clients().contains(client));
        let all = Client::ALL.iter().copied();
        all.filter(move |client| !told(client))
    }

    /// Those that can be told.
    const TOLD: [Self; 7] = [
        Self::Chromium,
        Self::Node,
        Self::Python,
        Self::Openssl,
        Self::Gnutls,
        Self::Java,
        Self::Rustls,
    ];

    /// As people call it; empty, if it is not known.
    pub fn label(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Node => "Node",
            Self::Python => "Python",
            Self::Openssl => "OpenSSL",
            Self::Gnutls => "GnuTLS",
            Self::Java => "Java",
            Self::Rustls => "rustls",
            Self::Unknown => "",
        }
    }
}

/// As `chromium`; `unknown`.
impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// What a greeting is recognised by.
#[derive(Default)]
pub(super) struct Features<'a> {
    /// Cipher suites as on the wire, two bytes each.
    pub(super) ciphers: &'a [u8],
    /// encrypt_then_mac (RFC 7366).
    pub(super) encrypt_then_mac: bool,
    /// status_request_v2 (RFC 6961), which was dropped by everybody else.
    pub(super) status_request_v2: bool,
    /// compress_certificate (RFC 8879) with brotli.
    pub(super) brotli: bool,
}

/// TLS 1.3's AES-256, ChaCha20 and AES-128, as OpenSSL has them.
const OPENSSL_13: [u8; 6] = [0x13, 0x02, 0x13, 0x03, 0x13, 0x01];

/// Behind those: Node's own list begins with ECDHE-RSA-AES128-GCM-SHA256.
const NODE: [u8; 4] = [0xc0, 0x2f, 0xc0, 0x2b];

/// Behind those: Python's `ECDH+AESGCM:ECDH+CHACHA20`.
const PYTHON: [u8; 8] = [0xc0, 0x2c, 0xc0, 0x30, 0xc0, 0x2b, 0xc0, 0x2f];

/// Behind those: GnuTLS's AES-128-CCM.
const GNUTLS: [u8; 2] = [0x13, 0x04];

/// All that rustls offers, with TLS 1.2 and without.
const RUSTLS: [u8; 18] = [
    0x13, 0x02, 0x13, 0x01, 0x13, 0x03, 0xc0, 0x2c, 0xc0, 0x2b, 0xcc, 0xa9, 0xc0, 0x30, 0xc0, 0x2f,
    0xcc, 0xa8,
];

impl Features<'_> {
    pub(super) fn extension(&mut self, kind: u16, body: &[u8]) {
        match kind {
            17 => self.status_request_v2 = true,
            22 => self.encrypt_then_mac = true,
            27 => {
                self.brotli = body
                    .get(1..)
                    .is_some_and(|all| all.chunks(2).any(is_brotli))
            }
            _ => {}
        }
    }

    pub(super) fn family(&self) -> Family {
        // Values without a meaning (GREASE, RFC 8701) come first from BoringSSL and from Apple's
        // TLS, whose compression is zlib.
        let grease = matches!(self.ciphers, [a, b, ..] if a == b && a & 0x0f == 0x0a);
        if grease {
            return if self.brotli {
                Family::Chromium
            } else {
                Family::Unknown
            };
        }
        if self.status_request_v2 {
            return Family::Java;
        }
        let behind_13 = self.ciphers.strip_prefix(&OPENSSL_13);
        match behind_13 {
            Some(rest) if rest.starts_with(&GNUTLS) => Family::Gnutls,
            Some(rest) if self.encrypt_then_mac && rest.starts_with(&NODE) => Family::Node,
            Some(rest) if self.encrypt_then_mac && rest.starts_with(&PYTHON) => Family::Python,
            Some(_) if self.encrypt_then_mac => Family::Openssl,
            Some(_) => Family::Unknown,
            None if self.ciphers.starts_with(&RUSTLS) && !self.encrypt_then_mac => Family::Rustls,
            None => Family::Unknown,
        }
    }
}

fn is_brotli(algorithm: &[u8]) -> bool {
    algorithm == [0, 2]
}
