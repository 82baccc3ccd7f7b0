//! The workers, as the control loop sees them: commands in, answers out.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use super::acceptor::Door;
use super::census::Count;
use super::counters::Counters;
use super::departures::{Departures, Selection};
use super::drain;
use super::handshakes::Handshakes;
use super::listener::{Cookie, Listener};
use super::loss::{Loss, QUESTIONS};
use super::route::{Routes, Service};
use super::worker::{Batch, Closed, Command, Shared, Worker};
use crate::certificate::ledger::Ledger;
use crate::config::{Limits, ServiceConfig};

/// Commands that may wait for one worker. The control loop awaits their answers, so a few do.
const COMMANDS: usize = 16;

/// The workers, as the control loop sees them.
pub struct Edge {
    shared: Arc<Shared>,
    workers: Vec<mpsc::Sender<Command>>,
    handshakes: Handshakes,
}

/// A change that can be made without failing: every worker has its descriptors.
pub struct Prepared {
    batches: Vec<Batch>,
}

impl Edge {
    /// Starts `workers` threads. They serve nothing yet.
    ///
    /// # Errors
    /// When a thread or its event loop cannot be made.
    pub fn start(workers: usize, limits: Limits, routes: Routes) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(limits, routes));
        let workers = (0..workers)
            .map(|number| spawn(number, Arc::clone(&shared)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            shared,
            workers,
            handshakes: Handshakes::default(),
        })
    }

    /// Begins to accept on these listeners, each worker on a descriptor of its own.
    ///
    /// # Errors
    /// The limit on open descriptors; then nothing is accepted.
    pub async fn accept(&self, doors: &[(Door, &Listener)]) -> io::Result<()> {
        self.begin(self.prepare(doors)?).await;
        Ok(())
    }

    /// Makes the descriptors for [`Self::replace`].
    ///
    /// # Errors
    /// The limit on open descriptors.
    pub fn prepare(&self, doors: &[(Door, &Listener)]) -> io::Result<Prepared> {
        let post = |(door, listener): &(Door, &Listener)| {
            Ok((door.clone(), listener.try_clone()?, listener.cookie()?))
        };
        let batch = |_| doors.iter().map(post).collect();
        let batches = self.workers.iter().map(batch).collect::<io::Result<_>>()?;
        Ok(Prepared { batches })
    }

    /// Puts another configuration into use. What comes during the change waits in the accept
    /// queue; who is connected keeps what it has. Returns the routes that were in use before.
    pub async fn replace(
        &self,
        prepared: Prepared,
        services: &[ServiceConfig],
        limits: Limits,
    ) -> Arc<Routes> {
        self.stop_accepting().await;
        let before = self.shared.routes.load_full();
        self.shared.routes.store(Arc::new(before.renewed(services)));
        self.shared.limits.store(Arc::new(limits));
        self.begin(prepared).await;
        before
    }

    async fn begin(&self, prepared: Prepared) {
        let loops: usize = prepared.batches.iter().map(Vec::len).sum();
        let handshakes = self
            .handshakes
            .permits(self.shared.limits.load().handshakes + loops);
        for (worker, batch) in self.workers.iter().zip(prepared.batches) {
            let _ = worker
                .send(Command::Accept(batch, Arc::clone(&handshakes)))
                .await;
        }
    }

    /// Stops accepting. When it returns, no worker holds a listening socket.
    pub async fn stop_accepting(&self) {
        self.ask_all(Command::StopAccepting).await;
    }

    /// Tells every client that came through one of these sockets to leave, and does not wait.
    /// Nobody accepts on them any more; whoever has come is served by `routes` until then.
    pub async fn close(
        &self,
        sockets: &[Cookie],
        routes: &Arc<Routes>,
        announcement: &drain::Announcement,
    ) {
        for worker in &self.workers {
            let closed = Closed {
                announcement: announcement.clone(),
                routes: Arc::clone(routes),
            };
            let close = Command::Close(sockets.to_vec(), closed);
            let _ = worker.send(close).await;
        }
    }

    /// Accepts whoever waits in the queues of sockets that are about to be closed, since closing
    /// would reset them.
    pub async fn take_queued(&self, doors: &[(Door, &Listener)]) {
        let batches = match self.prepare(doors) {
            Ok(Prepared { batches }) => batches,
            Err(error) => {
                tracing::warn!("who waits on a removed listener is cut off: {error}");
                return;
            }
        };
        let mut answers = Vec::new();
        for (worker, batch) in self.workers.iter().zip(batches) {
            let (done, answer) = oneshot::channel();
            if worker.send(Command::TakeQueued(batch, done)).await.is_ok() {
                answers.push(answer);
            }
        }
        for answer in answers {
            let _ = answer.await;
        }
    }

    /// Tells every client to leave, and waits until all have left or the announcement's deadline
    /// has passed. A second call hurries the first.
    pub async fn drain(&self, announcement: &drain::Announcement) {
        self.ask_all(|done| Command::Drain(announcement.clone(), done))
            .await;
    }

    /// Whom to tell to leave: the clients that this selects, as they are now.
    pub async fn departures(&self, selection: &Selection) -> Departures {
        let service = self.service(&selection.service);
        Departures::begin(service, selection, &self.workers).await
    }

    /// The questions what it means that a backend is lost: whoever takes them is to answer each
    /// within a second. As long as nobody has, and afterwards if they are dropped, a lost backend
    /// is [gone](super::Fate::Gone). None: they have been taken.
    pub fn losses(&self) -> Option<mpsc::Receiver<Loss>> {
        let (questions, losses) = mpsc::channel(QUESTIONS);
        self.shared.losses.set(questions).ok().map(|()| losses)
    }

    /// The service of this name, as it is configured now.
    pub fn service(&self, name: &str) -> Option<Arc<Service>> {
        self.shared.routes.load().named(name).cloned()
    }

    /// All services in the order of the configuration, as they are configured now.
    pub fn services(&self) -> Vec<Arc<Service>> {
        self.shared.routes.load().services().to_vec()
    }

    /// Takes a [`Self::drain`] back: newcomers stay from now on. Who was told leaves all the same.
    pub async fn end_drain(&self) {
        for worker in &self.workers {
            let _ = worker.send(Command::EndDrain).await;
        }
    }

    /// Resolves when every worker has answered: none hangs. False: one is dead.
    pub async fn ping(&self) -> bool {
        self.ask_all(Command::Ping).await
    }

    async fn ask_all(&self, command: impl Fn(oneshot::Sender<()>) -> Command) -> bool {
        let mut all = true;
        let mut answers = Vec::new();
        for worker in &self.workers {
            let (done, answer) = oneshot::channel();
            match worker.send(command(done)).await {
                Ok(()) => answers.push(answer),
                Err(_) => all = false,
            }
        }
        for answer in answers {
            all &= answer.await.is_ok();
        }
        all
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Connections from clients now, as `limits.clients` counts them, over all workers.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Clients with a WebSocket now, over all workers.
    pub fn clients(&self) -> usize {
        self.shared.websockets.load(Relaxed)
    }

    /// Clients of one service with a WebSocket now; 0, if there is no such service.
    pub fn clients_of(&self, service: &str) -> usize {
        self.service(service)
            .map_or(0, |one| one.counters().clients as usize)
    }

    /// Who has a WebSocket now, of one service or of all: all are counted, and those who came
    /// first are listed, at most `limit`.
    pub async fn count(&self, service: Option<&str>, limit: usize) -> Count {
        let mut answers = Vec::new();
        for worker in &self.workers {
            let (done, answer) = oneshot::channel();
            let count = Command::Count(service.map(str::to_owned), limit, done);
            if worker.send(count).await.is_ok() {
                answers.push(answer);
            }
        }
        let mut all = Count::default();
        for answer in answers {
            if let Ok(count) = answer.await {
                all.join(count, limit);
            }
        }
        all
    }

    /// The limits that hold now.
    pub fn limits(&self) -> Arc<Limits> {
        self.shared.limits.load_full()
    }

    /// Where failed handshakes are written down.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.shared.ledger
    }

    /// What happened since the process began.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

fn spawn(number: usize, shared: Arc<Shared>) -> io::Result<mpsc::Sender<Command>> {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let runtime = Builder::new_current_thread();
    let (ready, outcome) = std::sync::mpsc::sync_channel(1);
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            let mut builder = runtime;
            let runtime = match builder.enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            runtime.block_on(Rc::new(Worker::new(number, shared)).run(commands));
        })?;
    match outcome.recv() {
        Ok(result) => result.map(|()| sender),
        Err(_) => Err(io::Error::other("a worker thread died at its start")),
    }
}
