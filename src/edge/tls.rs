//! One TLS session without buffers of its own: ciphertext and plaintext live in the thread's
//! [`Scratch`](super::chunk::Scratch), and an idle session is its keys and little else. This is
//! the seam behind which the TLS library sits.

use std::io;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use super::chunk::{Chunk, READ_SIZE};
use crate::certificate::ledger::Ledger;
use crate::certificate::ledger::hello::Hello;
use crate::certificate::ledger::opening::{Glance, Opening};
use crate::certificate::ledger::reason::Stage;
use crate::certificate::resolver::{Resolver, Shown};

/// Why there is no session, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// What came first was not TLS. It has not been answered.
    #[error("it is not TLS")]
    NotTls(Opening),
    /// By the rules of TLS. There may be an alert to send.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

/// The server's half of a TLS session.
pub(super) struct Session {
    connection: UnbufferedServerConnection,
    /// The beginning of a record that has not come in full; empty (and not allocated) when idle.
    partial: Vec<u8>,
    greeting: Greeting,
    begun: bool,
    established: bool,
    peer_closed: bool,
    close_sent: bool,
}

/// The client's first message.
enum Greeting {
    Awaited(Arc<Ledger>, Arc<Resolver>),
    Read(Box<Greeted>),
    /// Nobody wants to know any more.
    Over,
}

/// What the client greeted with, and what it is shown for that: another certificate may be in
/// service before it has its say.
pub(super) struct Greeted {
    pub(super) hello: Hello,
    pub(super) shown: Shown,
}

impl Session {
    /// `resolver`: the one of `config`.
    pub(super) fn new(
        config: Arc<ServerConfig>,
        resolver: Arc<Resolver>,
        ledger: Arc<Ledger>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            partial: Vec::new(),
            greeting: Greeting::Awaited(ledger, resolver),
            begun: false,
            established: false,
            peer_closed: false,
            close_sent: false,
        })
    }

    /// How far the handshake has come.
    pub(super) fn stage(&self) -> Stage {
        if self.established {
            Stage::Established
        } else if self.version().is_some() {
            Stage::Answered
        } else if self.begun {
            Stage::Begun
        } else {
            Stage::Nothing
        }
    }

    /// What the client greeted with, once; None: it was not understood, or has not come.
    pub(super) fn take_greeted(&mut self) -> Option<Box<Greeted>> {
        match std::mem::replace(&mut self.greeting, Greeting::Over) {
            Greeting::Read(greeted) => Some(greeted),
            Greeting::Awaited(..) | Greeting::Over => None,
        }
    }

    /// The version that was agreed on, as on the wire.
    pub(super) fn version(&self) -> Option<u16> {
        self.connection.protocol_version().map(u16::from)
    }

    /// The handshake is done: application data may be written.
    pub(super) fn is_established(&self) -> bool {
        self.established
    }

    /// The peer has said that nothing more comes (close_notify, RFC 8446 §6.1).
    pub(super) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Here the client has the handshake's last word: what the server says right after it are
    /// session tickets (RFC 8446 §4.6.1).
    pub(super) fn is_version_13(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Puts what was held back of an incomplete record before the next read.
    pub(super) fn restore(&self, ciphertext: &mut Chunk) {
        ciphertext.clear();
        ciphertext.extend(&self.partial);
    }

    /// Takes in ciphertext, which begins with what [`Self::restore`] put there. Application data
    /// goes to the end of `plaintext`, what the handshake has to say to the end of `records`
    /// (also when it fails: then that is the alert).
    pub(super) fn receive(
        &mut self,
        ciphertext: &mut Chunk,
        plaintext: &mut Chunk,
        records: &mut Records,
    ) -> Result<(), Broken> {
        if !self.begun {
            match Glance::at(ciphertext.filled()) {
                Glance::Tls => self.begun = true,
                Glance::NotTls(opening) => return Err(Broken::NotTls(opening)),
                Glance::More => {
                    self.hold_back(ciphertext.filled());
                    return Ok(());
                }
            }
        }
        if let Greeting::Awaited(ledger, resolver) = &self.greeting
            && let Some(hello) = ledger.read(ciphertext.filled())
        {
            let shown = resolver.shown(hello.name.as_deref());
            self.greeting = Greeting::Read(Box::new(Greeted { hello, shown }));
        }
        let used = self.process(ciphertext.filled_mut(), plaintext, records)?;
        self.hold_back(&ciphertext.filled()[used..]);
        Ok(())
    }

    fn hold_back(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
    }

    fn process(
        &mut self,
        incoming: &mut [u8],
        plaintext: &mut Chunk,
        records: &mut Records,
    ) -> Result<usize, rustls::Error> {
        let mut used = 0;
        loop {
            let UnbufferedStatus {
                mut discard, state, ..
            } = self.connection.process_tls_records(&mut incoming[used..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plaintext.extend(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(records, |out| match data.encode(out) {
                        Ok(n) => Ok(n),
                        Err(EncodeError::InsufficientSize(needed)) => Err(Some(needed)),
                        Err(EncodeError::AlreadyEncoded) => Err(None),
                    })
                    .ok_or(rustls::Error::EncryptError)?;
                }
                // `records` is sent in order, so what was encoded counts as transmitted.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.established = true;
                    return Ok(used + discard);
                }
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(ConnectionState::Closed | ConnectionState::BlockedHandshake) => {
                    return Ok(used + discard);
                }
                // Early data is never accepted: max_early_data_size stays 0.
                Ok(_) => return Err(rustls::Error::General("unexpected TLS state".into())),
                Err(error) => {
                    self.alert(records);
                    return Err(error);
                }
            }
            used += discard;
        }
    }

    /// Fetches the alert that rustls queued with an error.
    fn alert(&mut self, records: &mut Records) {
        while let UnbufferedStatus {
            state: Ok(ConnectionState::EncodeTlsData(mut data)),
            ..
        } = self.connection.process_tls_records(&mut [])
        {
            append(records, |out| match data.encode(out) {
                Ok(n) => Ok(n),
                Err(EncodeError::InsufficientSize(needed)) => Err(Some(needed)),
                Err(EncodeError::AlreadyEncoded) => Err(None),
            });
        }
    }

    /// Encrypts `plaintext` to the end of `records`.
    pub(super) fn send(&mut self, plaintext: &[u8], records: &mut Records) -> io::Result<()> {
        self.write(records, |traffic, out| traffic.encrypt(plaintext, out))
    }

    /// Adds the close_notify alert to `records`, once.
    pub(super) fn close(&mut self, records: &mut Records) -> io::Result<()> {
        if self.close_sent || !self.established {
            return Ok(());
        }
        self.close_sent = true;
        self.write(records, |traffic, out| traffic.queue_close_notify(out))
    }

    fn write(
        &mut self,
        records: &mut Records,
        mut encrypt: impl FnMut(
            &mut rustls::unbuffered::WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        loop {
            // The same unfinished bytes every time: the deframer remembers places in them.
            let status = self.connection.process_tls_records(&mut self.partial);
            match status.state.map_err(io::Error::other)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return append(records, |out| match encrypt(&mut traffic, out) {
                        Ok(n) => Ok(n),
                        Err(EncryptError::InsufficientSize(needed)) => Err(Some(needed)),
                        Err(EncryptError::EncryptExhausted) => Err(None),
                    })
                    .ok_or_else(|| io::Error::other("the TLS keys are exhausted"));
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    append(records, |out| match data.encode(out) {
                        Ok(n) => Ok(n),
                        Err(EncodeError::InsufficientSize(needed)) => Err(Some(needed)),
                        Err(EncodeError::AlreadyEncoded) => Err(None),
                    })
                    .ok_or_else(|| io::Error::other("a TLS record was encoded twice"))?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }
}

/// TLS records on their way out. The room is kept and never cleared, only overwritten.
pub(super) struct Records {
    bytes: Vec<u8>,
    filled: usize,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; READ_SIZE],
            filled: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

/// Lets `encode` write behind the end of `records`, with as much room as it asks for.
/// None: it failed for another reason than room.
fn append(
    records: &mut Records,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Option<()> {
    loop {
        match encode(&mut records.bytes[records.filled..]) {
            Ok(written) => {
                records.filled += written;
                return Some(());
            }
            Err(Some(needed)) => records
                .bytes
                .resize(records.filled + needed.required_size, 0),
            Err(None) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;
    use crate::certificate::leaf;
    use crate::certificate::resolver::server_config;
    use crate::certificate::ticket::TicketKeys;
    use crate::edge::chunk::with_scratch;

    fn certificate() -> Arc<CertifiedKey> {
        let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let provider = aws_lc_rs::default_provider();
        Arc::new(CertifiedKey::from_der(vec![made.cert.into()], key, &provider).unwrap())
    }

    #[test]
    fn what_a_client_was_shown_stays_what_it_is_after_a_swap() {
        let (old, new) = (certificate(), certificate());
        let resolver = Arc::new(Resolver::new(&[(Arc::clone(&old), Vec::new())]).unwrap());
        let tickets = Arc::new(TicketKeys::generate().unwrap());
        let config = server_config(Arc::clone(&resolver), tickets).unwrap();
        let mut session =
            Session::new(config, Arc::clone(&resolver), Arc::new(Ledger::default())).unwrap();

        let provider = Arc::new(aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = "example.org".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        with_scratch(|scratch| {
            scratch.ciphertext.clear();
            scratch.ciphertext.extend(&hello);
            session
                .receive(
                    &mut scratch.ciphertext,
                    &mut scratch.plaintext,
                    &mut scratch.records,
                )
                .unwrap();
        });
        assert_eq!(session.stage(), Stage::Answered);

        resolver.replace(&[(Arc::clone(&new), Vec::new())]);
        let greeted = session.take_greeted().unwrap();
        assert_eq!(greeted.shown.fingerprint(), leaf::fingerprint(&old));
        assert!(greeted.shown.covers());
    }
}
