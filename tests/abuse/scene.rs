//! One attempt: the daemon, healthy clients that exchange messages while it goes on, and the memory
//! of the process all along. Each ends in a row of the table.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::frame::Frame;
use crate::http::{switching, upgrade};
use crate::peer::{Peer, Stream};
use crate::world::{HOST, Plan, World};

/// Healthy clients of each listener.
pub(crate) const HEALTHY: usize = 2;

/// How often the memory is looked at. It does not change what is right, only what is seen.
const LOOK: Duration = Duration::from_millis(20);

static ROWS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The table so far, in Markdown.
pub(crate) fn table() -> String {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    rows.sort();
    let mut table = String::from(
        "| What was tried | What happened | Memory: before, most, bound (KiB) | Healthy clients: messages echoed, median and longest time (ms) |\n\
         |---|---|---|---|\n",
    );
    table.extend(rows);
    table
}

/// The daemon with its healthy clients.
pub(crate) struct Scene {
    pub(crate) world: World,
    metrics: PathBuf,
    _directory: TempDir,
    what: &'static str,
    healthy: Vec<JoinHandle<Vec<Duration>>>,
    rounds: Arc<Vec<AtomicU64>>,
    over: Arc<AtomicBool>,
    watch: JoinHandle<u64>,
    before: u64,
}

impl Scene {
    /// Begins one; `limits` as in the configuration.
    pub(crate) fn begin(what: &'static str, limits: &str) -> Self {
        let echo = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
        let address = echo.local_addr().expect("a bound socket");
        thread::spawn(move || serve_echo(&echo));
        let directory = tempfile::tempdir().expect("make a directory");
        let metrics = directory.path().join("metrics");
        let world = Plan::new()
            .limits(limits)
            .restart("hold = \"1s\"\nclose_timeout = \"1s\"")
            .sections(&format!(
                "[service.healthy]\npaths = [\"/healthy\"]\nbackends = [\"{address}\"]\n\
                 [metrics]\nlisten = \"unix:{}\"\n",
                metrics.display()
            ))
            .start();
        let over = Arc::new(AtomicBool::new(false));
        let clients: Vec<Peer> = (0..HEALTHY)
            .flat_map(|_| [world.client(), world.secure_client()])
            .collect();
        let rounds: Arc<Vec<AtomicU64>> =
            Arc::new(clients.iter().map(|_| AtomicU64::new(0)).collect());
        let healthy = clients.into_iter().enumerate().map(|(number, client)| {
            let (over, rounds) = (Arc::clone(&over), Arc::clone(&rounds));
            thread::spawn(move || exchange(client, &rounds[number], &over))
        });
        let healthy = healthy.collect();
        let pid = world.batond.main().pid();
        let scene = Self {
            what,
            metrics,
            _directory: directory,
            healthy,
            rounds,
            before: 0,
            watch: {
                let over = Arc::clone(&over);
                thread::spawn(move || most(pid, &over))
            },
            over,
            world,
        };
        // All are there, and what is allocated once has been.
        scene.everyone_goes_on();
        Self {
            before: memory(pid),
            ..scene
        }
    }

    /// Waits until every healthy client has exchanged messages that were sent after this call.
    pub(crate) fn everyone_goes_on(&self) {
        let now: Vec<u64> = self.rounds.iter().map(|one| one.load(Relaxed)).collect();
        let begin = Instant::now();
        for (round, before) in self.rounds.iter().zip(now) {
            while round.load(Relaxed) < before + 2 {
                assert!(
                    begin.elapsed() < crate::support::PATIENCE,
                    "{}: a healthy client waits",
                    self.what
                );
                assert!(
                    self.healthy.iter().all(|one| !one.is_finished()),
                    "{}: a healthy client was closed",
                    self.what
                );
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }

    /// What the metrics say.
    pub(crate) fn count(&self, sample: &str) -> u64 {
        let mut socket = UnixStream::connect(&self.metrics).expect("connect to the metrics");
        let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket
            .write_all(ask.as_bytes())
            .expect("ask for the metrics");
        let mut page = String::new();
        socket.read_to_string(&mut page).expect("read the metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(sample));
        let value = value.and_then(|value| value.trim().parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {sample} in {page}")) as u64
    }

    /// Waits until the metrics say so much. More is said of what the daemon's own looks at its
    /// certificates count for.
    pub(crate) fn comes_to(&self, sample: &str, expected: u64) {
        let begin = Instant::now();
        while self.count(sample) < expected {
            let waited = begin.elapsed();
            assert!(
                waited < crate::support::PATIENCE,
                "{sample}: {}, not {expected}",
                self.count(sample)
            );
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// How often a limit took effect.
    pub(crate) fn bitten(&self, limit: &str) -> u64 {
        self.count(&format!("batond_limit_reached_total{{limit=\"{limit}\"}}"))
    }

    /// Ends it with its row: what happened, and how much memory it may have taken at most, in KiB.
    ///
    /// # Panics
    /// When a healthy client was hurt, or it took more.
    pub(crate) fn end(self, happened: &str, bound: u64) {
        self.everyone_goes_on();
        self.over.store(true, Relaxed);
        let most = self.watch.join().expect("the memory was read");
        let mut times = Vec::new();
        for one in self.healthy {
            times.extend(
                one.join()
                    .unwrap_or_else(|_| panic!("{}: a healthy client was hurt", self.what)),
            );
        }
        times.sort_unstable();
        let mut row = String::new();
        let median = times[times.len() / 2].as_secs_f64() * 1e3;
        let longest = times[times.len() - 1].as_secs_f64() * 1e3;
        let _ = writeln!(
            row,
            "| {} | {happened} | {}, {most}, +{bound} | {}, {median:.1}, {longest:.1} |",
            self.what,
            self.before,
            times.len()
        );
        ROWS.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(row);
        assert!(
            most <= self.before + bound,
            "{}: {most} KiB, {} before, and {bound} more are allowed",
            self.what,
            self.before
        );
    }
}

/// What the process has in memory of its own, in KiB (proc(5), smaps_rollup). The pages of the program
/// are left out: its share of those depends on how many others run it.
fn memory(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss_Anon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn most(pid: u32, over: &AtomicBool) -> u64 {
    let mut most = 0;
    while !over.load(Relaxed) {
        most = most.max(memory(pid));
        thread::park_timeout(LOOK);
    }
    most
}

/// Says something and hears it back, again and again. How long each took.
fn exchange(mut client: Peer, round: &AtomicU64, over: &AtomicBool) -> Vec<Duration> {
    client.send(upgrade("/healthy", HOST, ""));
    assert_eq!(client.message().status(), 101);
    let mut times = Vec::new();
    while !over.load(Relaxed) {
        let word = Frame::text(format!("round {}", times.len()));
        let begin = Instant::now();
        client.say(std::slice::from_ref(&word));
        client.hear(&[word]);
        times.push(begin.elapsed());
        round.fetch_add(1, Relaxed);
        // At the pace of somebody who types, and then some.
        thread::park_timeout(Duration::from_millis(5));
    }
    client.say(&[Frame::close(1000, "")]);
    assert_eq!(client.closed(), 1000);
    times
}

fn serve_echo(listener: &TcpListener) {
    while let Ok((connection, _)) = listener.accept() {
        thread::spawn(move || {
            let mut peer = Peer::backend(Stream::Tcp(connection));
            peer.message();
            peer.send(switching(""));
            while let Some(frame) = peer.frame() {
                let is_close = frame.close_code().is_some();
                peer.say(&[frame]);
                if is_close {
                    break;
                }
            }
        });
    }
}
