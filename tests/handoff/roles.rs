//! What the processes that the tests start do.

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode};
use std::thread;

use batond::daemon::inherited::take_channel;
use batond::restart::handoff::message::{Message, VERSION, decode, packet};
use batond::restart::handoff::{
    Handed, Launch, Offer, Outcome, Predecessor, Progress, Successor, prepare, receive,
};
use rustix::net::{RecvFlags, SendFlags, sockopt::socket_cookie};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::link::Link;
use crate::{LONG, run};

/// How a successor is started that calls `switchboard` and then does as `conduct` says.
pub(crate) fn launch(switchboard: &str, conduct: &str) -> Launch {
    Launch {
        program: std::env::current_exe().unwrap(),
        args: vec![switchboard.into(), conduct.into()],
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
        return with_stand_in(&fd, &switchboard, &conduct);
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
        Some(conduct) => raw(link, &channel, conduct),
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
async fn serve(link: &'static Link, predecessor: Predecessor, handed: Handed, conduct: &str) {
    let accepting = thread::spawn(move || answer_all(&handed, || link.told(), "new"));
    if conduct == "deaf" {
        link.pause("deaf");
    }
    let mut predecessor = predecessor;
    while let Some(progress) = predecessor.next_progress().await {
        link.say(&match progress {
            Progress::Draining(report) => format!("draining {report}"),
            Progress::Done(report) => format!("done {report}"),
        });
    }
    link.say("alone");
    let served = accepting.join().unwrap();
    link.say(&format!("served {served}"));
}

fn answer_all(handed: &Handed, stop: impl Fn() -> bool, name: &str) -> usize {
    let sockets: Vec<TcpListener> = handed
        .listeners
        .iter()
        .map(|one| TcpListener::from(one.socket.try_clone().unwrap()))
        .collect();
    sockets
        .iter()
        .for_each(|socket| socket.set_nonblocking(true).unwrap());
    answer(&sockets, stop, name)
}

/// Answers every connection with a name, until told to stop.
pub(crate) fn answer(sockets: &[TcpListener], stop: impl Fn() -> bool, name: &str) -> usize {
    let mut served = 0;
    while !stop() {
        wait_readable(sockets);
        for socket in sockets {
            match socket.accept() {
                Ok((mut client, _)) => {
                    client.write_all(name.as_bytes()).unwrap();
                    served += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("accept: {error}"),
            }
        }
    }
    served
}

/// Returns when somebody connects, or after 10 ms to look whether to stop.
fn wait_readable(sockets: &[TcpListener]) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds: Vec<_> = sockets
        .iter()
        .map(|one| PollFd::new(one, PollFlags::IN))
        .collect();
    poll(
        &mut fds,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 10_000_000,
        }),
    )
    .unwrap();
}

/// Successors that speak for themselves.
fn raw(link: &Link, channel: &OwnedFd, conduct: &str) {
    let say = |bytes: &[u8]| send(channel, bytes);
    let hello = Message::Hello {
        version: "raw".into(),
    }
    .encode();
    match conduct {
        "says hello and no more" => {
            say(&hello);
            link.pause("said hello");
        }
        "is killed by the commit" => {
            say(&hello);
            say(&Message::Ready.encode());
            while hear(channel) != Some(Message::Commit) {}
            link.pause("heard commit");
        }
        "another version" => say(&packet(VERSION + 98, 2, b"{\"version\":\"99\"}")),
        "garbage" => say(b"GET / HTTP/1.1\r\n\r\n"),
        "a header only" => say(&packet(VERSION, 2, b"")[..8]),
        "too long" => say(&packet(VERSION, 5, &[7; 70_000])),
        "no JSON" => say(&packet(VERSION, 2, b"hello")),
        "an unknown kind" => say(&packet(VERSION, 77, b"")),
        "ready first" => say(&Message::Ready.encode()),
        "hello twice" => {
            say(&hello);
            say(&hello);
        }
        "hello with a descriptor" => send_with(channel, &hello, &[channel]),
        "commits itself" => {
            say(&hello);
            say(&Message::Commit.encode());
        }
        other => panic!("no such conduct: {other}"),
    }
    loop {
        match hear(channel) {
            Some(Message::Refused { reason }) => link.say(&format!("refused {reason}")),
            Some(_) => {}
            None => return,
        }
    }
}

/// The channel in the hands of a child of the successor.
#[expect(
    clippy::zombie_processes,
    reason = "one conduct is to leave the child behind"
)]
fn with_stand_in(fd: &str, switchboard: &str, conduct: &str) -> ExitCode {
    let mut stand_in = Command::new(std::env::current_exe().unwrap())
        .args(["stand-in", fd, switchboard, conduct])
        .spawn()
        .unwrap();
    if conduct == "leaves another behind" {
        return ExitCode::SUCCESS;
    }
    stand_in.wait().unwrap();
    ExitCode::SUCCESS
}

/// `stand-in FD SWITCHBOARD CONDUCT`
pub(crate) fn stand_in(args: Vec<String>) -> ExitCode {
    let [fd, switchboard, conduct] = args.try_into().unwrap();
    let link = Link::to(&switchboard);
    let channel = take_channel(fd.parse().unwrap()).unwrap();
    if conduct == "sends through another" {
        send(
            &channel,
            &Message::Hello {
                version: "stand-in".into(),
            }
            .encode(),
        );
    }
    link.pause("standing in");
    ExitCode::SUCCESS
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
        let _departing = Successor::commit(successor).await.unwrap();
        link.pause("committed");
    });
    ExitCode::SUCCESS
}

/// A listener as it is offered.
pub(crate) fn offered<'a>(
    name: &'a str,
    socket: &'a impl AsFd,
) -> batond::edge::listener::OfferedSocket<'a> {
    batond::edge::listener::OfferedSocket {
        name,
        socket: socket.as_fd(),
        from_unit: false,
    }
}

/// Sends one packet.
pub(crate) fn send(channel: &OwnedFd, packet: &[u8]) {
    rustix::net::send(channel, packet, SendFlags::NOSIGNAL).unwrap();
}

/// Sends one packet with descriptors.
pub(crate) fn send_with(channel: &OwnedFd, packet: &[u8], descriptors: &[&OwnedFd]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    let descriptors: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let bytes = [std::io::IoSlice::new(packet)];
    sendmsg(channel, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
}

/// The next message without its descriptors; none when the other end is closed.
pub(crate) fn hear(channel: &OwnedFd) -> Option<Message> {
    let mut buffer = vec![0; 1 << 17];
    match rustix::net::recv(channel, &mut buffer[..], RecvFlags::empty()) {
        Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => None,
        Ok((length, _)) => Some(decode(&buffer[..length]).unwrap()),
        Err(error) => panic!("recv: {error}"),
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
