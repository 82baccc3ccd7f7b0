//! Another configuration, without another process: all of it, or nothing.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use super::life::Daemon;
use super::setup::{self, Loaded, StartError};
use super::shown::Shown;
use crate::certificate::in_use::InUse;
use crate::certificate::ticket::TicketKeys;
use crate::control::message_id;
use crate::control::problem::{self, Problem, Severity};
use crate::edge::listener::{self, Cookie, Listener, Origin, PassedSocket};
use crate::edge::route::Routes;
use crate::edge::{Announcement, Departure, Door};
use crate::event;

/// How long the files may take, on whatever file system they are. Shorter than the watchdog's
/// patience, since the control loop waits.
const READ_DEADLINE: Duration = Duration::from_secs(8);

/// Who reads the files at one time.
static READERS: Semaphore = Semaphore::const_new(4);

impl Daemon {
    /// Puts the configuration that is on disk now into use.
    ///
    /// Says so in a few words.
    ///
    /// # Errors
    /// What is wrong with it, in words for the operator. Nothing has changed then.
    pub(super) async fn reload(&mut self) -> Result<String, String> {
        self.notifier.reloading();
        let outcome = match self.try_reload().await {
            Ok(()) => {
                self.generation += 1;
                self.problems.clear(problem::RELOAD_FAILED, "");
                self.problems.clear(problem::UPGRADE_FAILED, "");
                event!(
                    INFO,
                    message_id::RELOADED,
                    baton_generation = self.generation,
                    "reloaded: configuration {} is in use",
                    self.generation
                );
                Ok(format!("configuration {} is in use", self.generation))
            }
            Err(error) => {
                event!(
                    ERROR,
                    message_id::CONFIGURATION_REFUSED,
                    "reload failed, the old configuration stays in use: {error}"
                );
                self.problems.raise(Problem {
                    name: problem::RELOAD_FAILED,
                    subject: String::new(),
                    severity: Severity::Warning,
                    what: format!("reload failed: {}", error.summary()),
                    remedy: "correct the configuration (`batond check` finds every mistake), then \
                             `systemctl reload batond`"
                        .to_owned(),
                    since: Timestamp::now(),
                });
                Err(error.to_string())
            }
        };
        // Also after a failure, or the unit would be reloading for ever (sd_notify(3)).
        self.notifier.ready(&self.status());
        outcome
    }

    async fn try_reload(&mut self) -> Result<(), StartError> {
        let mut loaded = read(self.args.config.clone(), &self.tickets, &self.in_use).await?;
        self.carry_over(&mut loaded.in_use);
        let charge = loaded.charge();
        let Loaded {
            config,
            doors,
            in_use,
            ..
        } = loaded;
        let system = |doing| move |source| StartError::System { doing, source };
        let aside = self.aside.iter().map(PassedSocket::try_clone);
        let current = self
            .listeners
            .iter()
            .map(pass_on)
            .chain(aside)
            .collect::<io::Result<_>>()
            .map_err(system("pass the listening sockets on"))?;
        // The listeners that stay are taken over as from a predecessor.
        let opened = listener::open_all(&config.sockets(), Vec::new(), current)
            .map_err(|source| StartError::Listen { source })?;
        let listeners = opened.listeners;
        let prepared = self
            .edge
            .prepare(&setup::pairs(&doors, &listeners))
            .map_err(system("accept connections"))?;

        let endpoint = self.endpoint(&listeners)?;

        // Nothing can fail from here on.
        let new = |one: &&Listener| one.origin() == Origin::Bound;
        setup::tell(listeners.iter().filter(new));
        setup::raise_descriptor_limit(config.limits.clients);
        self.shown = Shown::of(&config, &in_use, &listeners);
        if config.workers != self.edge.workers() {
            tracing::warn!(
                "workers: {} are configured, {} go on running until the next start or upgrade",
                config.workers,
                self.edge.workers()
            );
        }
        let routes = self
            .edge
            .replace(prepared, &config.services, config.limits.clone())
            .await;
        self.scrape_at(endpoint).await;
        self.aside = Rc::new(setup::aside(opened.unclaimed));
        self.certify(in_use);
        self.look_after(charge);
        self.probes.adopt(config);
        let doors = std::mem::replace(&mut self.doors, doors);
        let replaced = std::mem::replace(&mut self.listeners, Rc::new(listeners));
        self.close_removed(replaced, &doors, &routes).await;
        Ok(())
    }

    /// Closes what is not listened on any more, and sends the clients who came through it away,
    /// also those who are still in its queue.
    async fn close_removed(
        &mut self,
        mut replaced: Rc<Vec<Listener>>,
        doors: &[Door],
        routes: &Arc<Routes>,
    ) {
        let now: Vec<(Option<Cookie>, String)> = self
            .listeners
            .iter()
            .map(|one| (one.cookie().ok(), one.name().to_owned()))
            .collect();
        let mut closed = Vec::new();
        let mut gone = Vec::new();
        for listener in Rc::get_mut(&mut replaced).into_iter().flatten() {
            let cookie = listener.cookie().ok();
            let stays = |(other, _): &&(Option<Cookie>, String)| *other == cookie;
            let name_now = now.iter().find(stays).map(|(_, name)| name);
            if name_now.is_some() {
                // The file of a Unix socket stays, too.
                listener.hand_on();
            } else {
                tell_removed(listener);
                setup::let_nobody_in(listener);
                closed.extend(cookie);
            }
            let stored = listener.origin() != Origin::Systemd;
            if stored && name_now.is_none_or(|name| name != listener.name()) {
                gone.push(listener.name().to_owned());
            }
        }
        if !closed.is_empty() {
            let announcement = Announcement {
                departure: Departure::Removed,
                paced: false,
                within: None,
                since: Instant::now(),
            };
            self.edge.close(&closed, routes, &announcement).await;
            let mut removed = setup::pairs(doors, &replaced);
            removed.retain(|(_, one)| one.cookie().is_ok_and(|cookie| closed.contains(&cookie)));
            self.edge.take_queued(&removed).await;
        }
        drop(replaced);
        if let Some(listeners) = Rc::get_mut(&mut self.listeners) {
            listeners.iter_mut().for_each(Listener::take_over);
        }
        self.store_again(gone);
    }
}

fn tell_removed(listener: &Listener) {
    let (name, address, key) = (listener.name(), listener.address(), listener.key());
    if listener.origin() == Origin::Systemd {
        event!(
            WARN,
            message_id::LISTENER_CLOSED,
            baton_listener = name,
            "{key}: closed, but its socket unit goes on listening on {address}: whoever \
             connects there waits until a reload takes the listener in again (or stop the socket \
             unit)"
        );
    } else {
        event!(
            INFO,
            message_id::LISTENER_CLOSED,
            baton_listener = name,
            "{key}: closed on {address}"
        );
    }
}

/// Reads the files on a thread of its own, which a file system that hangs holds up for ever: there
/// are at most so many of them as [`READERS`] lets in.
pub(super) async fn read(
    path: PathBuf,
    tickets: &Arc<TicketKeys>,
    served: &Arc<[InUse]>,
) -> Result<Loaded, StartError> {
    let failed = |source| StartError::System {
        doing: "read the configuration",
        source,
    };
    let Ok(place) = READERS.try_acquire() else {
        return Err(failed(io::Error::new(
            io::ErrorKind::WouldBlock,
            "a file system hangs: files that were to be read before are not read yet",
        )));
    };
    let (done, loaded) = oneshot::channel();
    let (tickets, served) = (Arc::clone(tickets), Arc::clone(served));
    thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || {
            let _ = done.send(setup::load(&path, &tickets, &served));
            drop(place);
        })
        .map_err(failed)?;
    match timeout(READ_DEADLINE, loaded).await {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(_)) => Err(failed(io::Error::other("the thread that reads it died"))),
        Err(_) => Err(failed(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("a file takes longer than {READ_DEADLINE:?}"),
        ))),
    }
}

fn pass_on(listener: &Listener) -> io::Result<PassedSocket> {
    Ok(PassedSocket {
        name: listener.name().to_owned(),
        socket: listener.as_fd().try_clone_to_owned()?,
        from_unit: listener.origin() == Origin::Systemd,
    })
}
