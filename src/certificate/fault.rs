//! What may be wrong with a certificate, by name.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal;)*) => {
        /// What is wrong. The name never changes its meaning and is never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$doc])* $fault,)*
        }

        impl Fault {
            /// Its name: lower case and dashes.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    /// No file is there.
    FileNotFound = "file-not-found";
    /// A symbolic link on the way leads nowhere, or round in a circle.
    BrokenLink = "broken-link";
    /// This process may not read the file.
    PermissionDenied = "permission-denied";
    /// It cannot be read for another reason.
    FileUnreadable = "file-unreadable";
    /// The file has no content.
    FileEmpty = "file-empty";
    /// The file is larger than any PEM file with certificates.
    FileTooLarge = "file-too-large";
    /// A byte order mark before the first block hides that block.
    ByteOrderMark = "byte-order-mark";
    /// The file ends within a block.
    FileTruncated = "file-truncated";
    /// A block cannot be read.
    PemBroken = "pem-broken";
    /// DER where PEM is expected.
    DerNotPem = "der-not-pem";
    /// The key is where the chain is expected, or the other way round.
    FilesSwapped = "files-swapped";
    /// No certificate in the chain file.
    NoCertificate = "no-certificate";
    /// No private key in the key file.
    NoKey = "no-key";
    /// The key is encrypted.
    KeyEncrypted = "key-encrypted";
    /// Several keys in the key file.
    SeveralKeys = "several-keys";
    /// The key cannot be used: its kind or size.
    KeyUnusable = "key-unusable";
    /// The key belongs to another certificate.
    KeyMismatch = "key-mismatch";
    /// The leaf cannot be parsed.
    CertificateUnusable = "certificate-unusable";
    /// Chain and key come from different renewals of a certbot archive.
    GenerationMismatch = "generation-mismatch";

    /// The leaf's time has not begun.
    NotYetValid = "not-yet-valid";
    /// The leaf's time is over.
    Expired = "expired";
    /// An intermediate's time has not begun.
    IntermediateNotYetValid = "intermediate-not-yet-valid";
    /// An intermediate's time is over.
    IntermediateExpired = "intermediate-expired";
    /// The root's time is over.
    RootExpired = "root-expired";
    /// The renewal should have been done by now.
    RenewalOverdue = "renewal-overdue";
    /// A tenth of the lifetime is left.
    ExpiryNear = "expiry-near";
    /// A twentieth of the lifetime is left.
    ExpiryImminent = "expiry-imminent";
    /// Something above the leaf ends before it.
    ChainEndsBeforeLeaf = "chain-ends-before-leaf";

    /// The issuer of the last certificate served is missing.
    ChainIncomplete = "chain-incomplete";
    /// The chain ends in a root that clients do not trust.
    UntrustedRoot = "untrusted-root";
    /// The leaf has signed itself, and clients do not trust it.
    SelfSigned = "self-signed";
    /// What clients are to trust is no root.
    AnchorNotRoot = "anchor-not-root";
    /// A signature in the chain is not of the issuer that is served or trusted.
    BadSignature = "bad-signature";
    /// An issuer is not a certificate authority.
    IssuerNotCa = "issuer-not-ca";
    /// An authority has authorities below it that it may not have.
    PathTooLong = "path-too-long";
    /// A name in the leaf is outside what an authority may issue for.
    NameConstraint = "name-constraint";
    /// Certificates do not come in the order of issue.
    ChainOrder = "chain-order";
    /// A certificate is served twice.
    ChainDuplicate = "chain-duplicate";
    /// The root is served, which every client has.
    RootIncluded = "root-included";
    /// A certificate is served that no client needs.
    ChainSuperfluous = "chain-superfluous";
    /// A certificate of the chain cannot be parsed.
    ChainUnparsable = "chain-unparsable";
    /// Path building fails for another reason.
    ChainRejected = "chain-rejected";
    /// The roots of this system cannot be read.
    RootsUnavailable = "roots-unavailable";

    /// A certificate is signed with SHA-1 or MD5.
    WeakSignature = "weak-signature";
    /// An RSA key has less than 2048 bits.
    SmallKey = "small-key";
    /// The leaf's extended key usage does not allow servers.
    WrongPurpose = "wrong-purpose";
    /// The leaf's key usage does not allow signatures.
    KeyUsage = "key-usage";
    /// The leaf is marked as a certificate authority.
    CaAsLeaf = "ca-as-leaf";
    /// The leaf has no subjectAltName.
    SanMissing = "san-missing";
    /// The leaf's key is of a kind that not all clients take.
    KeyType = "key-type";
    /// An issuer's key is of a kind that not all clients take.
    IssuerKeyType = "issuer-key-type";
    /// Extensions are missing that the standard demands and strict clients miss.
    NotStrict = "not-strict";
    /// The leaf demands a stapled OCSP answer.
    MustStaple = "must-staple";
    /// An authority has a critical extension that clients do not know.
    UnknownCriticalExtension = "unknown-critical-extension";

    /// A name that clients dial is not in the leaf.
    NameNotCovered = "name-not-covered";
    /// Of the names of a pattern only some can be in the leaf.
    PatternNotCovered = "pattern-not-covered";

    /// A handshake between rustls and itself fails.
    HandshakeFails = "handshake-fails";
}

impl Fault {
    /// The pair cannot be served at all.
    pub fn prevents_use(self) -> bool {
        self <= Self::CertificateUnusable
    }

    /// It is said because of whom clients are taken to trust: a guess, unless the operator has
    /// named the roots.
    pub fn rests_on_roots(self) -> bool {
        (Self::ChainIncomplete..=Self::AnchorNotRoot).contains(&self)
    }

    /// It comes and goes with time. What does not was there when the clients that are connected
    /// now came.
    pub fn depends_on_time(self) -> bool {
        (Self::NotYetValid..=Self::ChainEndsBeforeLeaf).contains(&self)
    }
}

/// The name.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// The name.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name())
    }
}
