//! A certificate chain and its key on disk: whether they can be read, and belong together.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Largest PEM file, in bytes: room for a whole store of roots, which is some 250 KiB.
const FILE_MAX: u64 = 1 << 20;

/// Which of the two files is wrong, and why. The message never holds anything of the content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Chain(String),
    Key(String),
}

/// Reads both files and holds the key against the first certificate.
pub(super) fn check(chain: &Path, key: &Path) -> Vec<Fault> {
    let chain = certificates(chain).map_err(Fault::Chain);
    let key = private_key(key).map_err(Fault::Key);
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return chain.err().into_iter().chain(key.err()).collect(),
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(_) => Vec::new(),
        Err(rustls::Error::InconsistentKeys(_)) => vec![Fault::Key(
            "does not belong to the first certificate of the chain (the server's own \
             certificate must come first, and be issued for this key)"
                .to_owned(),
        )],
        Err(rustls::Error::InvalidCertificate(error)) => vec![Fault::Chain(format!(
            "begins with a certificate that cannot be used: {error}"
        ))],
        Err(error) => vec![Fault::Key(format!(
            "holds a key that cannot be used: {error} (RSA from 2048 bits, ECDSA on P-256, \
             P-384 or P-521, and Ed25519 can be)"
        ))],
    }
}

/// The certificates of a PEM file, in their order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(broken_pem)?;
    if certificates.is_empty() {
        return Err(missing("certificate", &bytes, "x509"));
    }
    Ok(certificates)
}

/// The one private key of a PEM file.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(path)?;
    if holds(&bytes, "ENCRYPTED") {
        return Err(
            "is encrypted, and nobody is there to type its passphrase when batond starts (write \
             it in clear with `openssl pkey -in FILE -out KEY`, readable by batond alone)"
                .to_owned(),
        );
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(&bytes);
    let Some(key) = keys.next() else {
        return Err(missing("private key", &bytes, "pkey"));
    };
    let key = key.map_err(broken_pem)?;
    if keys.next().is_some() {
        return Err("holds more than one private key (leave the one that is meant)".to_owned());
    }
    Ok(key)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let advice = match error.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    " (the user that runs batond must be able to; systemd can pass it with \
                     LoadCredential=)"
                }
                _ => "",
            };
            format!("cannot read {}: {error}{advice}", path.display())
        })?;
    if bytes.len() as u64 > FILE_MAX {
        return Err("is larger than 1 MiB, so it is not a PEM file for this".to_owned());
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(
            "begins with a byte order mark, which hides the first block (save it without one)"
                .to_owned(),
        );
    }
    Ok(bytes)
}

/// No block of the kind that is looked for.
fn missing(wanted: &str, bytes: &[u8], command: &str) -> String {
    let advice = if bytes.is_empty() {
        "it is empty".to_owned()
    } else if wanted != "certificate" && holds(bytes, "-----BEGIN CERTIFICATE-----") {
        "it holds certificates: are `chain` and `key` swapped?".to_owned()
    } else if wanted == "certificate" && holds(bytes, "PRIVATE KEY-----") {
        "it holds a private key: are `chain` and `key` swapped?".to_owned()
    } else if bytes.first() == Some(&0x30) {
        // The tag of the SEQUENCE that all of these are in DER.
        format!("it looks like DER: convert it with `openssl {command} -inform der`")
    } else if holds(bytes, "-----BEGIN ") {
        "it holds PEM blocks of other kinds".to_owned()
    } else {
        "it is not PEM".to_owned()
    };
    format!("holds no {wanted} ({advice})")
}

/// A block that cannot be read. The error itself is left out where it quotes the file.
fn broken_pem(error: pem::Error) -> String {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "ends within a block (is it cut off?)",
        pem::Error::IllegalSectionStart { .. } => "has a broken BEGIN line",
        pem::Error::Base64Decode(_) => "has a block that is not base64",
        _ => "has a block that cannot be read",
    };
    what.to_owned()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
