use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use batond::control::notify::Notifier;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

/// A socket that listens as systemd's does.
struct Manager {
    socket: UnixDatagram,
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self {
            socket,
            _directory: directory,
            path,
        }
    }

    fn notifier(&self) -> Notifier {
        Notifier::to(&self.path)
    }

    fn hear(&self) -> String {
        hear(&self.socket)
    }

    fn hears_nothing_more(&self) {
        self.socket.set_nonblocking(true).unwrap();
        let error = self.socket.recv(&mut [0; 4096]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

/// Waits for the next datagram; a minute without one is a failure.
fn hear(socket: &UnixDatagram) -> String {
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut datagram = [0; 4096];
    let length = socket.recv(&mut datagram).unwrap();
    String::from_utf8(datagram[..length].to_vec()).unwrap()
}

#[test]
fn every_step_of_a_life_is_one_datagram_in_order() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    notifier.status("starting");
    notifier.ready("3 clients");
    notifier.reloading();
    notifier.ready("3 clients");
    notifier.watchdog();
    notifier.extend_timeout(Duration::from_secs(7200));
    notifier.stopping("telling 3 clients");

    assert_eq!(manager.hear(), "STATUS=starting\n");
    assert_eq!(manager.hear(), "READY=1\nSTATUS=3 clients\n");
    let reloading = manager.hear();
    let time = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .expect(&reloading);
    assert!(time.trim_end().parse::<u64>().unwrap() > 0, "{reloading}");
    assert_eq!(manager.hear(), "READY=1\nSTATUS=3 clients\n");
    assert_eq!(manager.hear(), "WATCHDOG=1\n");
    assert_eq!(manager.hear(), "EXTEND_TIMEOUT_USEC=7200000000\n");
    assert_eq!(manager.hear(), "STOPPING=1\nSTATUS=telling 3 clients\n");
    manager.hears_nothing_more();
}

#[test]
fn a_status_is_sent_only_when_it_changes() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    notifier.ready("1 client");
    notifier.status("1 client");
    notifier.status("2 clients");
    notifier.status("2 clients");
    notifier.status("1 client");

    assert_eq!(manager.hear(), "READY=1\nSTATUS=1 client\n");
    assert_eq!(manager.hear(), "STATUS=2 clients\n");
    assert_eq!(manager.hear(), "STATUS=1 client\n");
    manager.hears_nothing_more();
}

#[test]
fn a_status_cannot_smuggle_an_assignment() {
    let manager = Manager::new();
    manager.notifier().status("lost\nMAINPID=1");
    assert_eq!(manager.hear(), "STATUS=lost MAINPID=1\n");
}

#[test]
fn hand_over_is_one_datagram() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    notifier.hand_over(4711, None).unwrap();
    assert_eq!(manager.hear(), "MAINPID=4711\nREADY=1\nWATCHDOG=1\n");

    let (own, other) = (pidfd(getpid()), pidfd(rustix::process::getppid().unwrap()));
    let id = inode(&own);
    notifier
        .hand_over(process::id(), Some(own.as_fd()))
        .unwrap();
    let expected = if id == inode(&other) {
        // Before Linux 6.9 all pidfds share one inode, which would name the wrong process.
        format!("MAINPID={}\nREADY=1\nWATCHDOG=1\n", process::id())
    } else {
        format!(
            "MAINPID={}\nMAINPIDFDID={id}\nREADY=1\nWATCHDOG=1\n",
            process::id()
        )
    };
    assert_eq!(manager.hear(), expected);
}

#[test]
fn after_a_hand_over_only_the_other_process_speaks() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    notifier.status("1 client");
    assert_eq!(manager.hear(), "STATUS=1 client\n");
    notifier.hand_over(4711, None).unwrap();
    assert_eq!(manager.hear(), "MAINPID=4711\nREADY=1\nWATCHDOG=1\n");
    notifier.status("no client");
    notifier.extend_timeout(Duration::from_secs(10));
    notifier.watchdog();
    notifier.stopping("done");
    manager.hears_nothing_more();
}

fn pidfd(pid: Pid) -> rustix::fd::OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

fn inode(pidfd: &rustix::fd::OwnedFd) -> u64 {
    rustix::fs::fstat(pidfd).unwrap().st_ino
}

#[test]
fn an_abstract_socket_is_written_with_an_at_sign() {
    let name = format!("batond-test-notify-{}", process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    Notifier::to(format!("@{name}")).watchdog();
    assert_eq!(hear(&socket), "WATCHDOG=1\n");
}

#[test]
fn a_service_manager_that_makes_its_socket_anew_is_found_again() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    notifier.watchdog();
    fs::remove_file(&manager.path).unwrap();
    let socket = UnixDatagram::bind(&manager.path).unwrap();
    notifier.watchdog();
    assert_eq!(hear(&socket), "WATCHDOG=1\n");
}

#[test]
fn a_full_queue_drops_what_comes_again_and_keeps_what_does_not() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    let sent = fill(&manager);
    // Neither blocks.
    notifier.watchdog();
    notifier.status("working");
    let (tell_thread, thread) = mpsc::channel();
    let waiting = thread::spawn(move || {
        tell_thread
            .send(fs::read_link("/proc/thread-self").unwrap())
            .unwrap();
        notifier.stopping("bye");
    });
    until_it_waits(&thread.recv().unwrap());
    for _ in 0..sent {
        assert_eq!(manager.hear(), "filler");
    }
    assert_eq!(manager.hear(), "STOPPING=1\nSTATUS=bye\n");
    manager.hears_nothing_more();
    waiting.join().unwrap();
}

#[test]
fn a_status_that_was_dropped_is_sent_the_next_time() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    let sent = fill(&manager);
    notifier.status("1 client");
    for _ in 0..sent {
        assert_eq!(manager.hear(), "filler");
    }
    notifier.status("1 client");
    assert_eq!(manager.hear(), "STATUS=1 client\n");
    manager.hears_nothing_more();
}

/// Returns when a thread sleeps, or is gone (proc_pid_stat(5)).
fn until_it_waits(thread: &Path) {
    let stat = Path::new("/proc").join(thread).join("stat");
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") S ")) {
        thread::yield_now();
    }
}

/// Sends until the queue is full, and says how many datagrams that took.
fn fill(manager: &Manager) -> usize {
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    filler.connect(&manager.path).unwrap();
    let mut sent = 0;
    while filler.send(b"filler").is_ok() {
        sent += 1;
    }
    sent
}

#[test]
fn a_failure_is_logged_once_and_a_hand_over_says_so() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer({
        let log = log.clone();
        move || log.clone()
    });
    tracing::subscriber::with_default(subscriber.finish(), || {
        let notifier = Notifier::to("/nonexistent/notify");
        notifier.ready("up");
        notifier.watchdog();
        notifier.stopping("down");
        notifier.hand_over(4711, None).unwrap_err();
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        log.matches("cannot tell the service manager").count(),
        1,
        "{log}"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
