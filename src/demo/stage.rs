//! What a batond needs around it: a backend, a certificate, a configuration, a listening socket.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;

use super::backend::Backend;
use super::certificate::{Certificate, NAME};
use super::connection::Destination;
use super::daemon::{Daemon, DaemonError, Launch, listening_socket};
use super::folder::Folder;
use super::log::Log;

/// The name of the listener in the configuration.
const LISTENER: &str = "wss";

/// Everything that a batond needs, on ports of 127.0.0.1 that the kernel chose, and in a private
/// folder that goes when this is dropped.
#[derive(Debug)]
pub struct Stage {
    /// Where batond will listen.
    pub address: SocketAddr,
    /// The service behind it.
    pub backend: Backend,
    client_config: Arc<ClientConfig>,
    config: PathBuf,
    folder: Folder,
}

/// Why there is no stage.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Files or sockets.
    #[error("cannot make {what}: {error}")]
    Io {
        /// What was to be made.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// The certificate.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The clients' side of TLS.
    #[error("cannot set up TLS for the clients: {0}")]
    Tls(#[from] rustls::Error),
}

impl Stage {
    /// Sets it. `settings` are sections of batond.toml, besides those of the listener, the
    /// certificate and the service, which are there already. The socket listens already, and is
    /// to be passed to [`Stage::start`].
    ///
    /// # Errors
    /// What could not be made.
    pub fn set(settings: &str) -> Result<(Self, TcpListener), StageError> {
        let failed = |what| move |error| StageError::Io { what, error };
        let folder = Folder::new().map_err(failed("a temporary folder"))?;
        let certificate = Certificate::issue()?;
        let files = certificate
            .write_into(folder.path())
            .map_err(failed("the certificate's files"))?;
        let backend = Backend::start().map_err(failed("an echo backend"))?;
        let socket = listening_socket((Ipv4Addr::LOCALHOST, 0).into())
            .map_err(failed("a listening socket"))?;
        let address = socket.local_addr().map_err(failed("a listening socket"))?;

        let mut text = String::new();
        let [chain, key] = [&files.chain, &files.key]
            .map(|path| toml::Value::from(path.to_string_lossy().into_owned()));
        let _ = write!(
            text,
            "[listener.{LISTENER}]\naddress = \"{address}\"\ncertificates = [\"demo\"]\n\n\
             [certificate.demo]\nchain = {chain}\nkey = {key}\nnames = [\"{NAME}\"]\n\n\
             [service.echo]\nbackends = [\"{}\"]\n\n{settings}",
            backend.address()
        );
        let config = folder.path().join("batond.toml");
        fs::write(&config, text).map_err(failed("the configuration"))?;
        let stage = Self {
            address,
            backend,
            client_config: certificate.client_config()?,
            config,
            folder,
        };
        Ok((stage, socket))
    }

    /// Where clients go.
    pub fn destination(&self) -> Destination {
        Destination::new(self.address, Arc::clone(&self.client_config))
    }

    /// Starts a batond on the socket, of which this process keeps no copy.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn start(
        &self,
        program: &Path,
        socket: TcpListener,
        log: Arc<Log>,
    ) -> Result<Daemon, DaemonError> {
        let launch = Launch {
            program,
            config: &self.config,
            folder: self.folder.path(),
            socket: (LISTENER, socket.into()),
        };
        Daemon::start(launch, log)
    }
}
