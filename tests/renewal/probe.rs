//! Somebody who only wants to see the certificate.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::crowd::trust::NAME;
use crate::support::PATIENCE;
use crate::support::certificate::Identity;

/// Asks for the certificate again and again.
pub(crate) struct Prober {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Prober {
    /// Trusts this root.
    pub(crate) fn new(address: SocketAddr, root: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Who resumes is not shown any.
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        Self { address, config }
    }

    /// The certificate that is served now. The handshake must succeed.
    pub(crate) fn served(&self) -> CertificateDer<'static> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut stream).unwrap();
        }
        let served = session.peer_certificates().unwrap()[0].clone();
        session.send_close_notify();
        session.complete_io(&mut stream).unwrap();
        served.into_owned()
    }

    /// Until this one is served.
    pub(crate) fn wait_for(&self, identity: &Identity) {
        let wanted = leaf(identity);
        let start = std::time::Instant::now();
        while self.served() != wanted {
            assert!(
                start.elapsed() < PATIENCE,
                "the new certificate is not served"
            );
        }
    }
}

pub(crate) fn leaf(identity: &Identity) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap()
}
