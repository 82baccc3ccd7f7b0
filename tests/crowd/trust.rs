//! The clients' side of TLS.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The name that the server's certificate must be for.
pub(crate) const NAME: &str = "localhost";

/// Trusts one authority and no other.
#[derive(Clone)]
pub(crate) struct Trust {
    /// One for each version that is spoken.
    versions: Vec<ClientConfig>,
}

impl Trust {
    /// The authority's certificate as PEM, and the versions that steady clients speak in turn. The
    /// first is also that of the newcomers.
    ///
    /// # Panics
    /// When it is no certificate.
    pub(crate) fn new(authority: &str, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate");
        roots.add(root).expect("an authority's certificate");
        let config = |version: &&'static SupportedProtocolVersion| {
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[*version])
                .expect("the provider has what the version needs")
                .with_root_certificates(roots.clone())
                .with_no_client_auth()
        };
        Self {
            versions: versions.iter().map(config).collect(),
        }
    }

    /// For one client: with room for its tickets, or without any.
    pub(super) fn client(&self, number: usize, resumes: bool) -> Arc<ClientConfig> {
        let mut config = self.versions[number % self.versions.len()].clone();
        config.resumption = if resumes {
            Resumption::in_memory_sessions(1)
        } else {
            Resumption::disabled()
        };
        Arc::new(config)
    }

    /// For those who have never been here.
    pub(super) fn stranger(&self) -> Arc<ClientConfig> {
        self.client(0, false)
    }
}
