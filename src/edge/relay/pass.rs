//! Bytes on their way through. Reading from one end stops while the other has a backlog, which
//! is the back-pressure; a backlog is at most what one read brought.

use std::task::{Context, Poll};

use tokio::time::Instant;

use super::super::chunk::Scratch;
use super::super::frame::{Met, Scan, Sender};
use super::ending::Stage;
use super::telling::Boundary;
use super::{Half, Relay};

/// What may wait for a client before no more is read from it, in bytes. What one read from the
/// backend brings is far less.
const OWN_BACKLOG_MAX: usize = 256 * 1024;

/// What is read from a backend and dropped while a client's reply is awaited, in bytes. Then it
/// meets the back-pressure again that the client would have made; the rest is read, for a moment,
/// when both connections end.
const DROPPED_MAX: u64 = 1 << 20;

impl Relay {
    /// Client → backend. True: something moved.
    pub(super) fn pass_up(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let flushed = self.backend.is_flushed(cx);
        // A peer that makes TLS answer it (key updates) and takes no answer is not heard further.
        let answers_wait = self.client.wire.backlog_len() > OWN_BACKLOG_MAX;
        if self.client.eof || answers_wait || (self.client.speaks && !flushed) {
            return false;
        }
        match self.client.receive(cx, scratch) {
            Poll::Pending => return false,
            Poll::Ready(0) => {
                self.client.eof = true;
                self.client_ended();
                return true;
            }
            Poll::Ready(n) => self.entry.traffic().bytes_up.add(n as u64),
        }
        if !self.client.speaks {
            return true;
        }
        let Scratch {
            plaintext, records, ..
        } = scratch;
        let bytes = plaintext.filled();
        let scan = self.client.cursor.advance(bytes);
        self.entry
            .traffic()
            .messages_up
            .add(u64::from(scan.messages));
        self.note_activity(Sender::Client, scan.messages > 0);
        if !self.backend.close_sent {
            self.backend.send(cx, &bytes[..scan.pass], records);
        }
        let rest = &bytes[scan.pass..];
        match scan.met {
            None => self.client.hold(rest),
            Some(Met::Close { len, code }) => {
                self.client_closed(&rest[..len], code, cx, records);
            }
            Some(Met::Violation(violation)) => self.client_violated(violation, cx, records),
        }
        true
    }

    /// Backend → client. True: something moved.
    pub(super) fn pass_down(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        // After its Close the client gets nothing more; what is only counted needs no room.
        let counts_only = !self.backend.speaks || self.client.close_sent;
        let flushed = self.client.is_flushed(cx);
        let enough = matches!(self.stage, Stage::Told(_)) && self.dropped > DROPPED_MAX;
        if self.backend.eof || enough || !(flushed || counts_only) {
            return false;
        }
        match self.backend.receive(cx, scratch) {
            Poll::Pending => return false,
            Poll::Ready(0) => {
                self.backend.eof = true;
                self.backend_ended(cx, scratch);
                return true;
            }
            Poll::Ready(n) => {
                self.entry.traffic().bytes_down.add(n as u64);
                if counts_only {
                    self.dropped += n as u64;
                }
                if let Stage::Telling(telling) = &mut self.stage {
                    telling.pay(n as u64);
                }
            }
        }
        if !self.backend.speaks {
            return true;
        }
        let Scratch {
            plaintext, records, ..
        } = scratch;
        let bytes = plaintext.filled();
        let scan = self.backend.cursor.advance(bytes);
        self.note_activity(Sender::Backend, scan.messages > 0);
        let rest = &bytes[scan.pass..];
        if counts_only {
            self.ending.discarded += u64::from(scan.messages);
        } else {
            self.entry
                .traffic()
                .messages_down
                .add(u64::from(scan.messages));
            match self.cut(&scan) {
                None => self.client.send(cx, &bytes[..scan.pass], records),
                Some(end) => {
                    self.client.send(cx, &bytes[..end], records);
                    self.tell(cx, records);
                }
            }
        }
        match scan.met {
            None => self.backend.hold(rest),
            Some(Met::Close { len, code }) => {
                self.backend_closed(&rest[..len], code, cx, records);
            }
            Some(Met::Violation(violation)) => self.backend_violated(violation, cx, records),
        }
        true
    }

    /// Where in these bytes a Close that cannot wait any longer goes, if it can.
    fn cut(&mut self, scan: &Scan) -> Option<usize> {
        let now = Instant::now();
        let Stage::Telling(telling) = &mut self.stage else {
            return None;
        };
        // At the very end the socket may be dry: then `settle` decides, which knows of quiet.
        match telling.boundary(now) {
            Boundary::Quiet => None,
            Boundary::Message if telling.owes(now, || self.backend.wire.unread_bytes()) => None,
            Boundary::Message => scan.message_end,
            Boundary::Frame => scan.frame_end,
        }
    }
}

impl Half {
    /// Reads behind what was held back. Ready(0): the end, in order or not.
    fn receive(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<usize> {
        scratch.plaintext.clear();
        scratch.plaintext.extend(&self.held);
        self.wire.poll_receive(cx, scratch).map(|result| {
            result.unwrap_or_else(|error| {
                self.note_failure(&error);
                0
            })
        })
    }

    fn hold(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            // Frees it: an idle connection holds nothing.
            self.held = Vec::new();
        } else {
            self.held.clear();
            self.held.extend_from_slice(rest);
        }
    }
}
