//! TCP, TLS, and the upgrade to a WebSocket; and how far one came who did not get there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::trust::NAME;

/// How long a client waits for an answer before it gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Bytes that a connection reads at once: there are many connections, and messages are short.
const READ_SIZE: usize = 1024;

/// A client's end.
pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// An attempt to come in.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When it began.
    pub(crate) began: Instant,
    /// The client's own port, once there was a TCP connection.
    pub(crate) port: Option<u16>,
    /// From the beginning to the TCP connection.
    pub(crate) connected: Option<Duration>,
    /// From the TCP connection to the 101.
    pub(crate) switched: Option<Duration>,
    /// The version of TLS, and whether the session was resumed.
    pub(crate) tls: Option<(ProtocolVersion, HandshakeKind)>,
    /// Why it came to nothing, if it did.
    pub(crate) failure: Option<Failure>,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// ECONNREFUSED: nobody listened.
    Refused,
    /// The connection was reset, or ended, before the answer.
    Reset(String),
    /// The answer was another than 101.
    Answered(u16),
    /// Anything else, also no answer within five minutes.
    Other(String),
}

/// Comes in, or does not.
pub(super) async fn arrive(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
) -> (Arrival, Option<Socket>) {
    let mut arrival = Arrival {
        began: Instant::now(),
        port: None,
        connected: None,
        switched: None,
        tls: None,
        failure: None,
    };
    let attempt = timeout(PATIENCE, attempt(&mut arrival, address, tls)).await;
    match attempt.unwrap_or_else(|_| Err(Failure::Other("no answer in time".to_owned()))) {
        Ok(socket) => (arrival, Some(socket)),
        Err(failure) => {
            arrival.failure = Some(failure);
            (arrival, None)
        }
    }
}

async fn attempt(
    arrival: &mut Arrival,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
) -> Result<Socket, Failure> {
    let tcp = TcpStream::connect(address).await;
    let tcp = tcp.map_err(|error| Failure::of("connect", &error))?;
    let connected = Instant::now();
    arrival.connected = Some(connected - arrival.began);
    arrival.port = tcp.local_addr().ok().map(|own| own.port());
    let _ = tcp.set_nodelay(true);
    let name = ServerName::try_from(NAME).expect("a name");
    let tls = TlsConnector::from(tls).connect(name, tcp).await;
    let tls = tls.map_err(|error| Failure::of("TLS handshake", &error))?;
    let session = tls.get_ref().1;
    arrival.tls = session.protocol_version().zip(session.handshake_kind());
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_SIZE)
        .write_buffer_size(0);
    let upgrade = client_async_with_config(format!("wss://{NAME}/"), tls, Some(config)).await;
    let (socket, _) = upgrade.map_err(|error| match error {
        Error::Io(error) => Failure::of("upgrade", &error),
        Error::Http(answer) => Failure::Answered(answer.status().as_u16()),
        Error::Protocol(error @ ProtocolError::HandshakeIncomplete) => {
            Failure::Reset(format!("upgrade: {error}"))
        }
        error => Failure::Other(format!("upgrade: {error}")),
    })?;
    arrival.switched = Some(connected.elapsed());
    Ok(socket)
}

impl Failure {
    fn of(step: &str, error: &io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
                Self::Reset(format!("{step}: {error}"))
            }
            _ => Self::Other(format!("{step}: {error}")),
        }
    }
}
