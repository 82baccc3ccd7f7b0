//! What a PEM file holds, or what is wrong with it. No message holds anything of its content.

use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::file::{FILE_MAX, File, Unreadable};
use super::finding::{Fault, Finding, Part};

/// The certificates of a file, in their order; at least one.
///
/// # Errors
/// What is wrong with the file.
pub fn certificates(file: &File, part: Part) -> Result<Vec<CertificateDer<'static>>, Box<Finding>> {
    let bytes = bytes(file, part)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certificates = certificates.map_err(|error| broken(error, file, part))?;
    if certificates.is_empty() {
        return Err(missing(Wanted::Certificate, bytes, file, part));
    }
    Ok(certificates)
}

/// The one private key of a file. It is wiped when it is let go of, as the file's content is; what
/// the PEM reader puts together on its way is not.
///
/// # Errors
/// What is wrong with the file.
pub fn private_key(file: &File) -> Result<Zeroizing<PrivateKeyDer<'static>>, Box<Finding>> {
    let part = Part::Key;
    let bytes = bytes(file, part)?;
    if holds(bytes, "ENCRYPTED") {
        return Err(unusable(
            Fault::KeyEncrypted,
            file,
            part,
            "is encrypted, and nobody is there to type its passphrase when batond starts",
            "write it in clear with `openssl pkey -in FILE -out KEY`, readable by batond alone",
        ));
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(bytes).map(|key| key.map(Zeroizing::new));
    let Some(key) = keys.next() else {
        return Err(missing(Wanted::Key, bytes, file, part));
    };
    let key = key.map_err(|error| broken(error, file, part))?;
    if keys.next().is_some() {
        return Err(unusable(
            Fault::SeveralKeys,
            file,
            part,
            "holds more than one private key",
            "leave the one that is meant",
        ));
    }
    Ok(key)
}

/// The pair cannot be used because of a file.
pub(super) fn unusable(
    fault: Fault,
    file: &File,
    part: Part,
    what: impl std::fmt::Display,
    remedy: impl Into<String>,
) -> Box<Finding> {
    let path = shown(&file.path);
    let what = format!("{path} {what}");
    Box::new(Finding::fatal(fault, part, path, what, remedy))
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn bytes(file: &File, part: Part) -> Result<&[u8], Box<Finding>> {
    let bytes = match &file.content {
        Ok(bytes) => bytes.as_slice(),
        Err(error) => return Err(unreadable(error, file, part)),
    };
    if bytes.len() as u64 > FILE_MAX {
        return Err(unusable(
            Fault::FileTooLarge,
            file,
            part,
            "is larger than 1 MiB, so it is not a PEM file for this",
            "write the path of the right file",
        ));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(unusable(
            Fault::ByteOrderMark,
            file,
            part,
            "begins with a byte order mark, which hides the first block",
            "save it without one",
        ));
    }
    Ok(bytes)
}

fn unreadable(error: &Unreadable, file: &File, part: Part) -> Box<Finding> {
    let (fault, remedy) = match error {
        Unreadable::NotFound { .. } => {
            (Fault::FileNotFound, "write the path of a file that exists")
        }
        Unreadable::BrokenLink { .. } => (
            Fault::BrokenLink,
            "let the link lead to the newest file; `certbot update_symlinks` does it for certbot",
        ),
        Unreadable::Denied { .. } => (
            Fault::PermissionDenied,
            "let the group of batond in, with `chgrp` and `chmod g+rX`, or let systemd pass the \
             file with LoadCredential=",
        ),
        Unreadable::NoFile(_) | Unreadable::Other(_) => (
            Fault::FileUnreadable,
            "write the path of a file that can be read",
        ),
    };
    let path = shown(&file.path);
    let what = match error {
        Unreadable::NotFound { missing } if *missing == file.path => error.to_string(),
        error => format!("cannot read {path}: {error}"),
    };
    Box::new(Finding::fatal(fault, part, path, what, remedy))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Certificate,
    Key,
}

/// No block of the kind that is looked for.
fn missing(wanted: Wanted, bytes: &[u8], file: &File, part: Part) -> Box<Finding> {
    let (holds_none, none, command) = match wanted {
        Wanted::Certificate => ("holds no certificate", Fault::NoCertificate, "x509"),
        Wanted::Key => ("holds no private key", Fault::NoKey, "pkey"),
    };
    let give = "write the path of a PEM file";
    let (fault, why, remedy) = if bytes.is_empty() {
        (
            Fault::FileEmpty,
            "it is empty",
            "let it be written again, or write the path of another file".to_owned(),
        )
    } else if wanted == Wanted::Key && holds(bytes, "-----BEGIN CERTIFICATE-----") {
        (
            Fault::FilesSwapped,
            "it holds certificates",
            "are `chain` and `key` swapped?".to_owned(),
        )
    } else if wanted == Wanted::Certificate && holds(bytes, "PRIVATE KEY-----") {
        (
            Fault::FilesSwapped,
            "it holds a private key",
            "are `chain` and `key` swapped?".to_owned(),
        )
    } else if bytes.first() == Some(&0x30) {
        // The tag of the SEQUENCE that all of these are in DER.
        (
            Fault::DerNotPem,
            "it looks like DER",
            format!("convert it with `openssl {command} -inform der`"),
        )
    } else if holds(bytes, "-----BEGIN ") {
        (none, "it holds PEM blocks of other kinds", give.to_owned())
    } else {
        (none, "it is not PEM", give.to_owned())
    };
    unusable(fault, file, part, format!("{holds_none}: {why}"), remedy)
}

/// A block that cannot be read. The error itself is left out where it quotes the file.
fn broken(error: pem::Error, file: &File, part: Part) -> Box<Finding> {
    let (fault, what) = match error {
        pem::Error::MissingSectionEnd { .. } => {
            (Fault::FileTruncated, "ends within a block: it is cut off")
        }
        pem::Error::IllegalSectionStart { .. } => (Fault::PemBroken, "has a broken BEGIN line"),
        pem::Error::Base64Decode(_) => (Fault::PemBroken, "has a block that is not base64"),
        _ => (Fault::PemBroken, "has a block that cannot be read"),
    };
    let remedy = "let the program that wrote it write it again";
    unusable(fault, file, part, what, remedy)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
