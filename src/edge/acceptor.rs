//! Takes connections from a listening socket. Every worker accepts on every listener; whoever
//! is free takes the next connection. Nothing ends the loop but the order to stop accepting.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::counters::count;
use super::http::Connection;
use super::listener::{BACKLOG, Cookie, ListeningSocket};
use super::socket::Socket;
use super::worker::Worker;
use crate::certificate::resolver::Resolver;
use crate::config::TrustedPeer;
use crate::control::message_id;
use crate::event;

/// How long to wait when descriptors or memory have run out. The connections wait in the accept
/// queue meanwhile.
const BREATHER: Duration = Duration::from_millis(50);

/// As many as a queue holds at most, and who comes while it is emptied.
const QUEUED: usize = 2 * BACKLOG as usize;

/// A peer that has vanished without a word holds its place for two minutes at most.
pub(super) const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// How a listener speaks TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// As rustls takes it.
    pub config: Arc<ServerConfig>,
    /// The certificates in it.
    pub resolver: Arc<Resolver>,
}

/// What every connection of one listener has in common.
#[derive(Clone, Debug)]
pub struct Door {
    /// The listener's name.
    pub name: String,
    /// None: plain `ws://`.
    pub tls: Option<Tls>,
    /// Whose forwarding fields are believed.
    pub trusted: Vec<TrustedPeer>,
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: ListeningSocket, stall_timeout: Duration) -> io::Result<Self> {
        Ok(match socket {
            ListeningSocket::Tcp(socket) => {
                // Accepted sockets inherit all of it (tcp(7)). A message that is ready goes out
                // now, not when the last one was acknowledged; who has vanished is found out, and
                // so is who takes nothing while something waits for him.
                let options = SockRef::from(&socket);
                options.set_tcp_nodelay(true)?;
                options.set_tcp_keepalive(&KEEPALIVE)?;
                options.set_tcp_user_timeout(Some(stall_timeout))?;
                Self::Tcp(TcpListener::from_std(socket)?)
            }
            ListeningSocket::Unix(socket) => Self::Unix(UnixListener::from_std(socket)?),
        })
    }

    async fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer): (_, SocketAddr) = listener.accept().await?;
                Ok((Socket::Tcp(socket), Some(peer.ip())))
            }
            Self::Unix(listener) => Ok((Socket::Unix(listener.accept().await?.0), None)),
        }
    }
}

/// What one worker needs to accept on one listener.
pub(super) struct Post {
    pub(super) door: Rc<Door>,
    pub(super) socket: ListeningSocket,
    pub(super) cookie: Cookie,
}

/// Accepts until the future is dropped.
pub(super) async fn accept(worker: Rc<Worker>, post: Post, handshakes: Arc<Semaphore>) {
    let Post {
        door,
        socket,
        cookie,
    } = post;
    let stall_timeout = worker.shared.limits.load().stall_timeout;
    let acceptor = match Acceptor::new(socket, stall_timeout) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            failing(&door.name, &error);
            return;
        }
    };
    let mut failed_before = false;
    loop {
        let Some(permit) = handshake_permit(&worker, &handshakes).await else {
            return;
        };
        match acceptor.accept().await {
            Ok((socket, peer)) => {
                failed_before = false;
                count(&worker.shared.counters.accepted);
                let connection =
                    Connection::new(Rc::clone(&worker), Rc::clone(&door), peer, cookie, permit);
                tokio::task::spawn_local(connection.serve(socket));
            }
            Err(error) => {
                count(&worker.shared.counters.accept_errors);
                if is_of_the_peer(&error) {
                    continue;
                }
                // Said once, until it works again.
                if !std::mem::replace(&mut failed_before, true) {
                    failing(&door.name, &error);
                }
                drop(permit);
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

/// Accepts everyone who waits in the queue of a socket that is about to be closed, and waits for
/// nobody: what the queue held is the limit, and not `limits.handshakes`.
pub(super) fn take_queued(worker: &Rc<Worker>, post: Post) {
    let Post {
        door,
        socket,
        cookie,
    } = post;
    let room = Arc::new(Semaphore::new(QUEUED));
    while let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
        match queued(&socket) {
            Ok((socket, peer)) => {
                count(&worker.shared.counters.accepted);
                let connection =
                    Connection::new(Rc::clone(worker), Rc::clone(&door), peer, cookie, permit);
                tokio::task::spawn_local(connection.serve(socket));
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                count(&worker.shared.counters.accept_errors);
                failing(&door.name, &error);
                return;
            }
        }
    }
}

/// The next connection of a queue, without waiting for one.
fn queued(socket: &ListeningSocket) -> io::Result<(Socket, Option<IpAddr>)> {
    match socket {
        ListeningSocket::Tcp(listener) => {
            let (socket, peer) = listener.accept()?;
            socket.set_nonblocking(true)?;
            Ok((Socket::Tcp(TcpStream::from_std(socket)?), Some(peer.ip())))
        }
        ListeningSocket::Unix(listener) => {
            let (socket, _) = listener.accept()?;
            socket.set_nonblocking(true)?;
            Ok((Socket::Unix(UnixStream::from_std(socket)?), None))
        }
    }
}

/// Waits while `limits.handshakes` are under way. One permit is kept by each accept loop that
/// waits for a connection, so those are not counted.
async fn handshake_permit(
    worker: &Worker,
    handshakes: &Arc<Semaphore>,
) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(handshakes).try_acquire_owned() {
        return Some(permit);
    }
    worker.handshakes_exhausted();
    Arc::clone(handshakes).acquire_owned().await.ok()
}

/// The connection was gone before it could be taken (accept(2), "Error handling").
fn is_of_the_peer(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let peers = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::INVAL,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
        Errno::PERM,
    ];
    Errno::from_io_error(error).is_some_and(|errno| peers.contains(&errno))
}

fn failing(listener: &str, error: &io::Error) {
    event!(
        ERROR,
        message_id::ACCEPT_FAILING,
        baton_listener = listener,
        "listener.{listener}: cannot accept connections for now: {error} (they wait in the queue; \
         compare LimitNOFILE= with limits.clients)"
    );
}
