//! Newcomers: each connects, has one message echoed, and closes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Plan;
use super::books::{End, Ledger, Newcomer};
use super::steady::told;
use super::way_in::{Socket, arrive};

/// So many may be under way: with the steady clients they fit into the accept queue (4,096), so
/// that nobody has to wait for a place in it.
const UNDER_WAY: usize = 2000;

/// How long one waits for its echo and the end.
const PATIENCE: Duration = Duration::from_secs(300);

/// Newcomers while `come` says so.
pub(super) async fn come(plan: Arc<Plan>, ledger: Arc<Ledger>, mut come: watch::Receiver<bool>) {
    let tls = plan.trust.stranger();
    let mut ticks = interval(plan.newcomer_every);
    // A machine that cannot bear them all gets fewer, not all at once later.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let under_way = Rc::new(());
    loop {
        // An error says that the crowd has been dropped.
        if come.wait_for(|come| *come).await.is_err() {
            return;
        }
        ticks.tick().await;
        if Rc::strong_count(&under_way) > UNDER_WAY {
            continue;
        }
        let one = visit(Arc::clone(&plan), Arc::clone(&tls), Arc::clone(&ledger));
        let counted = Rc::clone(&under_way);
        ledger.note(|books| books.under_way += 1);
        tokio::task::spawn_local(async move {
            one.await;
            drop(counted);
        });
    }
}

async fn visit(plan: Arc<Plan>, tls: Arc<ClientConfig>, ledger: Arc<Ledger>) {
    let (arrival, socket) = arrive(plan.address, tls).await;
    let end = match socket {
        None => None,
        Some(socket) => {
            let end = timeout(PATIENCE, talk(socket)).await;
            Some(end.unwrap_or_else(|_| End::Cut("no echo, or no end, in time".to_owned())))
        }
    };
    ledger.note(|books| {
        books.under_way -= 1;
        books.newcomers.push(Newcomer { arrival, end });
    });
}

/// Also where it is told at once, since it was accepted by a process that is leaving, it gets a
/// Close.
async fn talk(mut socket: Socket) -> End {
    match exchange(&mut socket).await {
        Ok(end) => end,
        Err(error) => End::Cut(error.to_string()),
    }
}

async fn exchange(socket: &mut Socket) -> Result<End, Error> {
    let text = Message::text("newcomer");
    socket.send(text.clone()).await?;
    let mut left = false;
    while let Some(message) = socket.next().await {
        match message? {
            // The reply to its own.
            Message::Close(_) if left => return Ok(End::Left),
            Message::Close(frame) => {
                let end = told(frame);
                // The reply goes out with the next read.
                let _ = socket.next().await;
                return Ok(end);
            }
            message if message == text && !left => {
                left = true;
                socket.close(None).await?;
            }
            message => return Ok(End::Cut(format!("unexpected: {message:?}"))),
        }
    }
    Ok(End::Cut("the connection ended without a Close".to_owned()))
}
