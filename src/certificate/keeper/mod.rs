//! Looks after the certificates in use, on a thread of its own, since files may be slow: puts a
//! renewed pair into service as soon as it is on disk and not worse than the one in service, and
//! judges what is served again whenever time, names or roots may have changed the verdict.
//!
//! What it finds goes to the control loop as [`Update`]s. Orders come back as a whole [`Charge`].

mod care;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use self::care::Care;
use super::admission::objections_in_place;
use super::dialled::dialled;
use super::examine::Library;
use super::in_use::InUse;
use super::resolver::{Named, Resolver};
use super::watch::{Bell, Watch, Woken};
use crate::config::Config;

/// How often the files are looked at without any event, by their content: for network file systems,
/// and for directories that may not be watched. A change of the clock is noticed by then, too.
pub const POLL: Duration = Duration::from_secs(10);

/// How often, while something is half written.
const IN_DOUBT: Duration = Duration::from_millis(250);

/// Changes that come one after the other are looked at together.
const QUIET: Duration = Duration::from_millis(50);

/// But no later than this.
const QUIET_LONGEST: Duration = Duration::from_millis(500);

/// How long the thread may be without a sign of life: some rounds, each with a slow file system.
const SILENCE: Duration = Duration::from_secs(60);

/// Updates that the control loop has not taken yet. The thread waits for it.
const UPDATES: usize = 16;

/// What there is to look after: the certificates of one configuration.
#[derive(Debug)]
pub struct Charge {
    /// The configuration.
    pub config: Arc<Config>,
    /// The certificates that are served.
    pub in_use: Vec<InUse>,
    /// By name of the listener, what chooses among them.
    pub resolvers: Vec<(String, Arc<Resolver>)>,
}

/// What has changed.
#[derive(Debug)]
pub struct Update {
    /// Counts the charges.
    charge: u64,
    /// All certificates as they are now.
    pub in_use: Arc<[InUse]>,
    /// What is worth a word.
    pub news: Vec<News>,
}

/// Something that has happened to a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What was on disk is in service.
    Swapped {
        /// Its name.
        name: String,
    },
    /// What is on disk stays there. [`InUse::refused`] says why.
    Refused {
        /// Its name.
        name: String,
    },
}

/// The thread, as the control loop sees it. Dropping it ends the thread.
#[derive(Debug)]
pub struct Keeper {
    orders: Arc<Mutex<Option<(u64, Charge)>>>,
    bell: Bell,
    updates: mpsc::Receiver<Update>,
    charge: u64,
    alive: Arc<Mutex<Instant>>,
}

impl Keeper {
    /// Begins to look after these.
    ///
    /// # Errors
    /// No thread or no descriptor is to be had.
    pub fn start(charge: Charge) -> io::Result<Self> {
        let watch = Watch::new()?;
        let bell = watch.bell();
        let orders = Arc::new(Mutex::new(Some((0, charge))));
        let (sender, updates) = mpsc::channel(UPDATES);
        let alive = Arc::new(Mutex::new(Instant::now()));
        let work = Work {
            watch,
            orders: Arc::clone(&orders),
            updates: sender,
            library: Library::default(),
            charge: 0,
            config: None,
            resolvers: Vec::new(),
            all: Vec::new(),
            alive: Arc::clone(&alive),
        };
        thread::Builder::new()
            .name("certificates".to_owned())
            .spawn(move || work.run())?;
        Ok(Self {
            orders,
            bell,
            updates,
            charge: 0,
            alive,
        })
    }

    /// Looks after these from now on, beginning with a look at the files.
    pub fn adopt(&mut self, charge: Charge) {
        self.charge += 1;
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.charge, charge));
        self.bell.ring();
    }

    /// Whether it has not come round for a minute: a file is on a file system that hangs.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let alive = *self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(alive) > SILENCE
    }

    /// The next thing that it has to say of what it looks after now. None: the thread has died.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            let update = self.updates.recv().await?;
            if update.charge == self.charge {
                return Some(update);
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.updates.close();
        self.bell.ring();
    }
}

/// What the thread owns.
struct Work {
    watch: Watch,
    orders: Arc<Mutex<Option<(u64, Charge)>>>,
    updates: mpsc::Sender<Update>,
    library: Library,
    charge: u64,
    config: Option<Arc<Config>>,
    resolvers: Vec<(String, Arc<Resolver>)>,
    all: Vec<Care>,
    /// When it came round last.
    alive: Arc<Mutex<Instant>>,
}

impl Work {
    fn run(mut self) {
        while !self.updates.is_closed() {
            *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            let orders = self.orders.lock();
            let order = orders.unwrap_or_else(PoisonError::into_inner).take();
            let is_new = order.is_some();
            if let Some((number, charge)) = order {
                self.charge = number;
                self.adopt(charge);
            }
            // Before they are read: what changes afterwards makes an event.
            self.watch.arrange(self.all.iter().flat_map(Care::files));
            let (has_changed, news) = self.look(Timestamp::now(), Instant::now());
            if has_changed || is_new {
                let update = Update {
                    charge: self.charge,
                    in_use: self.all.iter().map(|one| one.in_use.clone()).collect(),
                    news,
                };
                if self.updates.blocking_send(update).is_err() {
                    return;
                }
            }
            if self.watch.wait(self.pause(Timestamp::now())) == Woken::Changed {
                self.watch.settle(QUIET, QUIET_LONGEST);
            }
        }
    }

    fn adopt(&mut self, charge: Charge) {
        let library = &mut self.library;
        let care = |one: InUse| {
            let mut all = charge.config.certificates.iter();
            let config = all.find(|config| config.name == one.name)?;
            let roots = library.roots(&config.roots);
            Some(Care::new(config.clone(), one, roots))
        };
        self.all = charge.in_use.into_iter().filter_map(care).collect();
        self.resolvers = charge.resolvers;
        let names = names(&charge.config, &self.all);
        for (one, names) in self.all.iter_mut().zip(names) {
            one.names = names;
        }
        self.config = Some(charge.config);
    }

    /// Whether anything has changed, and what is worth a word of it.
    fn look(&mut self, now: Timestamp, instant: Instant) -> (bool, Vec<News>) {
        let mut has_changed = false;
        let mut news = Vec::new();
        for one in &mut self.all {
            has_changed |= one.look_at_roots(&mut self.library, instant);
            has_changed |= one.look_at_files(instant);
        }
        for place in 0..self.all.len() {
            let told = self.decide(place, now, instant);
            has_changed |= told.is_some();
            news.extend(told);
        }
        if news.iter().any(|one| matches!(one, News::Swapped { .. })) {
            self.serve();
            self.address_anew();
            self.all.iter_mut().for_each(Care::reconsider);
        }
        for one in &mut self.all {
            has_changed |= one.judge(now);
        }
        (has_changed, news)
    }

    /// What becomes of what is on disk for one of them, beside what the others serve.
    fn decide(&mut self, place: usize, now: Timestamp, instant: Instant) -> Option<News> {
        let config = Arc::clone(self.config.as_ref()?);
        let served: Vec<InUse> = self.all.iter().map(|one| one.in_use.clone()).collect();
        let roots: Vec<_> = self.all.iter().map(|one| Arc::clone(one.roots())).collect();
        let care = self.all.get_mut(place)?;
        care.decide(now, instant, |candidate| {
            objections_in_place(&config, place, candidate, &served, &roots, now)
        })
    }

    /// Gives the pairs to those who choose among them. Who is connected has no part in it.
    fn serve(&self) {
        let Some(config) = &self.config else { return };
        for (name, resolver) in &self.resolvers {
            let mut listeners = config.listeners.iter();
            let listener = listeners.find(|one| one.name == *name);
            let named = |name: &String| -> Option<Named> {
                let one = self.all.iter().find(|one| one.config.name == *name)?;
                let pair = one.in_use.examination.pair()?;
                Some((Arc::clone(pair), one.config.names.clone()))
            };
            let certificates: Vec<Named> = listener
                .iter()
                .flat_map(|one| &one.certificates)
                .filter_map(named)
                .collect();
            resolver.replace(&certificates);
        }
    }

    /// For which names a certificate is chosen depends on the names in all of them.
    fn address_anew(&mut self) {
        let Some(config) = &self.config else { return };
        let names = names(config, &self.all);
        for (one, names) in self.all.iter_mut().zip(names) {
            one.address(names);
        }
    }

    /// Until when nothing is expected to happen by itself; none: never.
    fn pause(&self, now: Timestamp) -> Option<Duration> {
        let pause = |one: &Care| {
            let usual = if one.is_in_doubt() { IN_DOUBT } else { POLL };
            let left = one.due.map(|due| due.duration_since(now));
            let left = left.map(|left| left.max(SignedDuration::ZERO).unsigned_abs());
            // Not a moment too early: then it would be looked at twice.
            left.map_or(usual, |left| usual.min(left + Duration::from_millis(1)))
        };
        self.all.iter().map(pause).min()
    }
}

fn names(config: &Config, all: &[Care]) -> Vec<Vec<crate::config::HostPattern>> {
    let in_leaf = |name: &str| {
        let one = all.iter().find(|one| one.config.name == name)?;
        one.in_use.examination.leaf_names()
    };
    all.iter()
        .map(|one| dialled(config, &one.config, in_leaf))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Source};

    #[tokio::test]
    async fn a_thread_that_does_not_come_round_is_noticed() {
        let nothing = tempfile::NamedTempFile::new().unwrap();
        let config = config::load(&Source::at(nothing.path())).unwrap();
        let config = Arc::new(config);
        let charge = || Charge {
            config: Arc::clone(&config),
            in_use: Vec::new(),
            resolvers: Vec::new(),
        };
        let mut keeper = Keeper::start(charge()).unwrap();
        keeper.next().await.unwrap();
        let begun = Instant::now();
        assert!(!keeper.is_stuck(begun));
        // As a read does that hangs.
        let orders = Arc::clone(&keeper.orders);
        let held = orders.lock().unwrap();
        keeper.bell.ring();
        let late = Instant::now() + SILENCE * 2;
        assert!(keeper.is_stuck(late));
        drop(held);
        keeper.adopt(charge());
        keeper.next().await.unwrap();
        let alive = *keeper.alive.lock().unwrap();
        assert!(alive >= begun);
        assert!(!keeper.is_stuck(alive + SILENCE));
    }
}
