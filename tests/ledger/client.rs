//! A TLS client that stops where it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use crate::issue::Identity;
use crate::support::PATIENCE;

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A client that trusts this root, and nobody without one.
pub(crate) fn rustls(
    name: &str,
    root: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    if let Some(root) = root {
        roots.add(root.der().into()).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap()
}

/// What it says first.
pub(crate) fn hello(client: &mut ClientConnection) -> Vec<u8> {
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// As far as it gets: the error that it ends with, after which it has said why.
pub(crate) fn shake_hands(client: &mut ClientConnection, socket: &mut TcpStream) -> String {
    while client.is_handshaking() {
        if let Err(error) = client.complete_io(socket) {
            return error.to_string();
        }
    }
    // The last word is the client's.
    while client.wants_write() {
        client.write_tls(socket).unwrap();
    }
    String::new()
}

/// Everything until the other side ends the connection.
pub(crate) fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = socket.read_to_end(&mut rest);
    rest
}

/// Says this, and waits for the end.
pub(crate) fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = connect(address);
    socket.write_all(bytes).unwrap();
    rest(&mut socket)
}
