//! What one certificate says of itself (RFC 5280), as far as the checks ask.

use std::net::IpAddr;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{self as oids, Oid};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate, X509Name, X509Version};
use x509_parser::public_key::PublicKey;

/// What a label is cut to, in characters: a name in a certificate may have any length.
const LABEL_MAX: usize = 80;

/// What a certificate with an empty subject may lack.
pub(super) const CRITICAL_NAMES: &str =
    "a subjectAltName that is marked critical, as its subject is empty";

/// A certificate, read.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// As it was.
    pub der: CertificateDer<'static>,
    /// DER of the name.
    pub subject: Vec<u8>,
    /// DER of the issuer's name.
    pub issuer: Vec<u8>,
    /// DER of the public key.
    pub spki: Vec<u8>,
    /// The subject for people: its common name, or the first name of an alternative.
    pub label: String,
    /// The issuer for people.
    pub issuer_label: String,
    /// When its time begins.
    pub not_before: Timestamp,
    /// Its last second.
    pub not_after: Timestamp,
    /// Kind and size of the key.
    pub key: Key,
    /// The hash of its signature, where that is one that clients refuse.
    pub weak_hash: Option<&'static str>,
    /// Marked as an authority.
    pub is_ca: bool,
    /// Of X.509 version 1 or 2, which have no extensions.
    pub is_old: bool,
    /// Key usage allows the signing of certificates; without that extension, it does.
    pub may_certify: bool,
    /// What X.509 (RFC 5280 §4.2.1) demands of extensions and this one lacks.
    pub lacks: Vec<&'static str>,
    /// Key usage allows digital signatures; without that extension, it does.
    pub may_sign: bool,
    /// Extended key usage allows servers; without that extension, it does.
    pub may_serve: bool,
    /// Extended key usage is "any", which only some clients take for servers.
    pub is_for_anything: bool,
    /// DNS names and addresses in subjectAltName; none: it has no such extension.
    pub names: Option<Names>,
    /// The subject's common name.
    pub common_name: Option<String>,
    /// Demands a stapled OCSP answer (RFC 7633).
    pub must_staple: bool,
    tbs: Vec<u8>,
    signature: Vec<u8>,
}

/// Names in a subjectAltName, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Also wildcards.
    pub dns: Vec<String>,
    /// Addresses.
    pub ip: Vec<IpAddr>,
}

/// Kind and size of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Bits of the modulus.
    Rsa(usize),
    /// secp256r1, or secp384r1.
    Curve,
    /// secp521r1
    P521,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// Something else.
    Other,
}

impl Certificate {
    /// Reads it; none if it cannot be parsed.
    pub fn read(der: &CertificateDer<'static>) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let names = parsed.subject_alternative_name().ok()?;
        let names = names.map(|names| read_names(&names.value.general_names));
        let name = common_name(parsed.subject());
        let alternative = names.as_ref().and_then(Names::first);
        let usage = parsed.key_usage().ok()?;
        let extended = parsed.extended_key_usage().ok()?;
        Some(Self {
            der: der.clone(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            spki: parsed.public_key().raw.to_vec(),
            label: printable(&name.clone().or(alternative).unwrap_or_else(|| {
                match parsed.subject().to_string() {
                    empty if empty.is_empty() => "without a name".to_owned(),
                    name => name,
                }
            })),
            issuer_label: printable(
                &common_name(parsed.issuer()).unwrap_or_else(|| parsed.issuer().to_string()),
            ),
            not_before: timestamp(&parsed.validity().not_before),
            not_after: timestamp(&parsed.validity().not_after),
            key: key(&parsed),
            weak_hash: weak_hash(&parsed.signature_algorithm.algorithm),
            is_ca: parsed.is_ca(),
            is_old: parsed.version() != X509Version::V3,
            may_certify: usage
                .as_ref()
                .is_none_or(|usage| usage.value.key_cert_sign()),
            lacks: lacks(&parsed),
            may_sign: usage.is_none_or(|usage| usage.value.digital_signature()),
            is_for_anything: extended.as_ref().is_some_and(|usage| usage.value.any),
            may_serve: extended.is_none_or(|usage| usage.value.server_auth),
            names,
            common_name: name.map(|name| name.to_ascii_lowercase()),
            must_staple: parsed.extensions().iter().any(|extension| {
                // A list of TLS extensions, of which 5 is status_request (RFC 7633 §4).
                extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.24"
                    && extension.value.windows(3).any(|it| it == [2, 1, 5])
            }),
            tbs: parsed.tbs_certificate.as_ref().to_vec(),
            signature: parsed.signature_value.data.to_vec(),
        })
    }

    /// Issuer and subject are the same.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether it may be one and the same authority, however it is certified.
    pub fn is_same_entity(&self, other: &Self) -> bool {
        self.subject == other.subject && self.spki == other.spki
    }

    /// Whether this one's key made the signature of the other, which names it as issuer. None: it
    /// cannot be told, since the algorithm is none that is still taken.
    pub fn has_signed(&self, other: &Self) -> Option<bool> {
        if other.weak_hash.is_some() || self.is_old || self.key.is_small() {
            return None;
        }
        let issuer = EndEntityCert::try_from(&self.der).ok()?;
        let verified = ALL_VERIFICATION_ALGS.iter().any(|algorithm| {
            issuer
                .verify_signature(*algorithm, &other.tbs, &other.signature)
                .is_ok()
        });
        Some(verified)
    }

    /// Whether its time has begun and is not over: the last second belongs to it (RFC 5280
    /// §4.1.2.5).
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        let seconds = self.not_before.as_second()..=self.not_after.as_second();
        seconds.contains(&time.as_second())
    }
}

impl Key {
    /// Too short for most clients.
    pub fn is_small(self) -> bool {
        matches!(self, Self::Rsa(bits) if bits < 2048)
    }
}

impl Names {
    fn first(&self) -> Option<String> {
        let address = self.ip.first().map(ToString::to_string);
        self.dns.first().cloned().or(address)
    }
}

fn read_names(general: &[GeneralName<'_>]) -> Names {
    let mut names = Names::default();
    for name in general {
        match name {
            GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
                names.ip.extend(v4.or(v6));
            }
            _ => {}
        }
    }
    names
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    let name = name.iter_common_name().last()?;
    name.as_str().ok().map(str::to_owned)
}

/// Without control characters, since it goes to terminals.
fn printable(text: &str) -> String {
    text.chars()
        .take(LABEL_MAX)
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect()
}

/// Times beyond the year 9999 do not exist in certificates; its last days are beyond jiff.
fn timestamp(time: &ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

fn key(parsed: &X509Certificate<'_>) -> Key {
    let spki = parsed.public_key();
    if spki.algorithm.algorithm == oids::OID_SIG_ED25519 {
        return Key::Ed25519;
    }
    match spki.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let modulus = rsa.modulus.iter().skip_while(|byte| **byte == 0);
            let bytes = modulus.clone().count();
            let unused = modulus
                .clone()
                .next()
                .map_or(0, |byte| byte.leading_zeros());
            Key::Rsa((bytes * 8).saturating_sub(unused as usize))
        }
        Ok(PublicKey::EC(_)) => {
            let curve = spki.algorithm.parameters.as_ref();
            let curve = curve.and_then(|curve| curve.as_oid().ok());
            match curve {
                Some(curve) if curve == oids::OID_NIST_EC_P521 => Key::P521,
                Some(curve) if curve == oids::OID_EC_P256 || curve == oids::OID_NIST_EC_P384 => {
                    Key::Curve
                }
                _ => Key::Other,
            }
        }
        _ => Key::Other,
    }
}

fn weak_hash(algorithm: &Oid<'_>) -> Option<&'static str> {
    match algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.4" => Some("MD5"),
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.3.14.3.2.29" => Some("SHA-1"),
        _ => None,
    }
}

/// What OpenSSL looks for with X509_V_FLAG_X509_STRICT (X509_VERIFY_PARAM_set_flags(3ssl)).
fn lacks(parsed: &X509Certificate<'_>) -> Vec<&'static str> {
    let has = |wanted: &Oid<'_>| parsed.extensions().iter().any(|it| it.oid == *wanted);
    let is_self_issued = parsed.subject().as_raw() == parsed.issuer().as_raw();
    let mut lacks = Vec::new();
    if !is_self_issued && !has(&oids::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER) {
        lacks.push("an authority key identifier");
    }
    let names = parsed.subject_alternative_name().ok().flatten();
    if parsed.subject().iter().next().is_none() && names.is_some_and(|names| !names.critical) {
        lacks.push(CRITICAL_NAMES);
    }
    if parsed.is_ca() {
        if !has(&oids::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER) {
            lacks.push("a subject key identifier");
        }
        if !has(&oids::OID_X509_EXT_KEY_USAGE) {
            lacks.push("a key usage");
        }
        let constraints = parsed.basic_constraints().ok().flatten();
        if constraints.is_some_and(|constraints| !constraints.critical) {
            lacks.push("basic constraints marked critical");
        }
    }
    lacks
}
