//! Five thousand clients whose messages are echoed all the time, and newcomers that keep coming,
//! while batond is restarted in the two ways in which its listening socket survives.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use batond::demo::client::{End, SERVICE_RESTART, Story};
use batond::demo::crowd::{self, Crowd};
use batond::demo::daemon::{Daemon, Process};
use batond::demo::descriptors::Room;
use batond::demo::prober::{self, Outcome, Probe, Prober};
use batond::demo::report::{Facts, Report};
use batond::demo::stage::Stage;
use batond::demo::timeline::Timeline;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};

const CLIENTS: usize = 5_000;

/// Only keeps a test that has failed from waiting for ever: a machine that is busy with other
/// things may take its time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Time enough for everyone on such a machine. The delays spread the handshakes, which are what
/// costs most.
const SETTINGS: &str = r#"
[restart]
retry = "1s-10s"
spread = "0s"
deadline = "600s"
close_timeout = "300s"

[limits]
handshake_timeout = "300s"
"#;

#[test]
fn steady_clients_and_newcomers_lose_nothing_when_the_socket_is_handed_over() {
    alone(async {
        let (stage, socket) = Stage::set(SETTINGS).unwrap();
        // From here on nobody but batond keeps the socket open.
        let mut daemon = start(&stage, socket).await;
        let guests = Guests::arrive(&stage).await;
        let asked = Instant::now();
        daemon.process().signal(Signal::USR2).unwrap();
        let successor = within("a successor", daemon.successor()).await.unwrap();
        ends_well(&daemon).await;
        guests.lost_nothing(&stage, &daemon, asked).await;
        end(&successor).await;
    });
}

#[test]
fn steady_clients_and_newcomers_lose_nothing_when_the_next_process_inherits_the_socket() {
    alone(async {
        let (stage, socket) = Stage::set(SETTINGS).unwrap();
        // Held here as systemd holds it, while there is no process.
        let first = start(&stage, socket.try_clone().unwrap()).await;
        let guests = Guests::arrive(&stage).await;
        let asked = Instant::now();
        first.process().signal(Signal::TERM).unwrap();
        ends_well(&first).await;
        let second = start(&stage, socket).await;
        guests.lost_nothing(&stage, &first, asked).await;
        end(second.process()).await;
    });
}

/// One of these tests at a time, whoever runs them: each takes most of the descriptors that a
/// process may have, and all of a small machine.
fn alone(test: impl Future<Output = ()>) {
    let lock = File::create(concat!(env!("CARGO_TARGET_TMPDIR"), "/steady.lock")).unwrap();
    lock.lock().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} takes longer than {} s", PATIENCE.as_secs()))
}

async fn ends_well(daemon: &Daemon) {
    let exit = within("the end of the first process", daemon.ended()).await;
    assert!(exit.unwrap().is_success(), "{:?}", daemon.log().last(10));
}

async fn end(process: &Process) {
    process.signal(Signal::TERM).unwrap();
    within("the end of the last process", process.ended()).await;
}

async fn start(stage: &Stage, socket: TcpListener) -> Daemon {
    let program = env!("CARGO_BIN_EXE_batond").as_ref();
    let mut daemon = stage.start(program, socket, Arc::default()).unwrap();
    let ready = within("the start of a process", daemon.ready()).await;
    assert!(ready.is_ok(), "{ready:?} {:?}", daemon.log().last(10));
    daemon
}

/// Those who are connected, and those who come.
struct Guests {
    clients: usize,
    crowd: Crowd,
    newcomers: Prober,
}

impl Guests {
    async fn arrive(stage: &Stage) -> Self {
        let clients = as_many_as_fit(CLIENTS);
        let destination = stage.destination();
        let mut crowd = Crowd::gather(crowd::Plan {
            destination: destination.clone(),
            clients,
            interval: Duration::from_secs(5),
            connecting: 64,
            patience: PATIENCE,
        })
        .unwrap();
        let progress = within(
            "the arrival of the clients",
            crowd.until(|now| now.working + now.failed + now.cut >= clients),
        )
        .await;
        assert_eq!(progress.working, clients, "{progress:?}");
        let mut newcomers = Prober::start(prober::Plan {
            destination,
            every: Duration::from_millis(100),
            patience: PATIENCE,
        })
        .unwrap();
        within("the first newcomer", newcomers.until(1)).await;
        Self {
            clients,
            crowd,
            newcomers,
        }
    }

    async fn lost_nothing(mut self, stage: &Stage, first: &Daemon, asked: Instant) {
        let clients = self.clients;
        let everyone = self
            .crowd
            .until(|now| now.working + now.failed + now.cut >= 2 * clients);
        within("the return of the clients", everyone).await;
        let probes = within("the last newcomer", self.newcomers.stop())
            .await
            .unwrap();
        let stories = within("the end of the clients", self.crowd.dismiss())
            .await
            .unwrap();
        let discarded = within("the drain's report", first.log().first("discarded")).await;
        let mut timeline = Timeline::begin_at(asked, "asked for");
        timeline.add_stories(&stories);
        let report = Report::new(
            &Facts {
                stories: &stories,
                probes: &probes,
                received: stage.backend.received(),
                discarded: Some(discarded),
                exit: None,
            },
            timeline,
        );
        println!(
            "{}{:?} {:?}",
            report.timeline, report.newcomers, report.messages
        );
        every_client_was_told_and_came_back(&stories);
        no_newcomer_was_turned_away(&probes, asked);
        assert_eq!(
            report.closed_cleanly, clients,
            "a Close, a reply, the end of TLS"
        );
        assert_eq!(report.messages.wrong, 0, "echoes as they were sent");
        assert_eq!(
            report.messages.undelivered, 0,
            "what was sent before the reply arrives"
        );
        assert_eq!(
            report.messages.lost, 0,
            "what came before the Close is delivered"
        );
    }
}

fn every_client_was_told_and_came_back(stories: &[Story]) {
    for (number, story) in stories.iter().enumerate() {
        let [first, second] = &story.visits[..] else {
            panic!("client {number}: {story:?}");
        };
        assert!(
            matches!(
                first.end,
                End::Told {
                    code: SERVICE_RESTART,
                    ..
                }
            ),
            "client {number}: {first:?}"
        );
        assert!(
            second.first_echo.is_some() && matches!(second.end, End::Left),
            "client {number}: {second:?}"
        );
    }
}

fn no_newcomer_was_turned_away(probes: &[Probe], asked: Instant) {
    let turned_away: Vec<_> = probes
        .iter()
        .filter(|probe| probe.outcome != Outcome::Served)
        .collect();
    assert!(
        turned_away.is_empty(),
        "{} of {}, such as {:?}",
        turned_away.len(),
        probes.len(),
        turned_away[0]
    );
    let before = probes.iter().filter(|probe| probe.began < asked).count();
    assert!(
        (1..probes.len()).contains(&before),
        "{before} of {}",
        probes.len()
    );
}

/// The number, or how many fit under the hard limit on descriptors.
fn as_many_as_fit(clients: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let room = Room::here();
    if room.clients < clients {
        println!(
            "only {} clients instead of {clients}: `ulimit -Hn` is {:?}",
            room.clients, room.limit
        );
    }
    clients.min(room.clients)
}
