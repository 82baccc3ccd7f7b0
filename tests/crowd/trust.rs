//! The clients' side of TLS.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The name that the server's certificate must be for.
pub(crate) const NAME: &str = "localhost";

/// Trusts one authority and no other.
#[derive(Clone)]
pub(crate) struct Trust {
    versions: [ClientConfig; 2],
}

impl Trust {
    /// The authority's certificate as PEM.
    ///
    /// # Panics
    /// When it is none.
    pub(crate) fn new(authority: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate");
        roots.add(root).expect("an authority's certificate");
        let config = |version: &'static SupportedProtocolVersion| {
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[version])
                .expect("the provider has what the version needs")
                .with_root_certificates(roots.clone())
                .with_no_client_auth()
        };
        Self {
            versions: [config(&TLS13), config(&TLS12)],
        }
    }

    /// For a client of its own: with room for its tickets, or without any. Every other one speaks
    /// TLS 1.2.
    pub(super) fn client(&self, number: usize, resumes: bool) -> Arc<ClientConfig> {
        let mut config = self.versions[number % 2].clone();
        config.resumption = if resumes {
            Resumption::in_memory_sessions(1)
        } else {
            Resumption::disabled()
        };
        Arc::new(config)
    }

    /// For someone who has never been here, and speaks TLS 1.3.
    pub(super) fn stranger(&self) -> Arc<ClientConfig> {
        self.client(0, false)
    }
}
