//! Whether a backend serves: one WebSocket handshake with it, as a client would do it. A backend
//! whose port is open may still be loading what it serves from.

use std::io;
use std::time::Duration;

use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::config::BackendAddress;

/// The backend may say so much before its Close, in bytes: what it greets its clients with.
const GREETING: usize = 1 << 20;

/// How long the backend's Close is waited for. Whatever it does then, it is healthy.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Why a backend is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nobody listens.
    #[error("cannot connect to {backend}: {source}")]
    Connect {
        /// Its address.
        backend: String,
        /// What the system says.
        source: io::Error,
    },
    /// It accepted, and said too little in time.
    #[error("{backend} did not answer the WebSocket handshake within {within:?}")]
    Silent {
        /// Its address.
        backend: String,
        /// How long it had.
        within: Duration,
    },
    /// It answered with another status than 101.
    #[error("{backend} answered the WebSocket handshake for {path} with {status}")]
    Status {
        /// Its address.
        backend: String,
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
    },
    /// What it answered is no handshake.
    #[error("{backend} failed the WebSocket handshake: {why}")]
    Handshake {
        /// Its address.
        backend: String,
        /// In words.
        why: String,
    },
}

/// Shakes hands with a backend at `path`, naming `host`, and takes leave with 1000. All within
/// this time.
///
/// # Errors
/// Why it is not healthy.
pub async fn probe(
    address: &BackendAddress,
    host: &str,
    path: &str,
    within: Duration,
) -> Result<(), Unhealthy> {
    let deadline = Instant::now() + within;
    let asked = Asked {
        backend: shown(address),
        host,
        path,
    };
    let silent = || Unhealthy::Silent {
        backend: shown(address),
        within,
    };
    let probing = async {
        match address {
            BackendAddress::Tcp(address) => {
                let socket = TcpStream::connect(address).await;
                asked.shake(socket, deadline).await
            }
            BackendAddress::Unix(path) => {
                let socket = UnixStream::connect(path).await;
                asked.shake(socket, deadline).await
            }
        }
    };
    timeout_at(deadline, probing)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

struct Asked<'a> {
    backend: String,
    host: &'a str,
    path: &'a str,
}

impl Asked<'_> {
    async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        socket: io::Result<S>,
        deadline: Instant,
    ) -> Result<(), Unhealthy> {
        let socket = match socket {
            Ok(socket) => socket,
            Err(source) => {
                let backend = self.backend;
                return Err(Unhealthy::Connect { backend, source });
            }
        };
        let request = self.request().map_err(|error| self.failed(&error))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(GREETING))
            .max_frame_size(Some(GREETING));
        let (socket, _) = client_async_with_config(request, socket, Some(config))
            .await
            .map_err(|error| self.failed(&error))?;
        let _ = timeout_at(deadline.min(Instant::now() + CLOSE_WITHIN), leave(socket)).await;
        Ok(())
    }

    fn request(&self) -> Result<Request<()>, Error> {
        format!("ws://{}{}", self.host, self.path).into_client_request()
    }

    fn failed(&self, error: &Error) -> Unhealthy {
        let backend = self.backend.clone();
        let why = match error {
            Error::Http(response) => {
                return Unhealthy::Status {
                    backend,
                    path: self.path.to_owned(),
                    status: response.status().as_u16(),
                };
            }
            Error::Protocol(ProtocolError::HandshakeIncomplete) => {
                "it closed the connection".to_owned()
            }
            error => error.to_string(),
        };
        Unhealthy::Handshake { backend, why }
    }
}

/// Says goodbye and reads to the end, so that the Close is not destroyed on its way by a reset.
async fn leave<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    let normal = CloseFrame {
        code: CloseCode::Normal,
        reason: "probe".into(),
    };
    if socket.send(Message::Close(Some(normal))).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

fn shown(address: &BackendAddress) -> String {
    match address {
        BackendAddress::Tcp(address) => address.clone(),
        BackendAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}
