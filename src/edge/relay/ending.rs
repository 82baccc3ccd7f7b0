//! How a relay ends. Whoever closes first, nobody is left without a Close frame where one can
//! be placed, and no Close is placed inside a frame:
//!
//! 1. A Close of ours waits for a quiet moment, then for the end of a message behind all that had
//!    come from the backend by then, at last for the end of a frame.
//! 2. It is written, and what the backend sends from then on is counted and dropped.
//! 3. What the client sends is passed on until its Close arrives, or `close_timeout` is over.
//! 4. The backend gets its Close.
//! 5. Our directions are ended, and both sockets read to their ends: closing a socket with
//!    unread bytes would send a reset, which can destroy the Close on its way.

use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;

use super::super::chunk::Scratch;
use super::super::clients::Order;
use super::super::close::{CloseCode, CloseFrame, masking_key};
use super::super::frame::{Sender, Violation};
use super::super::tls::Records;
use super::outcome::Outcome;
use super::telling::{Boundary, Telling};
use super::{Relay, Settled};

/// How long both ends may take to end their connections once all is said.
const LINGER: Duration = Duration::from_secs(2);

/// Where a relay stands.
pub(super) enum Stage {
    /// Bytes pass both ways.
    Passing,
    /// A Close of ours waits for its place.
    Telling(Box<Telling>),
    /// The backend is gone, and what that means is being asked.
    Bereft,
    /// A Close of ours has gone to the client, whose reply is awaited until then.
    Told(Instant),
    /// A Close has been passed on; the other side's is awaited until then.
    Closing(Instant),
    /// Both connections are being ended, until then.
    Finishing(Instant),
}

impl Relay {
    /// Begins an announcement, or hurries one that is under way.
    pub(super) fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match &mut self.stage {
            Stage::Passing | Stage::Bereft => {
                self.stage =
                    Stage::Telling(Box::new(Telling::announce(order, self.unanswered, now)));
            }
            Stage::Telling(telling) => telling.hurry(&order, now),
            Stage::Told(until) | Stage::Closing(until) | Stage::Finishing(until) => {
                *until = order.deadline.min(*until);
            }
        }
    }

    /// Something moved. Control frames and beginnings of messages answer nothing.
    pub(super) fn note_activity(&mut self, from: Sender, whole_message: bool) {
        if whole_message {
            self.unanswered = from == Sender::Client;
        }
        if let Stage::Telling(telling) = &mut self.stage {
            telling.wait_for_quiet(self.unanswered, Instant::now());
        }
    }

    /// Writes the Close that was waiting. What was sent before it ends between frames.
    pub(super) fn tell(&mut self, cx: &mut Context<'_>, records: &mut Records) {
        let Stage::Telling(telling) = &self.stage else {
            return;
        };
        let reply_until = Instant::now() + telling.close_timeout();
        let (frame, announces) = (*telling.frame(), telling.announces());
        self.close_client(frame.as_bytes(), cx, records);
        if announces {
            // So it stands until its answer is here.
            self.ending.outcome = Some(Outcome::Gone);
        }
        self.stage = if self.client.speaks {
            Stage::Told(reply_until)
        } else {
            Stage::Finishing(Instant::now() + LINGER)
        };
    }

    /// A whole Close frame from the client.
    pub(super) fn client_closed(
        &mut self,
        frame: &[u8],
        code: Option<CloseCode>,
        cx: &mut Context<'_>,
        records: &mut Records,
    ) {
        self.client.stop_hearing();
        self.client_code = code;
        self.entry.service().tally().farewells.received(code);
        match self.stage {
            Stage::Told(_) => {
                if self.ending.outcome.is_some() {
                    self.ending.outcome = Some(Outcome::Clean);
                }
                self.finish(Some(CloseCode::GOING_AWAY), records);
            }
            Stage::Bereft => {
                self.answer_for_backend(cx, records);
                self.finish(None, records);
            }
            _ => {
                self.left_first();
                if !self.backend.close_sent {
                    self.backend.send_close(frame, cx, records);
                }
                self.await_other_close(self.backend.speaks);
            }
        }
    }

    /// A whole Close frame from the backend.
    pub(super) fn backend_closed(
        &mut self,
        frame: &[u8],
        code: Option<CloseCode>,
        cx: &mut Context<'_>,
        records: &mut Records,
    ) {
        self.backend.stop_hearing();
        if self.client.close_sent {
            let code = code.unwrap_or(CloseCode::GOING_AWAY);
            self.close_backend(code, cx, records);
            return;
        }
        self.left_first();
        self.close_client(frame, cx, records);
        self.await_other_close(self.client.speaks);
    }

    /// One side has closed by itself while an announcement was waiting for its place.
    fn left_first(&mut self) {
        if self.is_announcing() {
            self.ending.outcome = Some(Outcome::Left);
        }
    }

    fn is_announcing(&self) -> bool {
        matches!(&self.stage, Stage::Telling(telling) if telling.announces())
    }

    fn await_other_close(&mut self, other_speaks: bool) {
        self.stage = if other_speaks {
            Stage::Closing(Instant::now() + self.entry.close_timeout())
        } else {
            Stage::Finishing(Instant::now() + LINGER)
        };
    }

    /// Everything up to the violation has been passed on, so both directions stand between
    /// frames as far as the client is the sender.
    pub(super) fn client_violated(
        &mut self,
        violation: Violation,
        cx: &mut Context<'_>,
        records: &mut Records,
    ) {
        self.client.stop_hearing();
        self.ending.client_violation = Some(violation);
        self.close_backend(CloseCode::INTERNAL_ERROR, cx, records);
        if self.client.close_sent {
            self.finish(None, records);
        } else {
            self.left_first();
            self.tell_at_next_frame(CloseFrame::to_client(CloseCode::PROTOCOL_ERROR, ""));
        }
    }

    pub(super) fn backend_violated(
        &mut self,
        violation: Violation,
        cx: &mut Context<'_>,
        records: &mut Records,
    ) {
        self.backend.stop_hearing();
        self.ending.backend_violation = Some(violation);
        self.close_backend(CloseCode::PROTOCOL_ERROR, cx, records);
        if !self.client.close_sent {
            self.left_first();
            let code = self.entry.lost_code();
            self.tell_at_next_frame(CloseFrame::to_client(
                code,
                "the backend broke the protocol",
            ));
        }
    }

    /// The backend's end of stream, with or without its Close before.
    pub(super) fn backend_ended(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) {
        if !self.backend.speaks {
            return;
        }
        let between_frames = self.backend.cursor.at_frame_end();
        self.backend.stop_hearing();
        if self.client.close_sent {
            return;
        }
        self.ending.backend_lost = !self.backend.close_sent;
        if !between_frames {
            self.ending.torn = true;
            self.left_first();
            self.finish(None, &mut scratch.records);
        } else if matches!(self.stage, Stage::Telling(_)) {
            self.tell(cx, &mut scratch.records);
        } else if self.backend.close_sent {
            self.answer_for_backend(cx, &mut scratch.records);
            self.finish(None, &mut scratch.records);
        } else if let Some(frame) = self.entry.condole() {
            self.tell_at_next_frame(frame);
        } else {
            self.stage = Stage::Bereft;
        }
    }

    /// Answers a client's Close that the backend has left without an answer.
    fn answer_for_backend(&mut self, cx: &mut Context<'_>, records: &mut Records) {
        if self.client.close_sent || !self.backend.cursor.at_frame_end() {
            return;
        }
        let code = self.client_code.unwrap_or(CloseCode::GOING_AWAY);
        let frame = CloseFrame::to_client(code, "");
        self.close_client(frame.as_bytes(), cx, records);
    }

    /// The client's end of stream, with or without its Close before.
    pub(super) fn client_ended(&mut self) {
        if !self.client.speaks {
            return;
        }
        self.client.stop_hearing();
        self.left_first();
        // Without a Close, as it came: the backend sees what it would see without batond.
        self.stage = Stage::Finishing(Instant::now() + LINGER);
    }

    /// A Close of ours that does not wait for quiet. It is not an announcement.
    fn tell_at_next_frame(&mut self, frame: CloseFrame) {
        let telling = Telling::at_next_frame(frame, self.entry.close_timeout(), Instant::now());
        self.stage = Stage::Telling(Box::new(telling));
    }

    /// Sends the client its only Close: a whole frame.
    fn close_client(&mut self, frame: &[u8], cx: &mut Context<'_>, records: &mut Records) {
        self.entry.service().tally().farewells.sent(frame);
        self.client.send_close(frame, cx, records);
    }

    /// Sends the backend a Close of ours, unless it has had one.
    fn close_backend(&mut self, code: CloseCode, cx: &mut Context<'_>, records: &mut Records) {
        if let Some(frame) = self.close_for_backend(code) {
            self.backend.send(cx, frame.as_bytes(), records);
        }
    }

    /// The Close that the backend gets from us, if it is to get one.
    fn close_for_backend(&mut self, code: CloseCode) -> Option<CloseFrame> {
        // Inside a frame from the client nothing can be put.
        if self.backend.close_sent || !self.client.cursor.at_frame_end() {
            return None;
        }
        self.backend.close_sent = true;
        Some(CloseFrame::to_backend(code, "", masking_key()))
    }

    fn finish(&mut self, code: Option<CloseCode>, records: &mut Records) {
        // What comes now is read and dropped, even if the backend takes nothing: left unread it
        // would reset the connection.
        self.client.stop_hearing();
        if let Some(frame) = code.and_then(|code| self.close_for_backend(code)) {
            self.backend.send_last(frame.as_bytes(), records);
        }
        self.stage = Stage::Finishing(Instant::now() + LINGER);
    }

    /// No message is under way in either direction, neither in a backlog nor in a socket: the
    /// kernel is asked, since in a crowd the event loop may tell of it only in its next round.
    fn is_between_messages(&self) -> bool {
        [&self.client, &self.backend].into_iter().all(|half| {
            half.is_between_messages() && !half.wire.has_backlog() && half.wire.unread_bytes() == 0
        })
    }

    /// Nothing moves: what does the stage ask for?
    pub(super) fn settle(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Settled {
        match &self.stage {
            Stage::Passing => Settled::Waiting,
            Stage::Telling(_) => self.settle_telling(cx, scratch),
            Stage::Bereft => match self.entry.take_condolence() {
                None => Settled::Waiting,
                Some(frame) => {
                    self.tell_at_next_frame(*frame);
                    Settled::Moved
                }
            },
            Stage::Told(until) | Stage::Closing(until) => {
                let until = *until;
                if !self.is_past(until, cx) {
                    return Settled::Waiting;
                }
                if self.ending.outcome.is_some() {
                    self.ending.outcome = Some(Outcome::TimedOut);
                }
                if self.backend.close_sent {
                    self.answer_for_backend(cx, &mut scratch.records);
                }
                self.finish(Some(CloseCode::GOING_AWAY), &mut scratch.records);
                Settled::Moved
            }
            Stage::Finishing(until) => {
                let until = *until;
                let records = &mut scratch.records;
                let client_done = self.client.end(cx, records);
                // The backend is the server here and ends first (RFC 6455 §7.1.1), unless it is
                // left with a client that was gone without a Close.
                let backend_done = self.backend.end(cx, records);
                if (client_done && backend_done) || self.is_past(until, cx) {
                    return Settled::Ended;
                }
                Settled::Waiting
            }
        }
    }

    fn settle_telling(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Settled {
        let now = Instant::now();
        let quiet = matches!(&self.stage, Stage::Telling(telling) if telling.is_quiet(now))
            && self.is_between_messages();
        let Stage::Telling(telling) = &mut self.stage else {
            return Settled::Waiting;
        };
        let place = match telling.boundary(now) {
            // Nothing more comes that would be worth waiting for.
            _ if !self.backend.speaks => self.backend.cursor.at_frame_end(),
            Boundary::Quiet => quiet,
            Boundary::Message => {
                !telling.owes(now, || self.backend.wire.unread_bytes())
                    && self.backend.cursor.at_message_end()
            }
            Boundary::Frame => self.backend.cursor.at_frame_end(),
        };
        if place {
            self.tell(cx, &mut scratch.records);
            return Settled::Moved;
        }
        let Some(next) = telling.next(now) else {
            // Inside a frame that does not end: cut.
            if self.is_announcing() {
                self.ending.outcome = Some(Outcome::Cut);
            }
            self.finish(Some(CloseCode::GOING_AWAY), &mut scratch.records);
            return Settled::Moved;
        };
        if self.is_past(next, cx) {
            Settled::Moved
        } else {
            Settled::Waiting
        }
    }
}
