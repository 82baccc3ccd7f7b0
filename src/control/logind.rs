//! The end of the host, a moment before it: logind waits for whoever holds a delay lock
//! (systemd-inhibit(1), org.freedesktop.login1(5)), at most `InhibitDelayMaxSec=`, 5 s by default.
//! That is the time to tell every client.
//!
//! The lock is taken before the announcement is watched for, and again when it was let go and the
//! shutdown did not come about, when logind began anew, and when the bus did. Without the lock (an
//! unprivileged user without polkit is refused it) everything works but the delay.
//!
//! Whoever drives it calls [`Logind::watch`] at the start, tells all clients on
//! [`HostShutdown::Announced`], and calls [`Logind::release`] when they have left.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedFd, proxy};

use super::link::Link;
use super::systemd1::StopKind;

/// Anything that logind is asked. It answers at once, or is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the start waits for the lock.
const START_TIMEOUT: Duration = Duration::from_secs(2);

/// Until the bus is tried again, in the beginning, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Announcements that nobody took yet.
const ANNOUNCEMENTS: usize = 8;

/// What the host is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostShutdown {
    /// It goes down, and comes back or not. [`StopKind::Unknown`]: logind does not say.
    Announced(StopKind),
    /// It stays up after all.
    CalledOff,
}

/// Watches for the end of the host until it is dropped.
#[derive(Debug)]
pub struct Logind {
    announcements: mpsc::Receiver<HostShutdown>,
    lock: Lock,
    task: JoinHandle<()>,
}

/// Held as long as the descriptor is open.
type Lock = Arc<Mutex<Option<OwnedFd>>>;

impl Logind {
    /// Takes the lock and watches, over the bus at this address; none: the system bus. Returns
    /// when that is done, or has failed for the first time, or after 2 s; it goes on trying. Must
    /// be called within a tokio runtime.
    pub async fn watch(bus: Option<&str>) -> Self {
        let lock = Lock::default();
        let (sender, announcements) = mpsc::channel(ANNOUNCEMENTS);
        let (tried, first) = oneshot::channel();
        let watcher = Watcher {
            link: Link::new(bus),
            lock: Arc::clone(&lock),
            announcements: sender,
            announced: false,
            tried: Some(tried),
        };
        let task = tokio::spawn(watcher.run());
        let _ = timeout(START_TIMEOUT, first).await;
        Self {
            announcements,
            lock,
            task,
        }
    }

    /// The next that happens to the host. Waits for ever if nothing does. May be dropped and
    /// called again without missing anything.
    pub async fn next(&mut self) -> HostShutdown {
        match self.announcements.recv().await {
            Some(announcement) => announcement,
            None => std::future::pending().await,
        }
    }

    /// Whether the host waits for [`Logind::release`].
    #[must_use]
    pub fn holds_lock(&self) -> bool {
        take(&self.lock).is_some()
    }

    /// Lets the host go down.
    pub fn release(&self) {
        *take(&self.lock) = None;
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    link: Link,
    lock: Lock,
    announcements: mpsc::Sender<HostShutdown>,
    announced: bool,
    /// Who waits for the first try.
    tried: Option<oneshot::Sender<()>>,
}

impl Watcher {
    async fn run(mut self) {
        let mut pause = AGAIN.0;
        loop {
            let connection = timeout(ANSWER_TIMEOUT, self.link.connection()).await;
            match connection {
                Ok(Ok(connection)) => match self.follow(&connection, &mut pause).await {
                    Ok(()) => debug!("the bus went away"),
                    Err(error) => {
                        self.link.forgets(&error);
                        debug!("cannot watch for the host's shutdown: {error}");
                    }
                },
                Ok(Err(error)) => debug!("cannot watch for the host's shutdown: {error}"),
                Err(_) => debug!("cannot watch for the host's shutdown: the bus is silent"),
            }
            self.link.forget();
            self.tried.take();
            sleep(pause).await;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    /// Until the connection ends.
    async fn follow(&mut self, connection: &Connection, pause: &mut Duration) -> zbus::Result<()> {
        let logind = LogindProxy::builder(connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let mut owners = logind.inner().receive_owner_changed().await?;
        self.inhibit(&logind).await;
        let mut prepare = logind.receive_prepare_for_shutdown().await?;
        self.tried.take();
        // It may have been announced before it was watched for.
        if let Ok(Ok(true)) = timeout(ANSWER_TIMEOUT, logind.preparing_for_shutdown()).await {
            self.tell(&logind, true).await;
        }
        *pause = AGAIN.0;
        loop {
            tokio::select! {
                signal = prepare.next() => {
                    let Some(signal) = signal else { return Ok(()) };
                    let begins = signal.args()?.start;
                    self.tell(&logind, begins).await;
                }
                owner = owners.next() => match owner {
                    None => return Ok(()),
                    Some(None) => debug!("logind is gone"),
                    Some(Some(_)) if self.announced => {}
                    Some(Some(_)) => self.inhibit(&logind).await,
                }
            }
        }
    }

    async fn tell(&mut self, logind: &LogindProxy<'_>, begins: bool) {
        if begins == self.announced {
            return;
        }
        self.announced = begins;
        let announcement = if begins {
            let scheduled = timeout(ANSWER_TIMEOUT, logind.scheduled_shutdown()).await;
            let kind = match scheduled {
                Ok(Ok((kind, _))) => kind_of(&kind),
                _ => StopKind::Unknown,
            };
            HostShutdown::Announced(kind)
        } else {
            self.inhibit(logind).await;
            HostShutdown::CalledOff
        };
        info!("logind: {announcement:?}");
        // The control loop has ended, or is so far behind that more would not help it.
        let _ = self.announcements.try_send(announcement);
    }

    /// Takes the lock. One that was held before goes only then.
    async fn inhibit(&self, logind: &LogindProxy<'_>) {
        let why = "WebSocket clients are told before the host goes down";
        let asked = logind.inhibit("shutdown", "batond", why, "delay");
        match timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(lock)) => *take(&self.lock) = Some(lock),
            Ok(Err(error)) => warn!(
                "logind gives no delay lock, so a shutdown may be faster than its announcement: \
                 {error}"
            ),
            Err(_) => warn!("logind did not answer within {ANSWER_TIMEOUT:?}"),
        }
    }
}

/// The types of org.freedesktop.login1(5), which may begin with `dry-`.
fn kind_of(scheduled: &str) -> StopKind {
    match scheduled.strip_prefix("dry-").unwrap_or(scheduled) {
        "reboot" | "kexec" | "soft-reboot" => StopKind::Restart,
        "poweroff" | "halt" => StopKind::Stop,
        _ => StopKind::Unknown,
    }
}

fn take(lock: &Lock) -> std::sync::MutexGuard<'_, Option<OwnedFd>> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Logind {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    #[zbus(signal)]
    fn prepare_for_shutdown(&self, start: bool) -> zbus::Result<()>;

    #[zbus(property)]
    fn preparing_for_shutdown(&self) -> zbus::Result<bool>;

    /// The type, and when in microseconds since 1970.
    #[zbus(property)]
    fn scheduled_shutdown(&self) -> zbus::Result<(String, u64)>;
}
