//! batond on the bus: its name, its objects, and what happens when the bus is not there.
//!
//! A task of its own keeps a connection, and makes a new one whenever that is lost. Everything
//! else goes on without it. The name is asked for with queueing: while a predecessor has it, the
//! successor waits in the bus's own queue, and has it in the moment in which it is let go.

mod access;
mod error;
mod log_control;
mod manager;
mod object;
mod options;
mod parts;
mod path;
mod polkit;
mod rows;
mod stand;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zbus::fdo::RequestNameFlags;
use zbus::{Connection, connection};

pub use error::Error;
use stand::Stand;

use super::command::Outlet;
use super::journal::Log;

/// The well-known name.
pub const NAME: &str = "org.batond.Baton1";

/// The root of the objects.
pub const PATH: &str = "/org/batond/Baton1";

/// What begins the names of all errors.
pub const ERRORS: &str = "org.batond.Baton1.Error";

/// A bus on the same machine answers within milliseconds, if at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two attempts to connect: at first, and at most. Each pause is twice the one before.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long answers that are on their way may take at the end of the process.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the daemon wants of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    HaveName,
    LetNameGo,
    End,
}

/// How far the task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The first attempt to connect is under way.
    Trying,
    /// It is over, whatever came of it.
    Tried,
    /// The name is somebody else's.
    NameLetGo,
}

/// The presence on the bus.
#[derive(Debug)]
pub struct Bus {
    wish: watch::Sender<Wish>,
    standing: watch::Receiver<Standing>,
    task: JoinHandle<()>,
}

impl Bus {
    /// Connects to the bus at an address (none: the system bus) and asks for the name, now and
    /// whenever the connection is lost. To be called within a tokio runtime.
    pub fn join(address: Option<String>, outlet: Outlet, log: Log) -> Self {
        let (wish, wished) = watch::channel(Wish::HaveName);
        let (standing, stands) = watch::channel(Standing::Trying);
        let attendant = Attendant {
            address,
            outlet,
            log,
            wish: wished,
            standing,
            complained: false,
        };
        Self {
            wish,
            standing: stands,
            task: tokio::spawn(attendant.run()),
        }
    }

    /// Waits until the first attempt is over, well or not, at most `deadline`.
    pub async fn tried(&mut self, deadline: Duration) {
        let tried = self.standing.wait_for(|now| *now != Standing::Trying);
        let _ = timeout(deadline, tried).await;
    }

    /// Lets the name go to whoever waits for it, at most `deadline` long. Who has asked already
    /// still gets an answer.
    pub async fn let_name_go(&mut self, deadline: Duration) {
        self.wish.send_replace(Wish::LetNameGo);
        let gone = self.standing.wait_for(|now| *now == Standing::NameLetGo);
        let _ = timeout(deadline, gone).await;
    }

    /// Leaves the bus, once the answers that are on their way are sent.
    pub async fn leave(self) {
        self.wish.send_replace(Wish::End);
        let _ = timeout(2 * LAST_WORDS, self.task).await;
    }
}

/// The task.
struct Attendant {
    address: Option<String>,
    outlet: Outlet,
    log: Log,
    wish: watch::Receiver<Wish>,
    standing: watch::Sender<Standing>,
    complained: bool,
}

impl Attendant {
    async fn run(mut self) {
        let mut pause = PAUSE;
        while !self.is_over() {
            match timeout(CONNECT_TIMEOUT, self.connect()).await {
                Ok(Ok(stand)) => {
                    self.note_tried();
                    if self.complained {
                        tracing::info!("on the bus again as {NAME}");
                        self.complained = false;
                    }
                    pause = PAUSE;
                    self.attend(stand).await;
                    if self.is_over() {
                        return;
                    }
                    self.complain("the connection is lost");
                }
                Ok(Err(error)) => self.complain(&error.to_string()),
                Err(_) => self.complain("no answer"),
            }
            self.note_tried();
            // Ends early when no other attempt is wanted.
            let _ = timeout(pause, self.nameless()).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Until the end is wished for. Without a connection there is no name to let go, so nobody
    /// has to wait for that.
    async fn nameless(&mut self) {
        let wish = self.wish.wait_for(|wish| *wish != Wish::HaveName).await;
        if wish.is_ok_and(|wish| *wish == Wish::LetNameGo) {
            self.standing.send_replace(Standing::NameLetGo);
            let _ = self.wish.wait_for(|wish| *wish == Wish::End).await;
        }
    }

    fn is_over(&self) -> bool {
        *self.wish.borrow() == Wish::End || self.wish.has_changed().is_err()
    }

    async fn connect(&self) -> zbus::Result<Stand> {
        let builder = match &self.address {
            Some(address) => connection::Builder::address(address.as_str()),
            None => connection::Builder::system(),
        };
        let connection = builder.build().await?;
        let stand = Stand::build(connection, &self.outlet, self.log.clone()).await?;
        if *self.wish.borrow() == Wish::HaveName {
            stand
                .bus()
                .request_name_with_flags(NAME, RequestNameFlags::empty())
                .await?;
        }
        Ok(stand)
    }

    /// Until the connection is lost or not wanted any more.
    async fn attend(&mut self, mut stand: Stand) {
        let connection = stand.bus().clone();
        loop {
            // First what there is to see: who waits for the end of a job gets it, also from a
            // process that has nothing left to do.
            let now = self.outlet.view.borrow_and_update().clone();
            if let Err(error) = stand.show(now).await {
                tracing::debug!("cannot signal a change: {error}");
            }
            let wish = *self.wish.borrow_and_update();
            match wish {
                Wish::HaveName => {}
                Wish::LetNameGo => self.let_name_go(&connection).await,
                Wish::End => break,
            }
            tokio::select! {
                () = connection.closed() => return,
                changed = self.wish.changed() => if changed.is_err() { return },
                changed = self.outlet.view.changed() => if changed.is_err() {
                    // The control loop has ended; what it wishes is still to come.
                    let _ = self.wish.changed().await;
                }
            }
        }
        drop(stand);
        let _ = timeout(LAST_WORDS, connection.graceful_shutdown()).await;
    }

    async fn let_name_go(&self, connection: &Connection) {
        if *self.standing.borrow() == Standing::NameLetGo {
            return;
        }
        if let Err(error) = connection.release_name(NAME).await {
            tracing::debug!("cannot let the bus name go: {error}");
        }
        self.standing.send_replace(Standing::NameLetGo);
    }

    fn note_tried(&self) {
        self.standing.send_if_modified(|now| {
            let first = *now == Standing::Trying;
            if first {
                *now = Standing::Tried;
            }
            first
        });
    }

    /// Said once, until it works again.
    fn complain(&mut self, error: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            let bus = self.address.as_deref().unwrap_or("the system bus");
            tracing::warn!(
                "not on {bus} as {NAME}: {error} (clients are served all the same; batonctl works \
                 when the bus is there and its policy, org.batond.Baton1.conf, is installed)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::command::channel;
    use crate::control::journal;
    use crate::control::view::View;
    use crate::restart::lifecycle::Phase;

    #[tokio::test]
    async fn where_there_is_no_bus_nobody_waits_for_the_name_to_be_let_go() {
        let (_inbox, outlet) = channel(View::new(Phase::Serving));
        // No other test of this program may set up the log: it can be done once.
        let log = journal::init(None).expect("the log is not set up yet");
        let mut bus = Bus::join(Some("unix:path=/nonexistent/bus".to_owned()), outlet, log);
        bus.tried(Duration::MAX).await;
        let gone = timeout(Duration::from_secs(60), bus.let_name_go(Duration::MAX)).await;
        assert!(gone.is_ok(), "waits for a name that it does not have");
        bus.leave().await;
    }
}
