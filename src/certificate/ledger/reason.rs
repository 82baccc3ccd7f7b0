//! Why a handshake failed, from what was seen of it.

use std::fmt;

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::hello::Hello;
use super::opening::Opening;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why a handshake failed. The word never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// In lower case with dashes, for programs.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

reasons! {
    /// The client said `certificate_expired` (alert 45): it or one above it is over or has not
    /// begun.
    Expired = "certificate-expired",
    /// `bad_certificate` (42): a signature, the name, or anything.
    Bad = "certificate-bad",
    /// `unsupported_certificate` (43): its purpose or kind.
    Unsupported = "certificate-unsupported",
    /// `certificate_revoked` (44).
    Revoked = "certificate-revoked",
    /// `certificate_unknown` (46): what Chromium and Java say of any fault.
    Unknown = "certificate-unknown",
    /// `unknown_ca` (48): no way from it to a root that the client trusts.
    UnknownCa = "certificate-unknown-ca",
    /// `bad_certificate_status_response` (113): the stapled answer that it demands is missing.
    Status = "certificate-status",
    /// Rejected, aloud or silently, by a client that had asked for a name that no certificate of
    /// the listener covers.
    Name = "name-not-covered",
    /// The handshake was done, then the client ended the connection without a byte: Node does so
    /// with a certificate that it does not take, curl with one of another name; a browser with a
    /// connection that it turns out not to need.
    Unused = "unused",
    /// After it had been shown the certificate, the client was gone without a word.
    Abandoned = "abandoned",
    /// The client said something else.
    Alert = "other-alert",
    /// It offers no version from TLS 1.2 on.
    Version = "no-common-version",
    /// No cipher suite, key exchange or signature scheme in common.
    Cipher = "no-common-cipher",
    /// No protocol of the application layer (ALPN) in common.
    Protocol = "no-common-protocol",
    /// HTTP without TLS.
    PlainHttp = "plain-http",
    /// The header of the PROXY protocol, which batond does not speak here.
    ProxyHeader = "proxy-header",
    /// Connected, and ended without a byte: a port check.
    PortCheck = "port-check",
    /// Gone in the middle of its first message.
    Interrupted = "interrupted",
    /// The handshake was not done within `limits.handshake_timeout`.
    Timeout = "timeout",
    /// Something that is not TLS.
    Garbage = "garbage",
    /// TLS, but against its rules.
    Misbehaved = "protocol-error",
    /// The fault is on this side.
    Internal = "internal-error",
}

impl Reason {
    /// The client did not take the certificate, by what it said or did.
    pub fn is_rejection(self) -> bool {
        self <= Self::Abandoned
    }

    /// It said so, rather than leaving without a word.
    pub fn is_said(self) -> bool {
        self <= Self::Status
    }

    /// What comes in on any open port without a client of a service behind it.
    pub fn is_background(self) -> bool {
        matches!(
            self,
            Self::PlainHttp
                | Self::ProxyHeader
                | Self::PortCheck
                | Self::Interrupted
                | Self::Timeout
                | Self::Garbage
                | Self::Misbehaved
        )
    }
}

/// The word.
impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// How far a handshake came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not a byte came.
    Nothing,
    /// Something came.
    Begun,
    /// The client was shown the certificate, or its ticket was taken.
    Answered,
    /// It was done.
    Established,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// It was not TLS.
    NotTls(Opening),
    /// By a rule of TLS, or by the client's word.
    Failed(&'a Error),
    /// The client ended or reset the connection.
    Gone,
    /// It took too long.
    TooLong,
}

impl Reason {
    /// `covered`: the certificate that the client was shown has the name that it asked for, or it
    /// asked for none.
    pub fn of(end: End<'_>, stage: Stage, hello: Option<&Hello>, covered: bool) -> Self {
        let reason = match end {
            End::NotTls(Opening::Http) => Self::PlainHttp,
            End::NotTls(Opening::Proxy) => Self::ProxyHeader,
            End::NotTls(Opening::OldHello) => Self::Version,
            End::NotTls(Opening::Other) => Self::Garbage,
            End::Failed(error) => of_error(error, hello),
            End::Gone => match stage {
                Stage::Nothing => Self::PortCheck,
                Stage::Begun => Self::Interrupted,
                Stage::Answered => Self::Abandoned,
                Stage::Established => Self::Unused,
            },
            End::TooLong => Self::Timeout,
        };
        if reason.is_rejection() && !covered {
            return Self::Name;
        }
        reason
    }
}

fn of_error(error: &Error, hello: Option<&Hello>) -> Reason {
    match error {
        Error::AlertReceived(alert) => of_alert(*alert),
        // rustls misses something else before it sees that the version is too low.
        Error::PeerIncompatible(_) if hello.is_some_and(|it| it.highest < 0x0303) => {
            Reason::Version
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => Reason::Version,
        Error::PeerIncompatible(_) => Reason::Cipher,
        Error::NoApplicationProtocol => Reason::Protocol,
        Error::General(_)
        | Error::Other(_)
        | Error::EncryptError
        | Error::FailedToGetCurrentTime
        | Error::FailedToGetRandomBytes
        | Error::InconsistentKeys(_) => Reason::Internal,
        _ => Reason::Misbehaved,
    }
}

fn of_alert(alert: AlertDescription) -> Reason {
    match alert {
        AlertDescription::BadCertificate => Reason::Bad,
        AlertDescription::UnsupportedCertificate => Reason::Unsupported,
        AlertDescription::CertificateRevoked => Reason::Revoked,
        AlertDescription::CertificateExpired => Reason::Expired,
        AlertDescription::CertificateUnknown => Reason::Unknown,
        AlertDescription::UnknownCA => Reason::UnknownCa,
        AlertDescription::BadCertificateStatusResponse => Reason::Status,
        AlertDescription::ProtocolVersion => Reason::Version,
        AlertDescription::NoApplicationProtocol => Reason::Protocol,
        _ => Reason::Alert,
    }
}
