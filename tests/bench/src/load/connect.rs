//! From nothing to a WebSocket: TCP, TLS 1.3 with rustls, the opening handshake. Blocking, with a
//! deadline on every wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::certificate::NAME;

/// How long any single read or write may take.
const PATIENCE: Duration = Duration::from_secs(10);

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: bench.test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://bench.test\r\n\
    User-Agent: batond-bench\r\n\r\n";

/// Where to connect, and whether by TLS.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The authority that signed the server's certificate; none: no TLS.
    pub(crate) authority: Option<PathBuf>,
}

impl Target {
    /// What rustls needs: TLS 1.3, AES-128-GCM and X25519 only, so that every peer does the same
    /// work. Each call makes a session store of its own.
    pub(crate) fn tls(&self, resume: bool) -> Result<Option<Arc<ClientConfig>>> {
        let Some(authority) = &self.authority else {
            return Ok(None);
        };
        let authority = CertificateDer::from_pem_file(authority)
            .with_context(|| format!("cannot read {}", authority.display()))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority)?;
        let provider = CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![aws_lc_rs::kx_group::X25519],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.enable_secret_extraction = true;
        config.resumption = if resume {
            Resumption::in_memory_sessions(16)
        } else {
            Resumption::disabled()
        };
        Ok(Some(Arc::new(config)))
    }
}

/// An open WebSocket with nothing under way.
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    pub(crate) tls: Option<ClientConnection>,
}

impl Socket {
    /// Connects and upgrades.
    pub(crate) fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let tls = match tls {
            Some(config) => {
                let name = ServerName::try_from(NAME)?;
                Some(ClientConnection::new(Arc::clone(config), name)?)
            }
            None => None,
        };
        let mut socket = Self { stream, tls };
        socket
            .write_all(REQUEST)
            .context("cannot send the upgrade request")?;
        socket.read_response()?;
        Ok(socket)
    }

    fn read_response(&mut self) -> Result<()> {
        let mut response = [0; 4096];
        let mut length = 0;
        while !response[..length].ends_with(b"\r\n\r\n") {
            match self
                .read(&mut response[length..])
                .context("cannot read the response")?
            {
                0 => bail!("the connection ended within the response"),
                received => length += received,
            }
        }
        let status = response[..length]
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        ensure!(
            status.starts_with(b"HTTP/1.1 101"),
            "the upgrade was answered with {:?}",
            String::from_utf8_lossy(status)
        );
        Ok(())
    }

    /// Writes all of it.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.tls {
            Some(tls) => {
                let mut stream = rustls::Stream::new(tls, &mut self.stream);
                stream.write_all(bytes)?;
                stream.flush()
            }
            None => self.stream.write_all(bytes),
        }
    }

    /// Reads some; 0 is the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut self.stream).read(buffer),
            None => self.stream.read(buffer),
        }
    }

    /// Tells the other side, in TLS, that nothing more will come. It may be gone already.
    pub(crate) fn say_goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.stream);
        }
    }
}
