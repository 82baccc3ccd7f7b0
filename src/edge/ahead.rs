//! The body of a request, of which something may be read before there is a backend to send it to.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What is read of one body while its request is held, in bytes, to the end of the read that goes
/// past it.
const AHEAD_MAX: u64 = 16 << 10;

/// A request's body.
pub(super) struct Ahead {
    read: VecDeque<Frame<Bytes>>,
    /// Bytes in it.
    size: u64,
    rest: Incoming,
}

impl Ahead {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            read: VecDeque::new(),
            size: 0,
            rest: body,
        }
    }

    /// Resolves when the client is found to be gone. hyper watches for the end of a connection
    /// only once it has read the body of the request, so that is read as far as memory allows.
    pub(super) async fn broken(&mut self) {
        while self.size < AHEAD_MAX {
            match self.rest.frame().await {
                Some(Ok(frame)) => {
                    self.size += frame.data_ref().map_or(0, |data| data.len() as u64);
                    self.read.push_back(frame);
                }
                Some(Err(_)) => return,
                None => break,
            }
        }
        std::future::pending().await
    }
}

impl Body for Ahead {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = self.get_mut();
        if let Some(frame) = body.read.pop_front() {
            body.size -= frame.data_ref().map_or(0, |data| data.len() as u64);
            return Poll::Ready(Some(Ok(frame)));
        }
        Pin::new(&mut body.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.rest.size_hint();
        // In this order, because the lower bound must never be the greater one.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + self.size);
        }
        hint.set_lower(hint.lower() + self.size);
        hint
    }
}
