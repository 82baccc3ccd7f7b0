//! What the checks find: one fault of a certificate, for whom it breaks, and what to do.

use std::fmt;

use serde::Serialize;

use super::client::{Affected, Client};

/// What is wrong. The name, in kebab case, never changes its meaning and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// No file is there.
    FileNotFound,
    /// A symbolic link on the way leads nowhere, or round in a circle.
    BrokenLink,
    /// This process may not read the file.
    PermissionDenied,
    /// It cannot be read for another reason.
    FileUnreadable,
    /// The file has no content.
    FileEmpty,
    /// The file is larger than any PEM file with certificates.
    FileTooLarge,
    /// A byte order mark before the first block hides that block.
    ByteOrderMark,
    /// The file ends within a block.
    FileTruncated,
    /// A block cannot be read.
    PemBroken,
    /// DER where PEM is expected.
    DerNotPem,
    /// The key is where the chain is expected, or the other way round.
    FilesSwapped,
    /// No certificate in the chain file.
    NoCertificate,
    /// No private key in the key file.
    NoKey,
    /// The key is encrypted.
    KeyEncrypted,
    /// Several keys in the key file.
    SeveralKeys,
    /// The key cannot be used: its kind or size.
    KeyUnusable,
    /// The key belongs to another certificate.
    KeyMismatch,
    /// The leaf cannot be parsed.
    CertificateUnusable,
    /// Chain and key come from different renewals of a certbot archive.
    GenerationMismatch,

    /// The leaf's time has not begun.
    NotYetValid,
    /// The leaf's time is over.
    Expired,
    /// An intermediate's time has not begun.
    IntermediateNotYetValid,
    /// An intermediate's time is over.
    IntermediateExpired,
    /// The root's time is over.
    RootExpired,
    /// The renewal should have been done by now.
    RenewalOverdue,
    /// A tenth of the lifetime is left.
    ExpiryNear,
    /// A twentieth of the lifetime is left.
    ExpiryImminent,
    /// Something above the leaf ends before it.
    ChainEndsBeforeLeaf,

    /// The issuer of the last certificate served is missing.
    ChainIncomplete,
    /// The chain ends in a root that clients do not trust.
    UntrustedRoot,
    /// The leaf has signed itself, and clients do not trust it.
    SelfSigned,
    /// What clients are to trust is no root.
    AnchorNotRoot,
    /// A signature in the chain is not of the issuer that is served or trusted.
    BadSignature,
    /// An issuer is not a certificate authority.
    IssuerNotCa,
    /// An authority has authorities below it that it may not have.
    PathTooLong,
    /// A name in the leaf is outside what an authority may issue for.
    NameConstraint,
    /// Certificates do not come in the order of issue.
    ChainOrder,
    /// A certificate is served twice.
    ChainDuplicate,
    /// The root is served, which every client has.
    RootIncluded,
    /// A certificate is served that no client needs.
    ChainSuperfluous,
    /// A certificate of the chain cannot be parsed.
    ChainUnparsable,
    /// Path building fails for another reason.
    ChainRejected,
    /// The roots of this system cannot be read.
    RootsUnavailable,

    /// A certificate is signed with SHA-1 or MD5.
    WeakSignature,
    /// An RSA key has less than 2048 bits.
    SmallKey,
    /// The leaf's extended key usage does not allow servers.
    WrongPurpose,
    /// The leaf's key usage does not allow signatures.
    KeyUsage,
    /// The leaf is marked as a certificate authority.
    CaAsLeaf,
    /// The leaf has no subjectAltName.
    SanMissing,
    /// The leaf's key is of a kind that not all clients take.
    KeyType,
    /// An issuer's key is of a kind that not all clients take.
    IssuerKeyType,
    /// Extensions are missing that the standard demands and strict clients miss.
    NotStrict,
    /// The leaf demands a stapled OCSP answer.
    MustStaple,
    /// An authority has a critical extension that clients do not know.
    UnknownCriticalExtension,

    /// A name that clients dial is not in the leaf.
    NameNotCovered,
    /// Of the names of a pattern only some can be in the leaf.
    PatternNotCovered,

    /// A handshake between rustls and itself fails.
    HandshakeFails,
}

impl Fault {
    /// The pair cannot be served at all.
    pub fn prevents_use(self) -> bool {
        self <= Self::CertificateUnusable
    }

    /// It comes and goes with time. What does not was there when the clients that are connected
    /// now came.
    pub fn depends_on_time(self) -> bool {
        (Self::NotYetValid..=Self::ChainEndsBeforeLeaf).contains(&self)
    }
}

/// The name, in kebab case.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// To be set right, no client fails.
    Warning,
    /// Clients fail, or will soon.
    Critical,
}

/// As `warning`.
impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// Which setting of the certificate a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `chain`
    Chain,
    /// `key`
    Key,
    /// `names`, or the hosts of services
    Names,
    /// `roots`
    Roots,
}

/// One thing that was found. Its sentences never hold anything of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    #[serde(rename = "name")]
    pub fault: Fault,
    /// How much it matters.
    pub severity: Severity,
    /// Which clients fail because of it, at the time of the check.
    pub breaks: Affected,
    /// The dialled names that it is about; empty: all.
    pub names: Vec<String>,
    /// The setting that it is about.
    pub part: Part,
    /// The certificate, name or file that it is about: tells findings of one name apart.
    pub about: String,
    /// One sentence: what is wrong. Without a full stop.
    pub what: String,
    /// One sentence: what to do. Without a full stop.
    pub remedy: String,
}

impl Finding {
    /// Clients fail: all of them.
    pub(super) fn fatal(
        fault: Fault,
        part: Part,
        about: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            fault,
            severity: Severity::Critical,
            breaks: Affected::everyone(),
            names: Vec::new(),
            part,
            about: about.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Only these fail.
    pub(super) fn only_for(mut self, clients: &[Client]) -> Self {
        self.breaks = Affected::new(clients.iter().copied());
        self
    }

    /// It is about these names only.
    pub(super) fn of_names(mut self, names: Vec<String>) -> Self {
        self.names = names;
        self
    }

    /// No client fails.
    pub(super) fn harmless(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self.breaks = Affected::nobody();
        self
    }

    /// Whether any client fails because of it.
    pub fn breaks_clients(&self) -> bool {
        !self.breaks.is_nobody()
    }

    /// Whether the two are about the same thing, however its details have changed.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.fault == other.fault && self.about == other.about && self.names == other.names
    }
}

/// `critical: what is wrong (what to do) [expired; every client fails]`
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: {} ({}) [{}",
            self.severity, self.what, self.remedy, self.fault
        )?;
        if self.breaks.is_everyone() {
            write!(out, "; every client fails")?;
        } else if self.breaks_clients() {
            write!(out, "; fails: {}", self.breaks)?;
        }
        out.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_told_with_its_name_and_who_fails() {
        let finding = Finding::fatal(
            Fault::ChainIncomplete,
            Part::Chain,
            "leaf",
            "x is wrong",
            "do y",
        );
        assert_eq!(
            finding.to_string(),
            "critical: x is wrong (do y) [chain-incomplete; every client fails]"
        );
        let some = finding.clone().only_for(&[Client::Java, Client::Go]);
        assert!(some.to_string().ends_with("; fails: Java and Go]"));
        let none = finding.harmless(Severity::Info);
        assert_eq!(
            none.to_string(),
            "info: x is wrong (do y) [chain-incomplete]"
        );
        assert_eq!(
            serde_json::to_value(&some).unwrap(),
            serde_json::json!({
                "name": "chain-incomplete",
                "severity": "critical",
                "breaks": ["java", "go"],
                "names": [],
                "part": "chain",
                "about": "leaf",
                "what": "x is wrong",
                "remedy": "do y",
            })
        );
    }
}
