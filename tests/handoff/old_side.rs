//! What the old process can rely on.

use std::net::TcpListener;
use std::time::Duration;

use batond::edge::listener::OfferedSocket;
use batond::restart::handoff::{
    Cause, HandoffError, MAX_LISTENERS, MAX_STATE, Offer, Step, Successor, prepare,
};
use batond::restart::report::DrainReport;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_cookie;

use crate::LONG;
use crate::link::{Call, Switchboard};
use crate::roles::{launch, launch_of, offered, sum};

/// Prepares a successor with this conduct, and the line to it.
pub(crate) async fn prepared(
    conduct: &str,
    listeners: &[OfferedSocket<'_>],
    state: &[u8],
) -> (Successor, Call) {
    let switchboard = Switchboard::new();
    let launch = launch(&switchboard.name, conduct);
    let offer = Offer { listeners, state };
    let (successor, call) = tokio::join!(prepare(&launch, offer, LONG), switchboard.call());
    (successor.unwrap(), call)
}

/// The error of a handoff to a successor with this conduct, and the line to it.
pub(crate) async fn failed(conduct: &str, deadline: Duration) -> (HandoffError, Call) {
    let switchboard = Switchboard::new();
    let launch = launch(&switchboard.name, conduct);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = [offered("ws", &listener)];
    let offer = Offer {
        listeners: &listeners,
        state: b"state",
    };
    let (error, call) = tokio::join!(prepare(&launch, offer, deadline), switchboard.call());
    (error.unwrap_err(), call)
}

async fn arrive_in_order(count: usize) {
    let sockets: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let names: Vec<_> = (0..count)
        .map(|number| format!("listener-{number}"))
        .collect();
    let listeners: Vec<_> = names
        .iter()
        .zip(&sockets)
        .map(|(name, socket)| offered(name, socket))
        .collect();
    let (successor, mut call) = prepared("serve", &listeners, b"").await;
    let expected: Vec<_> = names
        .iter()
        .zip(&sockets)
        .map(|(name, socket)| format!("{name}={}", socket_cookie(socket).unwrap()))
        .collect();
    assert_eq!(call.heard("listeners").await, expected.join(" "));
    successor
        .commit()
        .await
        .unwrap()
        .done(DrainReport::default())
        .await;
    assert_eq!(call.heard("outcome").await, "Committed");
}

pub(crate) async fn three_sockets_arrive_in_order() {
    arrive_in_order(3).await;
}

/// More than the 253 that fit into a message.
pub(crate) async fn three_hundred_sockets_arrive_in_order() {
    arrive_in_order(300).await;
}

pub(crate) async fn the_state_arrives() {
    let state: Vec<u8> = (0..MAX_STATE)
        .map(|place| (place * 7 % 251) as u8)
        .collect();
    let (_successor, mut call) = prepared("serve", &[], &state).await;
    assert_eq!(
        call.heard("state").await,
        format!("{MAX_STATE} {}", sum(&state))
    );
}

pub(crate) async fn the_successor_is_not_a_child_and_inherits_nothing_else() {
    let (successor, mut call) = prepared("serve", &[], b"").await;
    let pid = successor.pid().as_raw_nonzero().get();
    assert!(call.heard("started").await.starts_with(&format!("{pid} ")));

    // By now the launcher is gone: field 4 is the parent (proc_pid_stat(5)), after the name,
    // which is in brackets and may hold anything.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent: u32 = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert_ne!(parent, std::process::id());

    // The channel, beside what every child of this process inherits.
    assert_eq!(
        call.heard("inherited").await.split(' ').count(),
        inheritable() + 1
    );
    let stdin = std::fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert_eq!(stdin.to_str(), Some("/dev/null"));
}

pub(crate) async fn the_successor_hears_how_the_drain_goes() {
    let (successor, mut call) = prepared("serve", &[], b"").await;
    let mut departing = successor.commit().await.unwrap();
    let mut report = DrainReport {
        clients_at_start: 9,
        told: 4,
        ..DrainReport::default()
    };
    departing.progress(report).await;
    report.closed_cleanly = 9;
    departing.done(report).await;
    assert!(
        call.heard("draining")
            .await
            .starts_with("told 4, closed cleanly 0,")
    );
    assert!(call.heard("done").await.contains("closed cleanly 9"));
    call.heard("alone").await;
}

pub(crate) async fn a_successor_that_does_not_listen_never_holds_up_the_drain() {
    let (successor, mut call) = prepared("deaf", &[], b"").await;
    let mut departing = successor.commit().await.unwrap();
    call.heard("deaf").await;
    // Far more than the channel has room for.
    for told in 0..5_000 {
        departing
            .progress(DrainReport {
                told,
                ..DrainReport::default()
            })
            .await;
    }
    departing.done(DrainReport::default()).await;
    call.go_on().await;
    assert!(call.heard("draining").await.starts_with("told 0,"));
    call.heard("alone").await;
}

pub(crate) async fn an_offer_beyond_the_limits_starts_nothing() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let launch = launch_of("/nonexistent");
    let one = offered("ws", &socket);
    let unnamed = offered("", &socket);
    let long = "x".repeat(256);
    let long = offered(&long, &socket);
    let many = vec![one; MAX_LISTENERS + 1];
    let state = vec![0; MAX_STATE + 1];
    let cases = [
        (
            Offer {
                listeners: &many,
                state: b"",
            },
            "4097 listeners are more than the 4096",
        ),
        (
            Offer {
                listeners: &[],
                state: &state,
            },
            "1048577 bytes of state are more",
        ),
        (
            Offer {
                listeners: &[one, unnamed],
                state: b"",
            },
            "the name \"\" has not 1 to 255",
        ),
        (
            Offer {
                listeners: &[long],
                state: b"",
            },
            "xxx\" has not 1 to 255 bytes",
        ),
    ];
    for (offer, text) in cases {
        let error = prepare(&launch, offer, LONG).await.unwrap_err();
        assert_eq!(error.step, Step::Compose);
        assert!(error.to_string().contains(text), "{error}");
    }
}

pub(crate) async fn a_program_that_is_not_there_is_named() {
    let launch = launch_of("/nonexistent/batond");
    let offer = Offer {
        listeners: &[],
        state: b"",
    };
    let error = prepare(&launch, offer, LONG).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the handoff failed while the successor was being started: cannot start \
         /nonexistent/batond: No such file or directory (os error 2)"
    );
}

pub(crate) async fn a_successor_that_exits_at_once_is_an_error() {
    let launch = launch("nobody", "exit");
    let offer = Offer {
        listeners: &[],
        state: b"",
    };
    let error = prepare(&launch, offer, LONG).await.unwrap_err();
    assert_eq!(error.step, Step::Introduce);
    assert!(matches!(error.cause, Cause::Ended), "{error}");
}

pub(crate) async fn a_successors_own_reason_is_the_error() {
    let (error, mut call) = failed("fail", LONG).await;
    assert_eq!(
        error.to_string(),
        "the handoff failed while the successor got ready: listener.wss: cannot bind [::]:443: \
         address in use"
    );
    call.ended().await;
}

pub(crate) async fn a_successor_that_hangs_is_killed_at_the_deadline() {
    let (error, mut call) = failed("received", Duration::from_millis(1500)).await;
    assert!(matches!(error.cause, Cause::TimedOut(_)), "{error}");
    call.ended().await;
}

pub(crate) async fn a_successor_that_never_speaks_is_killed_at_the_deadline() {
    let (error, mut call) = failed("silent", Duration::from_millis(1500)).await;
    assert!(matches!(error.cause, Cause::TimedOut(_)), "{error}");
    call.ended().await;
}

pub(crate) async fn a_successor_that_hangs_at_the_commit_is_killed() {
    let (successor, mut call) = prepared("ready", &[], b"").await;
    let error = successor.commit().await.unwrap_err();
    assert_eq!(error.step, Step::Commit);
    assert!(matches!(error.cause, Cause::TimedOut(_)), "{error}");
    call.ended().await;
}

pub(crate) async fn a_handoff_that_is_dropped_leaves_no_successor() {
    let switchboard = Switchboard::new();
    let launch = launch(&switchboard.name, "received");
    let offer = Offer {
        listeners: &[],
        state: b"",
    };
    let mut call = tokio::select! {
        outcome = prepare(&launch, offer, LONG) => panic!("{outcome:?}"),
        call = async {
            let mut call = switchboard.call().await;
            call.heard("received").await;
            call
        } => call,
    };
    call.ended().await;
}

pub(crate) async fn a_successor_that_is_dropped_ends() {
    let (successor, mut call) = prepared("serve", &[], b"").await;
    drop(successor);
    call.ended().await;
}

pub(crate) async fn an_abandoned_successor_is_told_and_ends() {
    let (successor, mut call) = prepared("serve", &[], b"").await;
    let pidfd = successor.pidfd().try_clone_to_owned().unwrap();
    successor.abandon().await;
    // It was seen to end, not just told: the pidfd is readable now (pidfd_open(2)).
    let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
    assert_eq!(poll(&mut ended, Some(&Timespec::default())), Ok(1));
    assert_eq!(call.heard("outcome").await, "Abandoned");
}

/// How many descriptors of this process are not close-on-exec: the standard streams, and what
/// whoever started it left open.
fn inheritable() -> usize {
    const CLOEXEC: u32 = 0o2_000_000;
    std::fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .filter_map(|info| {
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            u32::from_str_radix(flags.trim(), 8).ok()
        })
        .filter(|flags| flags & CLOEXEC == 0)
        .count()
}
