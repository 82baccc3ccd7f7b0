//! The service behind batond: a WebSocket server that sends everything back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async_with_config;

use super::connection::websocket_config;
use super::daemon::listening_socket;
use super::event_loop::EventLoop;

/// How long to wait when nothing can be accepted.
const BREATHER: Duration = Duration::from_millis(50);

/// An echo server on a port of 127.0.0.1 that the kernel chose. Dropping it ends it, and cuts
/// whoever is connected.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    received: Arc<AtomicU64>,
    _thread: EventLoop<()>,
}

impl Backend {
    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// When there is no socket or no thread to be had.
    pub fn start() -> io::Result<Self> {
        let socket = listening_socket((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        let thread = EventLoop::start("echo backend", move || async move {
            let Ok(listener) = TcpListener::from_std(socket) else {
                return;
            };
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::task::spawn_local(echo(stream, Arc::clone(&counter)));
                    }
                    // Out of descriptors, most likely: those who leave make room.
                    Err(_) => tokio::time::sleep(BREATHER).await,
                }
            }
        })?;
        Ok(Self {
            address,
            received,
            _thread: thread,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Data messages that have arrived so far, over all connections.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }
}

async fn echo(stream: TcpStream, received: Arc<AtomicU64>) {
    // A message goes out when it is ready, not when the last one was acknowledged.
    let _ = stream.set_nodelay(true);
    let Ok(mut socket) = accept_async_with_config(stream, Some(websocket_config())).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            received.fetch_add(1, Relaxed);
            // Whoever does not listen any more may still have said something: read on.
            let _ = socket.send(message).await;
        }
    }
}
