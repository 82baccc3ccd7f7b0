//! A TCP connection to a backend. On the same host it stands when connect(2) returns, although that
//! says "in progress": then the request goes out at once, without a round of the event loop.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpStream, lookup_host};

use super::acceptor::KEEPALIVE;

/// Connects to `address` (`host:port`): to the first of its addresses that takes the connection.
///
/// # Errors
/// The name is not known, or what the last address answered (connect(2)).
pub(super) async fn dial(address: &str) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in lookup_host(address).await? {
        match dial_one(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial_one(address: SocketAddr) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // A message that is ready goes out now, not when the last one was acknowledged.
    socket.set_tcp_nodelay(true)?;
    // A backend whose host has vanished is found out, as a client is.
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    let address = SockAddr::from(address);
    match socket.connect(&address) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => return Err(error),
        _ => {}
    }
    let stands = socket.peer_addr().is_ok();
    let stream = TcpStream::from_std(socket.into())?;
    if !stands {
        stream.writable().await?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
    }
    Ok(stream)
}
