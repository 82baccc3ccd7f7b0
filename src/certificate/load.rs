//! A certificate chain and its key, from PEM files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a chain and its key cannot be used. Never shows what is in the key file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// open(2) or read(2) failed.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is between the PEM lines is broken.
    #[error("{path} is not valid PEM: {reason}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No certificate in the chain file.
    #[error("{path} holds no certificate (a PEM file with the leaf first is expected)")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No key in the key file.
    #[error(
        "{path} holds no private key that can be used (an unencrypted PEM key in PKCS#8, PKCS#1 \
         or SEC1 form is expected)"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key belongs to another certificate, or its kind is not supported.
    #[error("the key in {key} and the certificate in {chain} cannot be used together: {source}")]
    Mismatch {
        /// The chain file.
        chain: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

/// Reads a chain and its key, and checks that they belong together.
///
/// # Errors
/// See [`LoadError`].
pub fn load(chain: &Path, key: &Path) -> Result<Arc<CertifiedKey>, LoadError> {
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| told(error, chain))?;
    if certificates.is_empty() {
        return Err(LoadError::NoCertificate {
            path: chain.to_owned(),
        });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => LoadError::NoKey {
            path: key.to_owned(),
        },
        error => told(error, key),
    })?;
    CertifiedKey::from_der(certificates, private, &aws_lc_rs::default_provider())
        .map(Arc::new)
        .map_err(|source| LoadError::Mismatch {
            chain: chain.to_owned(),
            key: key.to_owned(),
            source,
        })
}

/// The error without any of the file's content.
fn told(error: pem::Error, path: &Path) -> LoadError {
    let path = path.to_owned();
    let reason = match error {
        pem::Error::Io(source) => return LoadError::Unreadable { path, source },
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be parsed",
    };
    LoadError::NotPem { path, reason }
}
