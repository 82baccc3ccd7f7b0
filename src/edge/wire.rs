//! One end of a relayed connection: a socket, with TLS on it or without, and what could not be
//! written yet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::backlog::Backlog;
use super::chunk::{READ_SIZE, Scratch, with_scratch};
use super::socket::Socket;
use super::tls::{Records, Session};
use crate::certificate::ledger::Ledger;
use crate::certificate::resolver::Resolver;

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
        resolver: Arc<Resolver>,
        ledger: Arc<Ledger>,
    ) -> Result<Self, rustls::Error> {
        let tls = Some(Box::new(Session::new(config, resolver, ledger)?));
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
            if self.is_established() {
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
        ready!(self.poll_fill(cx))?;
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

    /// Appends what has arrived to `bytes`. Ready(0): nothing more will come.
    pub(super) fn poll_receive_into(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        if self.backlog_len() > READ_SIZE {
            // Who makes TLS answer it and takes no answer is not heard further.
            ready!(self.poll_flush_backlog(cx))?;
        }
        with_scratch(|scratch| {
            scratch.plaintext.clear();
            let received = self.poll_receive(cx, scratch);
            bytes.extend_from_slice(scratch.plaintext.filled());
            received
        })
    }

    /// Sees to it that there is something to read before the socket. Ready(0): there will not be.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.leftover.is_empty() {
            let mut bytes = Vec::new();
            let received = self.poll_receive_into(cx, &mut bytes);
            self.leftover = bytes;
            ready!(received)?;
        }
        Poll::Ready(Ok(self.leftover.len()))
    }

    /// Resolves when nothing more will come. What comes before is kept; from `READ_SIZE` on nothing
    /// more is read, so that it does not show any more.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.leftover.len() < READ_SIZE {
            let mut bytes = std::mem::take(&mut self.leftover);
            let received = self.poll_receive_into(cx, &mut bytes);
            self.leftover = bytes;
            match ready!(received) {
                Ok(n) if n > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// The TLS handshake is done, or there is none.
    pub(super) fn is_established(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_established())
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

    /// As [`Self::send`], for who has no buffers of the thread at hand.
    pub(super) fn send_alone(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        with_scratch(|scratch| self.send(cx, bytes, &mut scratch.records))
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
        self.leftover.len() as u64 + self.socket.unread_bytes()
    }

    pub(super) fn has_backlog(&self) -> bool {
        self.backlog.is_due()
    }

    /// Bytes that wait until the socket takes them.
    pub(super) fn backlog_len(&self) -> usize {
        self.backlog.len()
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
        ready!(self.backlog.poll_flush_last(&mut self.socket, cx))?;
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

/// For the HTTP part of a connection.
impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.tls.is_none() && wire.leftover.is_empty() {
            return wire.socket.poll_read_buf(cx, buffer);
        }
        ready!(wire.poll_fill(cx))?;
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
