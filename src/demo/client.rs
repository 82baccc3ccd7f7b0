//! One client: it connects, has its messages echoed, and comes back when it is told to.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::connection::Connection;
use super::crowd::{Change, Member};

/// The code for a service that comes back (RFC 6455 §7.4, IANA registry).
pub const SERVICE_RESTART: u16 = 1012;

/// Characters of each message, at least.
const LENGTH: usize = 64;

/// What happened to one client.
#[derive(Debug, Default)]
pub struct Story {
    /// Its connections, in order.
    pub visits: Vec<Visit>,
    /// Why the last attempt to connect failed, if it did.
    pub failure: Option<String>,
}

/// One connection of a client.
#[derive(Debug)]
pub struct Visit {
    /// When the first echo was there: from then on it works.
    pub first_echo: Option<Instant>,
    /// Messages sent.
    pub sent: u64,
    /// Messages that came back as they were sent, in order.
    pub echoed: u64,
    /// Messages that came back changed, or unasked for.
    pub wrong: u64,
    /// Messages without an echo that were sent before the end was in sight.
    pub unanswered: u64,
    /// Messages without an echo, but the server's Close was there already when they had been
    /// sent: the two have crossed, and nobody could have answered.
    pub crossed: u64,
    /// How it ended.
    pub end: End,
}

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// The server closed.
    Told {
        /// Its close code.
        code: u16,
        /// Its reason.
        reason: String,
        /// When the Close was read.
        at: Instant,
        /// When the connection had ended.
        ended: Instant,
        /// The reply went out, and the server ended TLS in order: what a browser calls
        /// `wasClean`.
        clean: bool,
    },
    /// The client closed.
    Left,
    /// The connection ended without a Close: what a browser reports as 1006.
    Cut {
        /// When.
        at: Instant,
        /// What the client saw.
        why: String,
    },
}

/// The life of a client, until the crowd is dismissed or it cannot go on.
pub(super) async fn live(mut member: Member) -> Story {
    let mut story = Story::default();
    loop {
        let connection = match member.connect().await {
            Some(Ok(connection)) => connection,
            Some(Err(why)) => {
                story.failure = Some(why);
                member.report(Change::Failed);
                return story;
            }
            None => return story,
        };
        let visit = Session::new(connection, &member).run(&mut member).await;
        let next = visit.way_back(&member);
        story.visits.push(visit);
        let Some(at) = next else {
            return story;
        };
        tokio::select! {
            () = sleep_until(at) => {}
            () = member.dismissed() => return story,
        }
    }
}

impl Visit {
    /// When to come back, if this is how it ended.
    fn way_back(&self, member: &Member) -> Option<Instant> {
        match &self.end {
            End::Told {
                code: SERVICE_RESTART,
                reason,
                at,
                ..
            } => Some(*at + retry_delay(reason).unwrap_or_else(|| own_delay(member.number))),
            _ => None,
        }
    }
}

/// What `service restart; retry in 2.4s` asks for.
pub fn retry_delay(reason: &str) -> Option<Duration> {
    let (_, rest) = reason.split_once("retry in ")?;
    let (seconds, _) = rest.split_once('s')?;
    Duration::try_from_secs_f64(seconds.parse().ok()?).ok()
}

/// 1 to 5 seconds, spread evenly over the clients: every one is a golden-ratio step further.
fn own_delay(number: usize) -> Duration {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    Duration::from_secs_f64(1.0 + 4.0 * (number as f64 * GOLDEN).fract())
}

/// A message whose echo has not come yet.
struct Outstanding {
    text: String,
    crossed: bool,
}

/// A connection while it lasts.
struct Session {
    connection: Connection,
    number: usize,
    ticks: Interval,
    outstanding: VecDeque<Outstanding>,
    /// Set once it is leaving: then it waits no longer for echoes.
    leave_by: Option<Instant>,
    visit: Visit,
}

impl Session {
    fn new(connection: Connection, member: &Member) -> Self {
        let mut ticks = interval_at(Instant::now(), member.plan.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            connection,
            number: member.number,
            ticks,
            outstanding: VecDeque::new(),
            leave_by: None,
            visit: Visit {
                first_echo: None,
                sent: 0,
                echoed: 0,
                wrong: 0,
                unanswered: 0,
                crossed: 0,
                end: End::Left,
            },
        }
    }

    async fn run(mut self, member: &mut Member) -> Visit {
        self.visit.end = loop {
            let patience = member.plan.patience;
            if self.leave_by.is_some() && self.outstanding.is_empty() {
                break self.leave(patience).await;
            }
            tokio::select! {
                // What has arrived comes first: a client that knows of a Close sends no more.
                biased;
                message = self.connection.socket.next() => match message {
                    Some(Ok(Message::Close(frame))) => {
                        let at = Instant::now();
                        member.report(Change::Told);
                        break self.say_goodbye(at, frame, patience).await;
                    }
                    Some(Ok(message)) => self.receive(&message, member),
                    Some(Err(error)) => break cut(&error.to_string()),
                    None => break cut("the connection ended without a Close"),
                },
                _ = self.ticks.tick(), if self.leave_by.is_none() => {
                    if let Err(error) = self.send().await {
                        break cut(&error.to_string());
                    }
                }
                () = member.dismissed(), if self.leave_by.is_none() => {
                    self.leave_by = Some(Instant::now() + patience);
                }
                () = due(self.leave_by) => break self.leave(patience).await,
            }
        };
        for message in &self.outstanding {
            match message.crossed {
                true => self.visit.crossed += 1,
                false => self.visit.unanswered += 1,
            }
        }
        member.report(match self.visit.end {
            End::Cut { .. } => Change::Cut,
            End::Told { .. } | End::Left => Change::Ended,
        });
        self.visit
    }

    async fn send(&mut self) -> Result<(), tungstenite::Error> {
        let head = format!("client {} message {} ", self.number, self.visit.sent);
        let text = format!("{head:.<LENGTH$}");
        self.connection.socket.send(Message::text(&*text)).await?;
        self.visit.sent += 1;
        // Otherwise what waits may be the echo of an earlier message.
        let only_a_close_can_wait = self.outstanding.is_empty();
        self.outstanding.push_back(Outstanding {
            text,
            crossed: only_a_close_can_wait && self.connection.something_waits(),
        });
        Ok(())
    }

    fn receive(&mut self, message: &Message, member: &Member) {
        let Message::Text(text) = message else { return };
        match self.outstanding.pop_front() {
            Some(expected) if expected.text == text.as_str() => {
                self.visit.echoed += 1;
                member.count_echo();
                if self.visit.first_echo.is_none() {
                    self.visit.first_echo = Some(Instant::now());
                    member.report(Change::Works);
                }
            }
            expected => {
                self.visit.wrong += 1;
                self.outstanding.extend(expected);
            }
        }
    }

    /// After the server's Close: the reply goes out with the next read, and the server ends the
    /// connection (RFC 6455 §7.1.1).
    async fn say_goodbye(
        &mut self,
        at: Instant,
        frame: Option<CloseFrame>,
        patience: Duration,
    ) -> End {
        let end = timeout(patience, self.connection.socket.next()).await;
        let clean = matches!(end, Ok(None)) && self.connection.ended_in_order();
        let (code, reason) = match frame {
            Some(frame) => (frame.code.into(), frame.reason.to_string()),
            // What a browser reports for a Close without a code (RFC 6455 §7.1.5).
            None => (1005, String::new()),
        };
        End::Told {
            code,
            reason,
            at,
            ended: Instant::now(),
            clean,
        }
    }

    async fn leave(&mut self, patience: Duration) -> End {
        let goodbye = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        let left = timeout(patience, async {
            self.connection.socket.close(Some(goodbye)).await?;
            while let Some(message) = self.connection.socket.next().await {
                message?;
            }
            Ok::<_, tungstenite::Error>(())
        });
        match left.await {
            Ok(Ok(())) => End::Left,
            Ok(Err(error)) => cut(&error.to_string()),
            Err(_) => cut("the server does not end the connection"),
        }
    }
}

async fn due(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn cut(why: &str) -> End {
    End::Cut {
        at: Instant::now(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_taken_from_the_reason() {
        let delay = |reason| retry_delay(reason).map(|delay| delay.as_secs_f64());
        assert_eq!(delay("service restart; retry in 2.4s"), Some(2.4));
        assert_eq!(delay("retry in 0s"), Some(0.0));
        assert_eq!(delay("service restart"), None);
        assert_eq!(delay("retry in a moment, says"), None);
        assert_eq!(delay("retry in -3s"), None);
        assert_eq!(delay(""), None);
    }

    #[test]
    fn without_a_delay_in_the_reason_it_is_one_to_five_seconds() {
        for number in 0..1_000 {
            let delay = own_delay(number).as_secs_f64();
            assert!((1.0..=5.0).contains(&delay), "{delay}");
        }
    }
}
