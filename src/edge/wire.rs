//! One end of a relayed connection: a TCP or Unix socket, with TLS on it or without, and what
//! could not be written yet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{SendFlags, send};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::chunk::{READ_SIZE, Scratch, with_scratch};
use super::tls::{Records, Session};
use crate::certificate::ledger::Ledger;

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

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(match self {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, &mut buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    /// Writes what the socket takes now, without asking the event loop.
    fn try_write_unasked(&self, bytes: &[u8]) -> io::Result<usize> {
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
    fn poll_write_last(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

/// What the socket has not taken yet. Not allocated when empty.
#[derive(Default)]
struct Backlog {
    bytes: Vec<u8>,
    sent: usize,
    /// None of it has been offered to the socket: it goes out with what comes next.
    kept: bool,
}

/// One end of a connection.
pub(super) struct Wire {
    socket: Socket,
    tls: Option<Box<Session>>,
    backlog: Backlog,
    /// Plaintext that a reader with a small buffer (the HTTP parser) has left over.
    leftover: Vec<u8>,
    /// The event loop may not know yet that the socket can be written.
    fresh: bool,
}

impl Wire {
    /// A socket whose bytes are passed as they are.
    pub(super) fn plain(socket: Socket) -> Self {
        Self {
            socket,
            tls: None,
            backlog: Backlog::default(),
            leftover: Vec::new(),
            fresh: true,
        }
    }

    /// A socket that speaks TLS, as the server. [`Self::poll_handshake`] comes first.
    ///
    /// # Errors
    /// When rustls does not accept the configuration.
    pub(super) fn tls(
        socket: Socket,
        config: Arc<ServerConfig>,
        ledger: Arc<Ledger>,
    ) -> Result<Self, rustls::Error> {
        let tls = Some(Box::new(Session::new(config, ledger)?));
        Ok(Self {
            socket,
            tls,
            backlog: Backlog::default(),
            leftover: Vec::new(),
            fresh: false,
        })
    }

    /// Completes the TLS handshake; at once without TLS.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with a [`Broken`](super::tls::Broken) inside when the handshake failed,
    /// [`io::ErrorKind::UnexpectedEof`] when the peer went away, else what the socket reported.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_flush_backlog(cx))?;
            if self.tls.as_ref().is_none_or(|tls| tls.is_established()) {
                return Poll::Ready(Ok(()));
            }
            let n = ready!(with_scratch(|scratch| {
                scratch.plaintext.clear();
                let received = self.poll_receive_tls(cx, scratch);
                self.leftover.extend_from_slice(scratch.plaintext.filled());
                received
            }))?;
            if n == 0 && !self.tls.as_ref().is_some_and(|tls| tls.is_established()) {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Waits for the first bytes behind the handshake. Ready(false): none will come.
    ///
    /// # Errors
    /// As for [`Self::poll_handshake`].
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.leftover.is_empty() {
            ready!(with_scratch(|scratch| {
                scratch.plaintext.clear();
                let received = self.poll_receive(cx, scratch);
                self.leftover.extend_from_slice(scratch.plaintext.filled());
                received
            }))?;
        }
        Poll::Ready(Ok(!self.leftover.is_empty()))
    }

    /// The TLS session; None without TLS.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        self.tls.as_deref_mut()
    }

    /// Goes on without TLS, because the peer does not speak it.
    pub(super) fn drop_tls(&mut self) {
        self.tls = None;
    }

    /// Appends what has arrived to `scratch.plaintext`. Ready(0): nothing more will come.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<io::Result<usize>> {
        if !self.leftover.is_empty() {
            // A parser with a large buffer may have left more than fits at once.
            let n = self.leftover.len().min(scratch.plaintext.spare().len());
            scratch.plaintext.extend(&self.leftover[..n]);
            self.use_leftover(n);
            return Poll::Ready(Ok(n));
        }
        if self.tls.is_none() {
            let n = ready!(self.socket.poll_read(cx, scratch.plaintext.spare()))?;
            scratch.plaintext.advance(n);
            return Poll::Ready(Ok(n));
        }
        let before = scratch.plaintext.filled().len();
        loop {
            let n = ready!(self.poll_receive_tls(cx, scratch))?;
            let new = scratch.plaintext.filled().len() - before;
            if n == 0 || new > 0 || self.tls.as_ref().is_some_and(|tls| tls.peer_closed()) {
                return Poll::Ready(Ok(new));
            }
        }
    }

    /// One read of ciphertext, decrypted to the end of `scratch.plaintext`. Ready(0): the socket
    /// is at its end.
    fn poll_receive_tls(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<io::Result<usize>> {
        let Scratch {
            ciphertext,
            plaintext,
            records,
        } = scratch;
        let Some(tls) = &mut self.tls else {
            return Poll::Ready(Ok(0));
        };
        if tls.peer_closed() {
            return Poll::Ready(Ok(0));
        }
        tls.restore(ciphertext);
        let n = ready!(self.socket.poll_read(cx, ciphertext.spare()))?;
        if n == 0 {
            return Poll::Ready(Ok(0));
        }
        ciphertext.advance(n);
        records.clear();
        let established = tls.is_established();
        let result = tls.receive(ciphertext, plaintext, records);
        if !established && tls.is_established() && tls.is_version_13() {
            // Session tickets. Nobody waits for them, so they need no segment of their own.
            self.backlog.keep(records.filled());
        } else if !records.filled().is_empty() {
            self.backlog.write(&mut self.socket, cx, records.filled())?;
        }
        result.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Poll::Ready(Ok(n))
    }

    /// Takes `bytes` in full: what the socket does not take now waits in the backlog. The caller
    /// bounds the backlog by giving no more until it [is gone](Self::has_backlog).
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        records: &mut Records,
    ) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut self.tls {
            None => {
                let sent = if std::mem::take(&mut self.fresh) {
                    self.socket.try_write_unasked(bytes)?
                } else {
                    0
                };
                self.backlog.write(&mut self.socket, cx, &bytes[sent..])
            }
            Some(tls) => {
                records.clear();
                tls.send(bytes, records)?;
                self.backlog.write(&mut self.socket, cx, records.filled())
            }
        }
    }

    /// As [`Self::send`], for the last bytes before [`Self::poll_end`], which writes them.
    pub(super) fn send_last(&mut self, bytes: &[u8], records: &mut Records) -> io::Result<()> {
        match &mut self.tls {
            None => self.backlog.keep(bytes),
            Some(tls) => {
                records.clear();
                tls.send(bytes, records)?;
                self.backlog.keep(records.filled());
            }
        }
        Ok(())
    }

    /// How many bytes have come and have not been read: ciphertext, where there is TLS.
    pub(super) fn unread_bytes(&self) -> u64 {
        let waiting = match &self.socket {
            Socket::Tcp(socket) => ioctl_fionread(socket),
            Socket::Unix(socket) => ioctl_fionread(socket),
        };
        // On a stream socket it does not fail.
        self.leftover.len() as u64 + waiting.unwrap_or(0)
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.bytes.is_empty() && !self.backlog.kept
    }

    /// Bytes that wait until the socket takes them.
    pub(super) fn backlog_len(&self) -> usize {
        self.backlog.bytes.len() - self.backlog.sent
    }

    pub(super) fn poll_flush_backlog(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.backlog.poll_flush(&mut self.socket, cx)
    }

    /// Ends this direction: close_notify on TLS, then FIN, after what waits has been written.
    pub(super) fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        records: &mut Records,
    ) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            records.clear();
            tls.close(records)?;
            self.backlog.keep(records.filled());
        }
        self.backlog.kept = false;
        let socket = &mut self.socket;
        ready!(
            self.backlog
                .poll_drain(|bytes| socket.poll_write_last(cx, bytes))
        )?;
        self.socket.poll_shutdown(cx)
    }

    /// Takes the first `n` bytes of the leftover away. Not allocated when nothing is left.
    fn use_leftover(&mut self, n: usize) {
        if n == self.leftover.len() {
            self.leftover = Vec::new();
        } else {
            self.leftover.drain(..n);
        }
    }

    /// Puts back what a parser read beyond its own part.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.leftover.splice(0..0, bytes.iter().copied());
    }
}

impl Backlog {
    fn write(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
        mut bytes: &[u8],
    ) -> io::Result<()> {
        if self.kept {
            self.bytes.extend_from_slice(bytes);
            self.kept = false;
            return match self.poll_flush(socket, cx) {
                Poll::Ready(result) => result,
                Poll::Pending => Ok(()),
            };
        }
        while self.bytes.is_empty() && !bytes.is_empty() {
            match socket.poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => bytes = &bytes[n..],
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if !bytes.is_empty() {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Adds `bytes` without writing them: they go out with what comes next.
    fn keep(&mut self, bytes: &[u8]) {
        self.kept |= self.bytes.is_empty() && !bytes.is_empty();
        self.bytes.extend_from_slice(bytes);
    }

    fn poll_flush(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kept {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain(|bytes| socket.poll_write(cx, bytes))
    }

    fn poll_drain(
        &mut self,
        mut poll_write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            match ready!(poll_write(&self.bytes[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        *self = Self::default();
        Poll::Ready(Ok(()))
    }
}

/// For the HTTP part of a connection.
impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.backlog_len() > READ_SIZE {
            // Who makes TLS answer it and takes no answer is not heard further.
            ready!(wire.poll_flush_backlog(cx))?;
        }
        if wire.tls.is_none() && wire.leftover.is_empty() {
            return match &mut wire.socket {
                Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
                Socket::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
            };
        }
        if wire.leftover.is_empty() {
            ready!(with_scratch(|scratch| {
                scratch.plaintext.clear();
                let received = wire.poll_receive(cx, scratch);
                wire.leftover.extend_from_slice(scratch.plaintext.filled());
                received
            }))?;
        }
        let n = wire.leftover.len().min(buffer.remaining());
        buffer.put_slice(&wire.leftover[..n]);
        wire.use_leftover(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        ready!(wire.poll_flush_backlog(cx))?;
        let bytes = &bytes[..bytes.len().min(READ_SIZE)];
        with_scratch(|scratch| wire.send(cx, bytes, &mut scratch.records))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_backlog(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_scratch(|scratch| self.get_mut().poll_end(cx, &mut scratch.records))
    }
}
