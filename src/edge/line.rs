//! A connection to a backend until it is a WebSocket, or for as long as it is HTTP. A request for a
//! WebSocket may be [sent](Line::ask) before hyper gets it: then hyper, which writes it again, is
//! not heard, and reads the answer from its beginning.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::{Answer, LENGTH_MAX, Look, is_worth_a_look};
use super::wire::Wire;

pub(super) struct Line {
    wire: Wire,
    stage: Stage,
    /// What has come of the answer before hyper reads.
    heard: Vec<u8>,
    /// hyper's, if it has read too early.
    reader: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been sent.
    Fresh,
    /// The request is on its way. hyper, which is not heard, has not written it yet: what is there
    /// to read would be an answer to no question.
    Asked,
    /// It has.
    Repeated,
}

/// What came of a request for a WebSocket.
pub(super) enum Reply {
    Switch(Switch),
    /// The connection has ended, and nothing had come before.
    Silence,
    /// hyper finds out what the answer is.
    Other,
}

/// A backend has switched to WebSocket.
pub(super) struct Switch {
    /// What the client is answered.
    pub(super) answer: Vec<u8>,
    /// The answer carries Sec-WebSocket-Extensions.
    pub(super) extensions: bool,
}

impl Line {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            stage: Stage::Fresh,
            heard: Vec::new(),
            reader: None,
        }
    }

    /// Sends a request for a WebSocket, and awaits the answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Reply {
        self.stage = Stage::Asked;
        let Self { wire, heard, .. } = self;
        // Why it cannot be sent shows when the answer is read.
        let _ = poll_fn(|cx| Poll::Ready(wire.send_alone(cx, request))).await;
        loop {
            let before = heard.len();
            let more = poll_fn(|cx| {
                let _ = wire.poll_flush_backlog(cx);
                wire.poll_receive_into(cx, heard)
            });
            match more.await {
                Ok(n) if n > 0 => {}
                _ if before == 0 => return Reply::Silence,
                _ => return Reply::Other,
            }
            if !is_worth_a_look(heard, before, LENGTH_MAX) {
                continue;
            }
            match Answer::look(heard) {
                Look::Partial => {}
                Look::Other => return Reply::Other,
                Look::Whole(answer, length) => {
                    let switch = Switch {
                        extensions: answer.has_extensions(),
                        answer: answer.for_client(),
                    };
                    wire.unread(&heard[length..]);
                    self.heard = Vec::new();
                    return Reply::Switch(switch);
                }
            }
        }
    }

    /// The connection without what hyper has read of it.
    pub(super) fn into_wire(self) -> Wire {
        self.wire
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        if line.stage == Stage::Asked {
            line.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        line.wire.unread(&std::mem::take(&mut line.heard));
        Pin::new(&mut line.wire).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        if line.stage == Stage::Fresh {
            return Pin::new(&mut line.wire).poll_write(cx, bytes);
        }
        // It has no body, so this is its header.
        line.stage = Stage::Repeated;
        if let Some(reader) = line.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
