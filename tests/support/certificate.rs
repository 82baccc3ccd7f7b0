//! Certificates made for one test: an authority and what it issues, all ECDSA P-256, since that
//! is what every client accepts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority that only this test's clients trust.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new root, valid from yesterday for ten years.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "batond test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = (SystemTime::now() + 3650 * DAY).into();
        let issuer = CertifiedIssuer::self_signed(params, new_key());
        Self {
            issuer: issuer.expect("sign the root certificate"),
        }
    }

    /// The root certificate, for clients to trust.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server certificate for these names or addresses, valid from yesterday for 90 days.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names fit into a certificate");
        params
            .distinguished_name
            .push(DnType::CommonName, "batond test server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = (SystemTime::now() + 90 * DAY).into();
        let key = new_key();
        let leaf = params
            .signed_by(&key, &self.issuer)
            .expect("sign the server certificate");
        Identity {
            chain: leaf.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A server's certificate chain, leaf first, and its private key, as PEM.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Identity {
    /// Writes `NAME.pem` and `NAME.key` into the directory, and returns their paths.
    pub(crate) fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let chain = directory.join(format!("{name}.pem"));
        let key = directory.join(format!("{name}.key"));
        fs::write(&chain, &self.chain).expect("write the certificate chain");
        fs::write(&key, &self.key).expect("write the private key");
        (chain, key)
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("generate a P-256 key")
}
