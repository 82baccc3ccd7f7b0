//! A renewed certificate.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use batond::demo::backend::Backend;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::client::Client;
use crate::support::PATIENCE;
use crate::support::certificate::Authority;
use crate::world::{World, address, service};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// The configuration with a certificate from this folder.
pub(crate) fn configuration(folder: &Path, listener: SocketAddr, backend: &Backend) -> String {
    let folder = folder.display();
    format!(
        "[listener.wss]\naddress = \"{listener}\"\ncertificates = [\"one\"]\n\
         [certificate.one]\nchain = \"{folder}/one.pem\"\nkey = \"{folder}/one.key\"\n\
         names = [\"localhost\"]\n{}",
        service(backend)
    )
}

fn trusting(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> Client<Tls> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    Client::upgrade(StreamOwned::new(session, stream), "wss://localhost/").unwrap()
}

/// The certificate that the server showed.
fn shown(client: &Client<Tls>) -> Vec<u8> {
    client.stream().conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_changed_certificate_is_shown_to_who_comes_and_established_sessions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["localhost"]).write(folder.path(), "one");
    let (listener, backend) = (address(), Backend::start().unwrap());
    let configuration = configuration(folder.path(), listener, &backend);
    let world = World::start(&configuration, backend);
    let config = trusting(&authority);
    let mut before = open(listener, &config);
    before.echo("before");

    authority.issue(&["localhost"]).write(folder.path(), "one");
    world.reload();
    before.echo("after");
    let mut after = open(listener, &trusting(&authority));
    after.echo("new");
    assert_ne!(shown(&before), shown(&after));

    // The ticket keys are the same: who comes back resumes.
    let mut back = open(listener, &config);
    back.echo("back");
    assert_eq!(
        back.stream().conn.handshake_kind(),
        Some(HandshakeKind::Resumed)
    );
}
