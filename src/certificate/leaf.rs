//! What a certificate says of itself, for people to read.

use std::fmt::Write;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The first certificate of a chain, which is the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What it covers: DNS names in lower case, then addresses.
    pub names: Vec<String>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// SHA-256 of it, in lower-case hexadecimal digits.
    pub fingerprint: String,
}

impl Leaf {
    /// None, if it cannot be parsed, which rustls did once already.
    pub fn of(pair: &CertifiedKey) -> Option<Self> {
        let der = pair.cert.first()?;
        let (_, leaf) = X509Certificate::from_der(der).ok()?;
        let validity = leaf.validity();
        Some(Self {
            names: names(&leaf),
            not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
            fingerprint: hexadecimal(digest(&SHA256, der).as_ref()),
        })
    }
}

/// SHA-256 of the leaf.
pub fn fingerprint(pair: &CertifiedKey) -> Option<[u8; 32]> {
    sha256(pair.cert.first()?)
}

/// SHA-256 of a certificate.
pub fn sha256(certificate: &[u8]) -> Option<[u8; 32]> {
    digest(&SHA256, certificate).as_ref().try_into().ok()
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let (mut domains, mut addresses) = (Vec::new(), Vec::new());
    for name in &names.value.general_names {
        match name {
            GeneralName::DNSName(name) => domains.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    domains.extend(addresses);
    domains
}

/// RFC 5280 §4.2.1.6: four or sixteen octets.
fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| v6()).ok().map(|address| address.to_string())
}

/// In lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    #[test]
    fn names_and_addresses_are_read() {
        let names = ["Chat.example.org", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names.to_vec()).expect("a certificate");
        let key = made.signing_key.serialize_der().try_into().expect("a key");
        let provider = aws_lc_rs::default_provider();
        let pair = CertifiedKey::from_der(vec![made.cert.into()], key, &provider);
        let leaf = Leaf::of(&pair.expect("a pair")).expect("a leaf");
        assert_eq!(leaf.names, ["chat.example.org", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(leaf.fingerprint.len(), 64);
        assert!(leaf.not_before < leaf.not_after);
    }
}
