//! What a socket has not taken yet.

use std::io;
use std::task::{Context, Poll, ready};

use super::socket::Socket;

/// What the socket has not taken yet. Not allocated when empty.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    sent: usize,
    /// None of it has been offered to the socket: it goes out with what comes next.
    kept: bool,
}

impl Backlog {
    /// Takes `bytes` in full, behind what waits already.
    pub(super) fn write(
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
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.kept |= self.bytes.is_empty() && !bytes.is_empty();
        self.bytes.extend_from_slice(bytes);
    }

    /// Something waits for room in the socket.
    pub(super) fn is_due(&self) -> bool {
        !self.bytes.is_empty() && !self.kept
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn poll_flush(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.kept {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain(|bytes| socket.poll_write(cx, bytes))
    }

    /// Writes all that waits, also what is kept, when the end of the direction follows.
    pub(super) fn poll_flush_last(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.kept = false;
        self.poll_drain(|bytes| socket.poll_write_last(cx, bytes))
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
