//! What the processes that the tests start do.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::thread;

use batond::daemon::inherited::take_channel;
use batond::edge::listener::OfferedSocket;
use batond::restart::handoff::{
    Handed, Launch, Offer, Outcome, Predecessor, Progress, prepare, receive,
};
use rustix::net::sockopt::socket_cookie;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::door::answer;
use crate::link::Link;
use crate::{LONG, run, unruly};

/// How a successor is started that calls `switchboard` and then does as `conduct` says.
pub(crate) fn launch(switchboard: &str, conduct: &str) -> Launch {
    Launch {
        program: std::env::current_exe().unwrap(),
        args: vec![switchboard.into(), conduct.into()],
        environment: vec![("GIVEN_TO_THE_SUCCESSOR".into(), "1".into())],
    }
}

/// How a program is started that does not come as far as to need arguments.
pub(crate) fn launch_of(program: &str) -> Launch {
    Launch {
        program: program.into(),
        args: vec![],
        environment: vec![],
    }
}

/// `--successor FD SWITCHBOARD CONDUCT`
pub(crate) fn successor(args: Vec<String>) -> ExitCode {
    let [fd, switchboard, conduct] = args.try_into().unwrap();
    // Before anything else opens a file, as the daemon does.
    let inherited = open_descriptors();
    if conduct == "exit" {
        return ExitCode::from(3);
    }
    if conduct == "sends through another" || conduct == "leaves another behind" {
        return unruly::with_stand_in(&fd, &switchboard, &conduct);
    }
    let channel = take_channel(fd.parse().unwrap()).unwrap();
    let link = Link::to(&switchboard);
    link.say(&format!(
        "started {} {}",
        std::process::id(),
        std::os::unix::process::parent_id()
    ));
    link.say(&format!("inherited {inherited}"));
    let variables: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
    link.say(&format!("environment {}", variables.join(" ")));
    match conduct.strip_prefix("raw: ") {
        Some(conduct) => unruly::successor(link, &channel, conduct),
        None => run(proper(link, channel, &conduct)),
    }
    ExitCode::SUCCESS
}

/// A successor as it should be, which pauses after the step that its conduct names.
async fn proper(link: &'static Link, channel: OwnedFd, conduct: &str) {
    let pause = |step: &str| {
        if conduct == step {
            link.pause(step)
        } else {
            link.say(step)
        }
    };
    pause("silent");
    if conduct == "without descriptors" {
        let limit = Rlimit {
            current: Some(12),
            maximum: Some(12),
        };
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    let (mut predecessor, handed) = match receive(channel, LONG).await {
        Ok(received) => received,
        Err(error) => return link.say(&format!("error {error}")),
    };
    let passed: Vec<_> = handed
        .listeners
        .iter()
        .map(|one| format!("{}={}", one.name, socket_cookie(&one.socket).unwrap()))
        .collect();
    link.say(&format!("listeners {}", passed.join(" ")));
    link.say(&format!(
        "state {} {:?}",
        handed.state.len(),
        sum(&handed.state)
    ));
    if conduct == "fail" {
        return predecessor
            .failed("listener.wss: cannot bind [::]:443: address in use")
            .await;
    }
    pause("received");
    predecessor.ready().await.unwrap();
    pause("ready");
    let outcome = predecessor.committed().await;
    link.say(&format!("outcome {outcome:?}"));
    if outcome != Outcome::Abandoned {
        serve(link, predecessor, handed, conduct).await;
    }
}

/// Accepts until told to stop, and then until the predecessor has ended.
async fn serve(link: &'static Link, mut predecessor: Predecessor, handed: Handed, conduct: &str) {
    predecessor.accepting().await;
    if conduct == "deaf" {
        link.pause("deaf");
    }
    let accepting = thread::spawn(move || {
        let sockets: Vec<TcpListener> = handed
            .listeners
            .into_iter()
            .map(|one| one.socket.into())
            .collect();
        answer(&sockets, link.told(), "new");
    });
    while let Some(progress) = predecessor.next_progress().await {
        link.say(&match progress {
            Progress::Draining(report) => format!("draining {report}"),
            Progress::Done(report) => format!("done {report}"),
        });
    }
    link.say("alone");
    accepting.join().unwrap();
    link.say("stopped");
}

/// `predecessor SWITCHBOARD SUCCESSORS-SWITCHBOARD SUCCESSORS-CONDUCT`: listens, says where,
/// hands over, pauses when the successor is ready and when it is committed.
pub(crate) fn predecessor(args: Vec<String>) -> ExitCode {
    let [switchboard, successors, conduct] = args.try_into().unwrap();
    let link = Link::to(&switchboard);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    link.say(&format!("listening {}", listener.local_addr().unwrap()));
    run(async {
        let listeners = [offered("ws", &listener)];
        let offer = Offer {
            listeners: &listeners,
            state: b"",
        };
        let successor = prepare(&launch(&successors, &conduct), offer, LONG)
            .await
            .unwrap();
        link.pause("prepared");
        let _departing = successor.commit().await.unwrap();
        link.pause("committed");
    });
    ExitCode::SUCCESS
}

/// A listener as it is offered.
pub(crate) fn offered<'a>(name: &'a str, socket: &'a impl AsFd) -> OfferedSocket<'a> {
    OfferedSocket {
        name,
        socket: socket.as_fd(),
        from_unit: false,
    }
}

/// A number that tells two states apart.
pub(crate) fn sum(state: &[u8]) -> u64 {
    state
        .iter()
        .zip(1..)
        .map(|(byte, place)| u64::from(*byte) * place)
        .sum()
}

/// The numbers of the open descriptors, without the one with which they are read.
fn open_descriptors() -> String {
    let folder = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut open: Vec<_> = folder
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|to| !to.to_string_lossy().contains("/fd"))
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    open.sort();
    open.join(" ")
}
