//! A certificate chain and its key, as they are used: from two files that belong together.

use std::path::Path;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::file::File;
use super::finding::{Fault, Finding, Part};
use super::pem::{self, shown, unusable};

/// Why a chain and its key cannot be used: at least one finding.
#[derive(Debug)]
pub struct LoadError(Vec<Finding>);

impl LoadError {
    /// What is wrong with either file, or with both.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// At least one.
    pub(super) fn of(findings: Vec<Finding>) -> Self {
        Self(findings)
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.0
    }
}

impl std::error::Error for LoadError {}

/// What is wrong and what to do, one after the other.
impl std::fmt::Display for LoadError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, finding) in self.0.iter().enumerate() {
            let between = if number > 0 { "; " } else { "" };
            write!(out, "{between}{} ({})", finding.what, finding.remedy)?;
        }
        Ok(())
    }
}

/// Reads a chain and its key, and checks that they belong together. An expired certificate, or
/// one that clients reject, is loaded all the same.
///
/// # Errors
/// The pair cannot be used at all.
pub fn load(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>, LoadError> {
    pair(&File::read(chain), &File::read(key))
}

/// As [`load`], of files that were read before.
///
/// # Errors
/// The pair cannot be used at all.
pub fn pair(chain: &File, key: &File) -> Result<Arc<CertifiedKey>, LoadError> {
    let certificates = pem::certificates(chain, Part::Chain);
    let private = pem::private_key(key);
    let (certificates, private) = match (certificates, private) {
        (Ok(certificates), Ok(private)) => (certificates, private),
        (certificates, private) => {
            let findings = certificates.err().into_iter().chain(private.err());
            return Err(LoadError(findings.map(|finding| *finding).collect()));
        }
    };
    certified(certificates, &private)
        .map(Arc::new)
        .map_err(|error| LoadError(vec![*refused(error, chain, key)]))
}

/// As `CertifiedKey::from_der`, which takes the key and lets go of it as it is. What the
/// cryptography keeps of it is wiped when it is freed (`OPENSSL_free` in AWS-LC's crypto/mem.c).
fn certified(
    certificates: Vec<CertificateDer<'static>>,
    private: &PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    let certified = CertifiedKey::new(certificates, any_supported_type(private)?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(error),
    }
}

fn refused(error: rustls::Error, chain: &File, key: &File) -> Box<Finding> {
    match error {
        rustls::Error::InconsistentKeys(_) => unusable(
            Fault::KeyMismatch,
            key,
            Part::Key,
            format!(
                "does not belong to the first certificate of {}",
                shown(&chain.path)
            ),
            "the server's own certificate must come first, and be issued for this key",
        ),
        rustls::Error::InvalidCertificate(error) => unusable(
            Fault::CertificateUnusable,
            chain,
            Part::Chain,
            format!(
                "begins with a certificate that cannot be used: {}",
                refusal(&error)
            ),
            "have it issued again",
        ),
        error => unusable(
            Fault::KeyUnusable,
            key,
            Part::Key,
            format!("holds a key that cannot be used: {error}"),
            "RSA from 2048 bits, ECDSA on P-256, P-384 or P-521, and Ed25519 can be",
        ),
    }
}

/// webpki's reason is wrapped where rustls has none of its own.
fn refusal(error: &CertificateError) -> String {
    let reason = match error {
        CertificateError::Other(reason) => reason.0.downcast_ref::<webpki::Error>(),
        _ => None,
    };
    match reason {
        Some(webpki::Error::UnsupportedCriticalExtension) => {
            "it has a critical extension that clients do not know".to_owned()
        }
        Some(webpki::Error::UnsupportedCertVersion) => {
            "it is of an X.509 version before 3, which has no extensions".to_owned()
        }
        Some(reason) => reason.to_string(),
        None => error.to_string(),
    }
}
