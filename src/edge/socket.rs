//! A connected stream socket, whichever its family.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected stream socket.
#[derive(Debug)]
pub(super) enum Socket {
    /// Over IPv4 or IPv6.
    Tcp(TcpStream),
    /// On this host.
    Unix(UnixStream),
}

impl Socket {
    /// Resolves when the peer ends the connection before it has sent anything.
    pub(super) async fn ended(&mut self) {
        let mut byte = [0];
        match std::future::poll_fn(|cx| self.poll_read(cx, &mut byte)).await {
            Ok(0) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(self.poll_read_buf(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(super) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }

    /// How many bytes have come and have not been read.
    pub(super) fn unread_bytes(&self) -> u64 {
        let waiting = match self {
            Self::Tcp(socket) => ioctl_fionread(socket),
            Self::Unix(socket) => ioctl_fionread(socket),
        };
        // On a stream socket it does not fail.
        waiting.unwrap_or(0)
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    /// Writes what the socket takes now, without asking the event loop.
    pub(super) fn try_write_unasked(&self, bytes: &[u8]) -> io::Result<usize> {
        let sent = match self {
            Self::Tcp(socket) => send(socket, bytes, SendFlags::NOSIGNAL),
            Self::Unix(socket) => send(socket, bytes, SendFlags::NOSIGNAL),
        };
        match sent {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            sent => Ok(sent?),
        }
    }

    /// As [`Self::poll_write`], for what the end of the direction follows at once: the kernel
    /// keeps it and sends both in one segment (`MSG_MORE`, send(2)).
    pub(super) fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self::Tcp(socket) = self else {
            return self.poll_write(cx, bytes);
        };
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        loop {
            ready!(socket.poll_write_ready(cx))?;
            let sent = socket.try_io(Interest::WRITABLE, || Ok(send(&*socket, bytes, flags)?));
            if !matches!(&sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                return Poll::Ready(sent);
            }
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
