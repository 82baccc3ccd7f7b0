//! Either side killed at each of its steps, and who serves afterwards.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};

use batond::restart::handoff::{Cause, Offer, Step, prepare};
use rustix::process::{Pid, Signal, kill_process};

use crate::LONG;
use crate::link::{Call, Switchboard};
use crate::old_side::prepared;
use crate::roles::{launch, offered};

/// Kills the process on the line, whose id is in its first word.
async fn kill_at(call: &mut Call, step: &str) {
    let started = call.heard("started").await;
    let pid: i32 = started.split(' ').next().unwrap().parse().unwrap();
    call.heard(step).await;
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

pub(crate) async fn a_successor_killed_at_any_step_is_noticed() {
    let steps = [
        ("silent", "silent", Step::Introduce),
        ("raw: says hello and no more", "said hello", Step::GetReady),
        ("received", "received", Step::GetReady),
    ];
    for (conduct, said, step) in steps {
        let switchboard = Switchboard::new();
        let launch = launch(&switchboard.name, conduct);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [offered("ws", &listener)];
        let offer = Offer {
            listeners: &listeners,
            state: b"",
        };
        let kill = async { kill_at(&mut switchboard.call().await, said).await };
        let (outcome, ()) = tokio::join!(prepare(&launch, offer, LONG), kill);
        let error = outcome.unwrap_err();
        assert!(matches!(error.cause, Cause::Ended), "{conduct}: {error}");
        // While the offer is on its way it may be that step.
        assert!(
            error.step == step || error.step == Step::Offer,
            "{conduct}: {error}"
        );
    }

    let (successor, mut call) = prepared("ready", &[], b"").await;
    kill_at(&mut call, "ready").await;
    let error = successor.commit().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Ended), "{error}");

    let (successor, mut call) = prepared("raw: is killed by the commit", &[], b"").await;
    let (outcome, ()) = tokio::join!(successor.commit(), kill_at(&mut call, "heard commit"));
    let error = outcome.unwrap_err();
    assert!(matches!(error.cause, Cause::Ended), "{error}");

    // After that the predecessor drains, whatever becomes of its successor.
    let (successor, mut call) = prepared("deaf", &[], b"").await;
    let mut departing = successor.commit().await.unwrap();
    kill_at(&mut call, "deaf").await;
    call.ended().await;
    departing.progress(Default::default()).await;
    departing.done(Default::default()).await;
}

pub(crate) async fn the_end_of_a_successor_shows_even_if_its_child_keeps_the_channel() {
    let switchboard = Switchboard::new();
    let launch = launch(&switchboard.name, "leaves another behind");
    let offer = Offer {
        listeners: &[],
        state: b"",
    };
    let (outcome, mut call) = tokio::join!(prepare(&launch, offer, LONG), switchboard.call());
    let error = outcome.unwrap_err();
    assert!(matches!(error.cause, Cause::Ended), "{error}");
    call.heard("standing in").await;
}

/// A predecessor in a process of its own, which the test can kill, and the lines to both.
struct Pair {
    predecessor: Child,
    predecessors_call: Call,
    successors_call: Call,
    address: String,
}

impl Pair {
    async fn start(conduct: &str) -> Self {
        let (first, second) = (Switchboard::new(), Switchboard::new());
        let predecessor = Command::new(std::env::current_exe().unwrap())
            .args(["predecessor", &first.name, &second.name, conduct])
            .env("LISTEN_PID", "1")
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "x")
            .env("WATCHDOG_PID", "1")
            .env("WATCHDOG_USEC", "30000000")
            .env("SYSTEMD_EXEC_PID", "1")
            .env("NOTIFY_SOCKET", "/nonexistent")
            .spawn()
            .unwrap();
        let mut predecessors_call = first.call().await;
        let address = predecessors_call.heard("listening").await;
        let successors_call = second.call().await;
        Self {
            predecessor,
            predecessors_call,
            successors_call,
            address,
        }
    }

    /// SIGKILL, and nothing is left of it.
    fn kill_predecessor(&mut self) {
        self.predecessor.kill().unwrap();
        self.predecessor.wait().unwrap();
    }

    /// Who answers at the address.
    fn who_serves(&self) -> String {
        let mut answer = String::new();
        TcpStream::connect(&self.address)
            .unwrap()
            .read_to_string(&mut answer)
            .unwrap();
        answer
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.kill_predecessor();
    }
}

pub(crate) async fn a_predecessor_killed_before_the_offer_takes_the_successor_along() {
    let mut pair = Pair::start("silent").await;
    let environment = pair.successors_call.heard("environment").await;
    for gone in [
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "WATCHDOG_PID",
        "SYSTEMD_EXEC_PID",
    ] {
        assert!(!environment.split(' ').any(|name| name == gone), "{gone}");
    }
    for kept in ["WATCHDOG_USEC", "NOTIFY_SOCKET", "GIVEN_TO_THE_SUCCESSOR"] {
        assert!(environment.split(' ').any(|name| name == kept), "{kept}");
    }
    pair.successors_call.heard("silent").await;
    pair.kill_predecessor();
    pair.successors_call.go_on().await;
    assert_eq!(
        pair.successors_call.heard("error").await,
        "the handoff failed while the listening sockets were passed: the other process has ended \
         (its last log lines may say why)"
    );
    pair.successors_call.ended().await;
}

pub(crate) async fn a_predecessor_killed_after_the_offer_is_replaced() {
    let mut pair = Pair::start("received").await;
    pair.successors_call.heard("received").await;
    pair.kill_predecessor();
    pair.successors_call.go_on().await;
    assert_eq!(
        pair.successors_call.heard("outcome").await,
        "PredecessorGone"
    );
    assert_eq!(pair.who_serves(), "new");
}

pub(crate) async fn a_predecessor_killed_before_the_commit_is_replaced() {
    let mut pair = Pair::start("serve").await;
    pair.predecessors_call.heard("prepared").await;
    pair.kill_predecessor();
    assert_eq!(
        pair.successors_call.heard("outcome").await,
        "PredecessorGone"
    );
    assert_eq!(pair.who_serves(), "new");
}

pub(crate) async fn a_predecessor_killed_while_it_drains_is_missed_by_nobody() {
    let mut pair = Pair::start("serve").await;
    pair.predecessors_call.heard("prepared").await;
    pair.predecessors_call.go_on().await;
    pair.predecessors_call.heard("committed").await;
    pair.kill_predecessor();
    assert_eq!(pair.successors_call.heard("outcome").await, "Committed");
    pair.successors_call.heard("alone").await;
    assert_eq!(pair.who_serves(), "new");
}
