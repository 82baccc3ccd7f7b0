//! A steady client: it sends a message now and then, and comes back when it has been sent away or
//! cut off.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use batond::demo::client::retry_delay;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::Plan;
use super::books::{Departure, End, Ledger, Return};
use super::way_in::{Socket, arrive};

/// How many may be connecting at the same time when the crowd gathers. Later all of them may.
const GATHERING: usize = 64;

/// After an attempt that failed, and after a Close that does not say when to come back.
const OWN_DELAY: Duration = Duration::from_millis(500);

/// How long a client waits for the end of the connection after its reply to a Close.
const END_PATIENCE: Duration = Duration::from_secs(300);

/// All of them, until their crowd is dropped.
pub(super) async fn stay(plan: Arc<Plan>, ledger: Arc<Ledger>, mut crowd: watch::Receiver<bool>) {
    let gate = Rc::new(Semaphore::new(GATHERING));
    for number in 0..plan.steady {
        let (plan, ledger) = (Arc::clone(&plan), Arc::clone(&ledger));
        tokio::task::spawn_local(live(number, plan, Rc::clone(&gate), ledger));
    }
    while crowd.changed().await.is_ok() {}
}

/// The life of one.
async fn live(number: usize, plan: Arc<Plan>, gate: Rc<Semaphore>, ledger: Arc<Ledger>) {
    let tls = plan.trust.client(number, plan.resumes);
    // The gate is never closed, so this is a permit.
    let mut permit = gate.acquire().await.ok();
    loop {
        let (arrival, socket) = arrive(plan.address, Arc::clone(&tls)).await;
        let port = arrival.port;
        ledger.note(|books| {
            books.returns.push(Return {
                client: number,
                arrival,
            });
        });
        let Some(mut socket) = socket else {
            sleep(OWN_DELAY).await;
            continue;
        };
        permit.take();
        let mut stay = Stay {
            number,
            every: plan.says_every,
            ledger: &ledger,
            works: false,
        };
        let end = stay.until_the_end(&mut socket).await;
        // When to come back counts from the Close, not from the end of the connection.
        let closed = Instant::now();
        if let End::Told { .. } = end {
            let _ = timeout(END_PATIENCE, async {
                while let Some(Ok(_)) = socket.next().await {}
            })
            .await;
        }
        drop(socket);
        let delay = match &end {
            End::Told { reason, .. } => retry_delay(reason).unwrap_or(OWN_DELAY),
            End::Left | End::Cut(_) => Duration::ZERO,
        };
        ledger.note(|books| {
            books.present -= usize::from(stay.works);
            books.departures.push(Departure {
                client: number,
                port,
                end,
            });
        });
        sleep(delay.saturating_sub(closed.elapsed())).await;
    }
}

/// One connection.
struct Stay<'a> {
    number: usize,
    every: Duration,
    ledger: &'a Ledger,
    /// A message has been echoed.
    works: bool,
}

impl Stay<'_> {
    async fn until_the_end(&mut self, socket: &mut Socket) -> End {
        let mut ticks = interval_at(Instant::now(), self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let text = Message::text(format!("client {}", self.number));
        let mut awaited = 0_usize;
        loop {
            tokio::select! {
                // A client that knows of a Close sends no more.
                biased;
                message = socket.next() => match message {
                    Some(Ok(Message::Close(frame))) => return told(frame),
                    Some(Ok(message)) if message == text && awaited > 0 => {
                        awaited -= 1;
                        if !self.works {
                            self.works = true;
                            self.ledger.note(|books| books.present += 1);
                        }
                    }
                    Some(Ok(message)) => return End::Cut(format!("unexpected: {message:?}")),
                    Some(Err(error)) => return End::Cut(error.to_string()),
                    None => return End::Cut("the connection ended without a Close".to_owned()),
                },
                _ = ticks.tick() => {
                    awaited += 1;
                    if let Err(error) = socket.send(text.clone()).await {
                        return End::Cut(error.to_string());
                    }
                }
            }
        }
    }
}

pub(super) fn told(frame: Option<CloseFrame>) -> End {
    match frame {
        Some(frame) => End::Told {
            code: frame.code.into(),
            reason: frame.reason.to_string(),
        },
        None => End::Told {
            code: 1005,
            reason: String::new(),
        },
    }
}
