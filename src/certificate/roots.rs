//! The roots that clients trust, as certificates: webpki knows nothing of when a root ends.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use super::examine::finished;
use super::file::File;
use super::finding::{Fault, Finding, Part, Severity};
use super::pem;
use super::x509::Certificate;
use crate::config::Roots;

/// A set of roots.
#[derive(Debug)]
pub struct TrustedRoots {
    /// As messages name the set.
    pub(super) label: String,
    pub(super) certificates: Vec<Certificate>,
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// Why the set is not what it should be.
    pub(super) finding: Option<Box<Finding>>,
}

impl TrustedRoots {
    /// Reads what the configuration names. What cannot be read is a finding of the check.
    pub fn read(roots: &Roots) -> Self {
        match roots {
            Roots::Public => Self::public(),
            Roots::System => Self::system(),
            Roots::File(path) => Self::file(path),
        }
    }

    /// Tells sets apart: SHA-256.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = Context::new(&SHA256);
        for root in &self.certificates {
            all.update(&root.der);
        }
        if let Some(finding) = &self.finding {
            all.update(finding.what.as_bytes());
        }
        finished(all)
    }

    /// Those of Mozilla's programme, as of the build.
    pub fn public() -> Self {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        Self::of("the public roots".to_owned(), roots.iter().cloned())
    }

    fn system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = Self::of("the roots of this system".to_owned(), found.certs);
        if roots.certificates.is_empty() {
            let why = found
                .errors
                .first()
                .map_or_else(String::new, |error| format!(": {error}"));
            let finding = Finding::fatal(
                Fault::RootsUnavailable,
                Part::Roots,
                "system",
                format!("this system has no root certificates{why}"),
                "install the package ca-certificates, or set roots to \"public\" or to a file",
            );
            roots.finding = Some(Box::new(finding.harmless(Severity::Warning)));
        }
        roots
    }

    fn file(path: &Path) -> Self {
        let label = format!("the roots in {}", path.display());
        match pem::certificates(&File::read(path), Part::Roots) {
            Ok(roots) => Self::of(label, roots),
            Err(mut finding) => {
                finding.fault = Fault::RootsUnavailable;
                Self {
                    finding: Some(Box::new(finding.harmless(Severity::Warning))),
                    ..Self::of(label, [])
                }
            }
        }
    }

    /// These. What cannot be parsed is left out, as clients do.
    pub fn of(label: String, roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let certificates: Vec<_> = roots
            .into_iter()
            .filter_map(|root| Certificate::read(&root))
            .collect();
        let anchors = certificates
            .iter()
            .filter_map(|root| anchor_from_trusted_cert(&root.der).ok())
            .map(|anchor| anchor.to_owned())
            .collect();
        Self {
            label,
            certificates,
            anchors,
            finding: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_root_can_be_read() {
        let roots = TrustedRoots::public();
        let all = webpki_root_certs::TLS_SERVER_ROOT_CERTS.len();
        assert_eq!(roots.certificates.len(), all);
        assert_eq!(roots.anchors.len(), all);
        assert!(roots.certificates.iter().all(Certificate::is_self_issued));
        assert!(roots.finding.is_none());
    }

    #[test]
    fn roots_that_cannot_be_read_are_told_and_harm_nobody() {
        let roots = TrustedRoots::read(&Roots::File("/nonexistent/roots.pem".into()));
        let finding = roots.finding.expect("a finding");
        assert_eq!(finding.fault, Fault::RootsUnavailable);
        assert!(!finding.breaks_clients());
        assert!(finding.what.contains("/nonexistent"), "{}", finding.what);
    }
}
