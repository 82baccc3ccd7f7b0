//! A failure held against what the checks say about the certificate that the client was shown.

use std::fmt::Write;

use jiff::Timestamp;

use super::Failure;
use super::family::Family;
use super::reason::Reason;
use crate::certificate::check::span;
use crate::certificate::finding::{Fault, Finding};

/// A certificate that clients are shown, as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Until when the leaf is valid.
    pub not_after: Timestamp,
    /// What the checks say of it, the worst first.
    pub findings: &'a [Finding],
}

/// A failed handshake with everything that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// What was seen.
    pub failure: Failure,
    /// The name of the certificate that the client was shown; empty: none, or one that has been
    /// replaced.
    pub certificate: String,
    /// The name of the finding that explains it; empty, if nothing is found.
    pub cause: String,
    /// All of it in a sentence without a full stop.
    pub what: String,
    /// What to do about the cause; empty without one.
    pub remedy: String,
}

impl Joined {
    /// Looks for the cause. `served`: the certificate that was shown, if it is still known.
    pub fn new(failure: Failure, served: Option<Served<'_>>) -> Self {
        let rejects = failure.reason.is_rejection();
        let finding = served
            .filter(|_| rejects)
            .and_then(|it| cause(&failure, &it));
        let mut what = told(&failure);
        let (cause, remedy) = match (finding, failure.reason) {
            (Some(finding), _) => {
                let _ = write!(what, "; {} ({}", finding.what, finding.fault);
                if let Some(served) = served.filter(|_| finding.fault == Fault::Expired) {
                    let ago = failure.at.duration_since(served.not_after);
                    let _ = write!(what, " for {}", span(ago));
                }
                what.push(')');
                (finding.fault.to_string(), finding.remedy.clone())
            }
            (None, Reason::Name) => {
                let remedy = "have a certificate issued with that name, if it is one of yours";
                (Fault::NameNotCovered.to_string(), remedy.to_owned())
            }
            (None, reason) => {
                if reason.is_said() && served.is_some() {
                    what.push_str(
                        "; what it was shown is found good here: look at the roots that it \
                         trusts, at its clock, and at what lies between",
                    );
                }
                (String::new(), String::new())
            }
        };
        Self {
            certificate: served.map(|it| it.name.to_owned()).unwrap_or_default(),
            failure,
            cause,
            what,
            remedy,
        }
    }

    /// Somebody wanted to be served, and was not. Who leaves without a word and without a reason
    /// may not have needed the connection, as it happens with browsers.
    pub fn matters(&self) -> bool {
        let reason = self.failure.reason;
        let silent = reason.is_rejection() && self.failure.alert.is_none();
        let needless = silent && self.cause.is_empty();
        !reason.is_background() && !needless
    }

    /// It counts against the certificate: the client said that it does not take it, or left
    /// without a word and has a reason. Who left without one may not have needed the connection.
    pub fn accuses(&self) -> bool {
        let reason = self.failure.reason;
        let silent = reason.is_rejection() && !self.cause.is_empty();
        reason != Reason::Name && (reason.is_said() || silent)
    }
}

/// The finding that explains why this client does not take the certificate: the worst that fits
/// what it said. A word that no finding fits is about something that is not found here.
fn cause<'a>(failure: &Failure, served: &Served<'a>) -> Option<&'a Finding> {
    let clients = failure.family.clients();
    let name = failure.name.as_deref();
    let explains = |one: &&Finding| {
        let breaks = if clients.is_empty() {
            // It may be any of these. A fault of others only does not explain it.
            Family::untold().all(|client| one.breaks.contains(client))
        } else {
            clients.iter().any(|client| one.breaks.contains(*client))
        };
        let is_about =
            one.names.is_empty() || name.is_none_or(|name| one.names.iter().any(|it| it == name));
        breaks && is_about
    };
    let fits = |one: &&Finding| match failure.reason {
        Reason::Expired => one.fault.depends_on_time(),
        // OpenSSL says so, too, of one above it that may not issue it.
        Reason::UnknownCa => {
            one.fault.rests_on_roots()
                || matches!(one.fault, Fault::IssuerNotCa | Fault::PathTooLong)
        }
        Reason::Unsupported => {
            (Fault::WeakSignature..=Fault::UnknownCriticalExtension).contains(&one.fault)
        }
        Reason::Status => one.fault == Fault::MustStaple,
        _ => true,
    };
    served.findings.iter().filter(explains).find(fits)
}

fn told(failure: &Failure) -> String {
    let who = match failure.family {
        Family::Unknown => "a client",
        family => family.label(),
    };
    let of_name = failure
        .name
        .as_ref()
        .map(|name| format!(" that asked for {name}"))
        .unwrap_or_default();
    let alert = failure.alert.map(alert_name);
    let said = alert.as_deref().unwrap_or("nothing");
    let did = match failure.reason {
        Reason::Name => format!(
            "does not take the certificate (it said {said}): none of the listener has that name"
        ),
        Reason::Unused if failure.alert.is_none() => {
            "ended the connection right after the handshake without a byte".to_owned()
        }
        Reason::Abandoned => {
            "was gone without a word once it had been shown the certificate".into()
        }
        Reason::Alert => format!("gave up: {said}"),
        reason if reason.is_said() => format!("does not take the certificate: {said}"),
        Reason::Version => format!(
            "speaks {} at most; batond speaks TLS 1.2 and 1.3",
            version_name(failure.version.unwrap_or_default())
        ),
        Reason::Cipher => format!("has too little in common with batond: {}", failure.error),
        Reason::Protocol => {
            "insists on a protocol (ALPN) other than HTTP/1.1, which WebSocket needs".to_owned()
        }
        Reason::PlainHttp => "speaks HTTP without TLS, and was told so".to_owned(),
        Reason::ProxyHeader => {
            "sent a header of the PROXY protocol, which this listener does not take".to_owned()
        }
        Reason::PortCheck => "connected and left without a byte".to_owned(),
        Reason::Interrupted => "left in the middle of its first message".to_owned(),
        Reason::Timeout => "did not finish the handshake in time".to_owned(),
        Reason::Garbage => "sent something that is not TLS".to_owned(),
        _ => format!("failed: {}", failure.error),
    };
    format!("{who} from {}{of_name} {did}", failure.network)
}

/// As on the wire (RFC 8446 §4.2.1).
pub fn version_name(version: u16) -> String {
    match version {
        0x0304 => "TLS 1.3".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0 | 0x0002 => "SSL 2".to_owned(),
        0x0300 => "SSL 3".to_owned(),
        other => format!("version {other:#06x}"),
    }
}

/// With its number (RFC 8446 §6).
fn alert_name(alert: u8) -> String {
    let name = match alert {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        120 => "no_application_protocol",
        _ => "alert",
    };
    format!("{name} ({alert})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::client::{Affected, Client};
    use crate::certificate::finding::Part;
    use crate::certificate::ledger::network::Network;

    fn finding(fault: Fault, breaks: impl IntoIterator<Item = Client>) -> Finding {
        let mut finding = Finding::fatal(fault, Part::Chain, "", "", "");
        finding.breaks = Affected::new(breaks);
        finding
    }

    fn cause_of(reason: Reason, family: Family, findings: &[Finding]) -> String {
        let at = Timestamp::from_second(1).unwrap();
        let failure = Failure {
            at,
            listener: "wss".to_owned(),
            network: Network::Host,
            family,
            name: None,
            reason,
            alert: None,
            version: None,
            served: Some([7; 32]),
            error: String::new(),
        };
        let served = Served {
            name: "example",
            not_after: at,
            findings,
        };
        Joined::new(failure, Some(served)).cause
    }

    #[test]
    fn a_cause_fits_what_the_client_said() {
        let everyone = || Client::ALL.iter().copied();
        let all = [
            finding(Fault::MustStaple, everyone()),
            finding(Fault::ChainIncomplete, everyone()),
        ];
        let cause = |reason| cause_of(reason, Family::Openssl, &all);
        assert_eq!(cause(Reason::UnknownCa), "chain-incomplete");
        assert_eq!(cause(Reason::Status), "must-staple");
        assert_eq!(cause(Reason::Expired), "");
        assert_eq!(cause(Reason::Unknown), "must-staple");
        let [_, chain] = &all;
        let chain = std::slice::from_ref(chain);
        assert_eq!(cause_of(Reason::Status, Family::Openssl, chain), "");
        assert_eq!(cause_of(Reason::Unsupported, Family::Openssl, chain), "");
    }

    #[test]
    fn who_is_not_known_is_not_blamed_for_a_fault_of_others() {
        let cause = |breaks: &[Client]| {
            let finding = finding(Fault::ChainIncomplete, breaks.iter().copied());
            cause_of(Reason::UnknownCa, Family::Unknown, &[finding])
        };
        assert_eq!(cause(&[Client::Openssl, Client::Java]), "");
        assert_eq!(cause(&[Client::Openssl, Client::Go]), "");
        assert_eq!(cause(&[Client::Firefox, Client::Go]), "chain-incomplete");
        assert_eq!(cause(Client::ALL), "chain-incomplete");
    }
}
