//! A way in: TCP, TLS, and the upgrade to a WebSocket, as any client does it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustix::net::{RecvFlags, recv};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::certificate::NAME;

/// Bytes that a connection reads at once. The messages here are short, and there are many
/// connections.
const READ_SIZE: usize = 2_048;

/// Where clients go.
#[derive(Clone)]
pub struct Destination {
    address: SocketAddr,
    tls: TlsConnector,
}

/// A client's end of a WebSocket over TLS.
pub struct Connection {
    /// Use it as a stream and a sink of messages.
    pub socket: WebSocketStream<TlsStream<TcpStream>>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP did not come about.
    #[error("cannot connect: {0}")]
    Tcp(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The upgrade failed.
    #[error("the upgrade failed: {0}")]
    Upgrade(#[source] Box<tungstenite::Error>),
}

impl Destination {
    /// `wss://localhost` at this address.
    pub fn new(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        Self {
            address,
            tls: TlsConnector::from(config),
        }
    }

    /// What a person would type.
    pub fn url(&self) -> String {
        format!("wss://{NAME}:{}/", self.address.port())
    }

    /// Connects; without a deadline, which is the caller's.
    ///
    /// # Errors
    /// At which step it failed, and why.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(ConnectError::Tcp)?;
        // As browsers do: a message is not held back until the last one was acknowledged.
        stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let name = ServerName::try_from(NAME)
            .map_err(|error| ConnectError::Tls(io::Error::other(error)))?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(ConnectError::Tls)?;
        let (socket, _) = client_async_with_config(self.url(), stream, Some(websocket_config()))
            .await
            .map_err(|error| ConnectError::Upgrade(Box::new(error)))?;
        Ok(Connection { socket })
    }
}

impl Connection {
    /// Whether something from the server waits in the kernel, unread. Asks the kernel itself: the
    /// event loop may not have heard of it yet.
    pub fn something_waits(&self) -> bool {
        let (tcp, _) = self.socket.get_ref().get_ref();
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(tcp, &mut [0; 1][..], flags), Ok((_, n)) if n > 0)
    }

    /// Whether the server has ended TLS in order (close_notify), as opposed to a connection that
    /// was cut.
    pub fn ended_in_order(&mut self) -> bool {
        let (_, session) = self.socket.get_mut().get_mut();
        session
            .process_new_packets()
            .is_ok_and(|state| state.peer_has_closed())
    }
}

impl ConnectError {
    /// Nobody listened.
    pub fn is_refused(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::ConnectionRefused)
    }

    /// The connection was reset, or ended before it was a WebSocket.
    pub fn is_reset(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        self.io_kind().is_some_and(|kind| {
            [
                BrokenPipe,
                ConnectionAborted,
                ConnectionReset,
                UnexpectedEof,
            ]
            .contains(&kind)
        }) || matches!(self, Self::Upgrade(error) if is_unfinished(error))
    }

    fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Tcp(error) | Self::Tls(error) => Some(error.kind()),
            Self::Upgrade(error) => match &**error {
                tungstenite::Error::Io(error) => Some(error.kind()),
                _ => None,
            },
        }
    }
}

fn is_unfinished(error: &tungstenite::Error) -> bool {
    use tungstenite::error::ProtocolError::HandshakeIncomplete;
    matches!(error, tungstenite::Error::Protocol(HandshakeIncomplete))
}

/// Small buffers, for many connections in one process.
pub(super) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_SIZE)
        .write_buffer_size(0)
}
