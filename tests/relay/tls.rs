//! TLS: which certificate, which versions, and how a client that comes back is let in.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::frame::Frame;
use crate::http::upgrade;
use crate::peer::Peer;
use crate::support::batond::{Batond, Launch};
use crate::support::certificate::Authority;
use crate::support::sockets::Sockets;
use crate::world::{Backend, HOST, World, secure, trusting};

/// The end entity's first DNS name, as the client was shown it.
fn shown(client: &Peer) -> String {
    let chain = client.session().peer_certificates().expect("a certificate");
    let (_, leaf) = X509Certificate::from_der(&chain[0]).expect("a certificate");
    let names = leaf
        .subject_alternative_name()
        .expect("an extension")
        .expect("names");
    names.value.general_names[0].to_string()
}

/// A client that has been answered over TLS.
fn answered(address: SocketAddr, trust: &Arc<ClientConfig>, name: &str) -> Peer {
    let mut client = secure(address, trust, name);
    client.send("GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n");
    assert_eq!(client.answer().0.status(), 404);
    client
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().expect("make a directory");
    let mut sockets = Sockets::new();
    let address = sockets.tcp("wss");
    let mut config = format!(
        "[listener.wss]\naddress = \"{address}\"\ncertificates = [\"first\", \"second\"]\n\
         [service.app]\nhosts = [\"one.test\", \"two.test\", \"w.two.test\"]\nbackends = [\"{}\"]\n",
        Backend::tcp().address()
    );
    for (name, names) in [
        ("first", &["one.test", "elsewhere.test"][..]),
        ("second", &["two.test", "*.two.test"]),
    ] {
        let (chain, key) = authority.issue(names).write(directory.path(), name);
        config += &format!(
            "[certificate.{name}]\nchain = \"{}\"\nkey = \"{}\"\nnames = [\"{}\"]\n",
            chain.display(),
            key.display(),
            names[0]
        );
    }
    let _batond: Batond = Launch::new(&config).sockets(&sockets).start();
    let trust = Arc::new(trusting(&authority, rustls::ALL_VERSIONS));
    for (asked, certificate) in [
        ("one.test", "one.test"),
        ("two.test", "two.test"),
        ("w.two.test", "two.test"),
        ("TWO.test", "two.test"),
        // Unknown by configuration, so the first one answers, which happens to have the name.
        ("elsewhere.test", "one.test"),
    ] {
        let client = answered(address, &trust, asked);
        assert_eq!(shown(&client), format!("DNSName({certificate})"), "{asked}");
    }
    // Of a name that none has, the client is shown the first one, and is the one to refuse it.
    let error = secure(address, &trust, "unknown.test")
        .try_send(b"?")
        .expect_err("refused");
    assert!(error.to_string().contains("one.test"), "{error}");
    let mut nameless = ClientConfig::clone(&trust);
    nameless.enable_sni = false;
    let client = answered(address, &Arc::new(nameless), "one.test");
    assert_eq!(shown(&client), "DNSName(one.test)");
}

#[test]
fn both_versions_carry_a_websocket() {
    let world = World::start();
    for (versions, version) in [
        (&[&rustls::version::TLS12][..], ProtocolVersion::TLSv1_2),
        (&[&rustls::version::TLS13], ProtocolVersion::TLSv1_3),
    ] {
        let mut trust = trusting(&world.authority, versions);
        trust.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = secure(world.secure, &Arc::new(trust), HOST);
        let (mut client, mut backend) = world.join(client, "");
        assert_eq!(client.session().protocol_version(), Some(version));
        assert_eq!(client.session().alpn_protocol(), Some(&b"http/1.1"[..]));
        client.say(&[Frame::text("hello")]);
        backend.hear(&[Frame::text("hello")]);
        backend.say(&[Frame::close(1000, "")]);
        client.hear(&[Frame::close(1000, "")]);
        client.say(&[Frame::close(1000, "")]);
        client.ended();
    }
}

#[test]
fn a_client_that_comes_back_resumes_its_session() {
    let world = World::start();
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let trust = Arc::new(trusting(&world.authority, versions));
        for kind in [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed,
        ] {
            let mut client = secure(world.secure, &trust, HOST);
            client.send(upgrade("/", HOST, ""));
            let mut backend = world.backend.switch("");
            assert_eq!(client.message().status(), 101);
            assert_eq!(client.session().handshake_kind(), Some(kind));
            backend.end();
            assert_eq!(client.closed(), 1014);
        }
    }
}

/// A second would be for a second connection at the same time.
#[test]
fn a_client_gets_one_ticket_and_has_it_with_its_first_answer() {
    let world = World::start();
    let (client, _backend) = world.secure_pair();
    assert_eq!(client.session().tls13_tickets_received(), 1);
}

#[test]
fn a_client_that_does_not_speak_tls_hurts_nobody() {
    let world = World::start();
    let mut lost = Peer::client(crate::peer::Stream::Tcp(
        std::net::TcpStream::connect(world.secure).expect("connect to batond"),
    ));
    lost.send(upgrade("/", HOST, ""));
    let (head, text) = lost.answer();
    assert_eq!(head.status(), 400);
    assert_eq!(
        text,
        "this port speaks TLS: ask with https:// or wss://\r\n"
    );
    lost.take_all();
    world.secure_pair();
}
