//! The relay of one WebSocket, from the 101 to the end of both connections.
//!
//! Bytes go through as they came ([`pass`]). A cursor for each direction knows where frames and
//! messages end, so that a Close of our own can be put between them ([`ending`]). One task serves
//! both directions; while it waits it holds no buffer and no timer.

mod ending;
mod outcome;
mod pass;
mod telling;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

use self::ending::Stage;
pub(super) use self::outcome::{Ending, Outcome};
use super::chunk::{Scratch, with_scratch};
use super::clients::Client;
use super::close::CloseCode;
use super::frame::{Cursor, Sender};
use super::tls::Records;
use super::wire::Wire;

/// How often a relay may move bytes before it lets the others on its thread have a turn.
const TURNS: usize = 16;

/// One end of the relayed connection, with what is known of the bytes that come from it.
struct Half {
    wire: Wire,
    cursor: Cursor,
    /// The beginning of a header or of a Close frame: it is not passed on in part.
    held: Vec<u8>,
    /// What it sends still matters: no Close, violation or end of stream has come from it.
    speaks: bool,
    /// Its end of stream has come.
    eof: bool,
    /// A Close has been sent to it.
    close_sent: bool,
    /// It has left all that was sent to it for longer than `limits.stall_timeout`.
    stalled: bool,
    /// It takes nothing any more: a write failed, or the end of our direction has been sent.
    deaf: bool,
}

impl Half {
    fn new(wire: Wire, sender: Sender, extensions: bool) -> Self {
        Self {
            wire,
            cursor: Cursor::new(sender, extensions),
            held: Vec::new(),
            speaks: true,
            eof: false,
            close_sent: false,
            stalled: false,
            deaf: false,
        }
    }

    /// Nothing of a message is under way from this end.
    fn is_between_messages(&self) -> bool {
        self.cursor.at_message_end() && self.held.is_empty()
    }

    fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8], records: &mut Records) {
        // A failed write says nothing about what can still be read, so only this direction ends.
        if !self.deaf
            && let Err(error) = self.wire.send(cx, bytes, records)
        {
            self.note_failure(&error);
            self.deaf = true;
        }
    }

    fn note_failure(&mut self, error: &io::Error) {
        self.stalled |= error.kind() == io::ErrorKind::TimedOut;
    }

    /// As [`Self::send`], when [`Self::end`] comes next.
    fn send_last(&mut self, bytes: &[u8], records: &mut Records) {
        if !self.deaf && self.wire.send_last(bytes, records).is_err() {
            self.deaf = true;
        }
    }

    /// Everything has been handed to the socket, or it takes nothing any more.
    fn is_flushed(&mut self, cx: &mut Context<'_>) -> bool {
        if self.deaf || !self.wire.has_backlog() {
            return true;
        }
        match self.wire.poll_flush_backlog(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(error)) => {
                self.note_failure(&error);
                self.deaf = true;
                true
            }
        }
    }

    fn stop_hearing(&mut self) {
        self.speaks = false;
        self.held = Vec::new();
    }

    /// Sends the only Close that this end gets. If it has said all it has to say, the end of the
    /// connection follows, and goes out in the same segment.
    fn send_close(&mut self, frame: &[u8], cx: &mut Context<'_>, records: &mut Records) {
        if self.speaks {
            self.send(cx, frame, records);
        } else {
            self.send_last(frame, records);
        }
        self.close_sent = true;
    }

    /// Writes out, ends our direction, and waits for the other's end. True: all done.
    fn end(&mut self, cx: &mut Context<'_>, records: &mut Records) -> bool {
        if !self.deaf {
            match self.wire.poll_end(cx, records) {
                Poll::Pending => return false,
                Poll::Ready(_) => self.deaf = true,
            }
        }
        self.eof
    }
}

/// The relay of one WebSocket. Resolves when both connections have ended.
pub(super) struct Relay {
    client: Half,
    backend: Half,
    stage: Stage,
    /// Exists only while the stage has a deadline.
    timer: Option<Pin<Box<Sleep>>>,
    /// The last whole message came from the client.
    unanswered: bool,
    /// Bytes read from the backend that the client did not get.
    dropped: u64,
    /// The code in the client's Close, once it has sent one.
    client_code: Option<CloseCode>,
    entry: Rc<Client>,
    ending: Ending,
}

impl Relay {
    /// `extensions`: the 101 carried Sec-WebSocket-Extensions.
    pub(super) fn new(client: Wire, backend: Wire, extensions: bool, entry: Rc<Client>) -> Self {
        Self {
            client: Half::new(client, Sender::Client, extensions),
            backend: Half::new(backend, Sender::Backend, extensions),
            stage: Stage::Passing,
            timer: None,
            unanswered: false,
            dropped: 0,
            client_code: None,
            entry,
            ending: Ending::default(),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Ending> {
        if let Some(order) = self.entry.take_order(cx.waker()) {
            self.obey(*order);
        }
        for _ in 0..TURNS {
            let up = self.pass_up(cx, scratch);
            let down = self.pass_down(cx, scratch);
            if up || down {
                continue;
            }
            match self.settle(cx, scratch) {
                Settled::Moved => {}
                Settled::Waiting => return Poll::Pending,
                Settled::Ended => {
                    self.ending.stalled = self.client.stalled;
                    return Poll::Ready(std::mem::take(&mut self.ending));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// True once `at` has passed; else the task is woken then.
    fn is_past(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.deadline() != at {
                    timer.as_mut().reset(at);
                }
                timer
            }
            None => self.timer.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for Relay {
    type Output = Ending;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let relay = self.get_mut();
        with_scratch(|scratch| relay.turn(cx, scratch))
    }
}

/// What became of a look at the stage when no bytes moved.
enum Settled {
    /// Something changed: look again.
    Moved,
    /// Nothing to do until something arrives or a deadline passes.
    Waiting,
    /// Both connections have ended.
    Ended,
}
