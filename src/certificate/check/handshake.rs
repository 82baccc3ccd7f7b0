//! A handshake in memory, with TLS 1.2 and with TLS 1.3: whether the pair really works.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Chain;
use crate::certificate::finding::{Fault, Finding, Part};
use crate::certificate::resolver::{Resolver, server_config};
use crate::certificate::ticket::TicketKeys;

/// More flights than any handshake has.
const FLIGHTS_MAX: usize = 10;

pub(super) fn check(chain: &Chain, pair: &Arc<CertifiedKey>) -> Vec<Finding> {
    [("1.2", &TLS12), ("1.3", &TLS13)]
        .into_iter()
        .filter_map(|(name, version)| {
            let error = shake_hands(pair, version).err()?;
            Some(Finding::fatal(
                Fault::HandshakeFails,
                Part::Key,
                name,
                format!(
                    "a TLS {name} handshake with the certificate {} in {} and its key fails: \
                     {error}",
                    chain.leaf().label,
                    chain.file
                ),
                "have the certificate issued for an ECDSA key on P-256",
            ))
        })
        .collect()
}

fn shake_hands(
    pair: &Arc<CertifiedKey>,
    version: &'static SupportedProtocolVersion,
) -> Result<(), String> {
    let told = |error: Error| error.to_string();
    let tickets = TicketKeys::generate().map_err(|error| error.to_string())?;
    let resolver = Resolver::new(&[(Arc::clone(pair), Vec::new())]).ok_or("no certificate")?;
    let server = server_config(Arc::new(resolver), Arc::new(tickets)).map_err(told)?;
    let server = ServerConnection::new(server).map_err(told)?;

    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .map_err(told)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(SignatureOnly::new(provider)))
        .with_no_client_auth();
    // Reserved (RFC 2606): the resolver gives its only certificate for any name.
    let name = ServerName::try_from("handshake.invalid").map_err(|error| error.to_string())?;
    let client = ClientConnection::new(Arc::new(client), name).map_err(told)?;

    let (mut client, mut server) = (Connection::from(client), Connection::from(server));
    for _ in 0..FLIGHTS_MAX {
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(());
        }
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    Err("it does not come to an end".to_owned())
}

/// Takes what one side has to say to the other.
fn pass(from: &mut Connection, to: &mut Connection) -> Result<(), String> {
    let mut flight = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut flight)
            .map_err(|error| error.to_string())?;
    }
    let mut flight = flight.as_slice();
    while !flight.is_empty() {
        to.read_tls(&mut flight)
            .map_err(|error| error.to_string())?;
        to.process_new_packets()
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Takes any certificate, since the chain is judged elsewhere, but no wrong signature.
#[derive(Debug)]
pub(in crate::certificate) struct SignatureOnly(Arc<CryptoProvider>);

impl SignatureOnly {
    pub(in crate::certificate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

impl ServerCertVerifier for SignatureOnly {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
