//! batond as a process of its own, started and watched as systemd would do it: with listening
//! sockets that it inherits, and with a socket on which it says how it is.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::{env, fmt, fs, thread};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};
use socket2::{Domain, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::log::Log;

/// Connections that may wait until somebody accepts them; what batond itself asks for.
const BACKLOG: i32 = 4_096;

/// Longest datagram of sd_notify(3) that is understood, in bytes.
const NOTIFICATION_MAX: usize = 4_096;

/// Makes the socket that is its standard input its descriptor 3, the first that a process
/// started by systemd inherits, and becomes the daemon. LISTEN_PID can be known only here.
const BECOME: &str = r#"LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@" 3<&0 0</dev/null"#;

/// What a demo that runs under systemd has inherited, and batond must not.
const OF_SYSTEMD: [&str; 6] = [
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "MAINPID",
    "INVOCATION_ID",
];

/// Numbers the notification sockets of this process.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// How to start batond.
pub struct Launch<'a> {
    /// The executable.
    pub program: &'a Path,
    /// Its configuration.
    pub config: &'a Path,
    /// A private folder for the notification socket; its path is short.
    pub folder: &'a Path,
    /// The name of a listener, and the socket for it. This copy is closed once it is passed on.
    pub socket: (&'a str, OwnedFd),
}

/// A running batond with everything that it has started: they are one process group. Dropping it
/// kills that group.
pub struct Daemon {
    child: Child,
    process: Process,
    said: watch::Receiver<Said>,
    listening: AbortHandle,
    notification_path: PathBuf,
    log: Arc<Log>,
}

/// What has come over the notification socket.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    ready: bool,
    main_pid: Option<Pid>,
}

/// A process, known by its pidfd.
pub struct Process {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

/// Why the daemon is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It could not be started or watched.
    #[error("cannot {doing}: {error}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// It has ended too early.
    #[error("batond has ended before {before}: {exit}")]
    Ended {
        /// What it was to do first.
        before: &'static str,
        /// How.
        exit: Exit,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    code: Option<i32>,
    signal: Option<i32>,
}

/// A listening socket with a long queue. The port 0 has the kernel choose.
///
/// # Errors
/// What the kernel says.
pub fn listening_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Daemon {
    /// Starts it. Call it within a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn start(launch: Launch<'_>, log: Arc<Log>) -> Result<Self, DaemonError> {
        let failed = |doing| move |error| DaemonError::Io { doing, error };
        let number = STARTED.fetch_add(1, Relaxed);
        let notification_path = launch.folder.join(format!("notify-{number}"));
        let notifications =
            UnixDatagram::bind(&notification_path).map_err(failed("make a notification socket"))?;
        let (name, socket) = launch.socket;
        let mut child = command(launch.program, launch.config, name, &notification_path)
            // Nobody is at that address: what the system's bus says is not for this daemon.
            .arg(format!("--bus=unix:path={}/bus", launch.folder.display()))
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed("start batond"))?;
        let process = Process::of(Pid::from_child(&child)).map_err(|error| {
            let _ = child.kill();
            let _ = child.wait();
            failed("watch batond")(error)
        })?;
        let stderr = child.stderr.take();
        let (sender, said) = watch::channel(Said::default());
        let daemon = Self {
            child,
            process,
            said,
            listening: tokio::spawn(listen(notifications, sender)).abort_handle(),
            notification_path,
            log: Arc::clone(&log),
        };
        // It ends when the last process of the group has closed its stderr.
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let lines = stderr
                    .into_iter()
                    .flat_map(|pipe| BufReader::new(pipe).lines());
                lines.map_while(Result::ok).for_each(|line| log.push(line));
            })
            .map_err(failed("read batond's log"))?;
        Ok(daemon)
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What it and its successors have logged.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Waits until it says that it serves.
    ///
    /// # Errors
    /// It ended instead.
    pub async fn ready(&mut self) -> Result<(), DaemonError> {
        self.said("it was ready", |said| said.ready).await.map(drop)
    }

    /// Waits until it names a successor as the main process.
    ///
    /// # Errors
    /// It ended instead, or the successor did at once.
    pub async fn successor(&mut self) -> Result<Process, DaemonError> {
        let said = self
            .said("its successor was ready", |said| said.main_pid.is_some())
            .await?;
        let process = said.main_pid.map_or(Err(Errno::SRCH.into()), Process::of);
        process.map_err(|error| DaemonError::Io {
            doing: "watch the successor",
            error,
        })
    }

    async fn said(
        &mut self,
        before: &'static str,
        enough: impl FnMut(&Said) -> bool,
    ) -> Result<Said, DaemonError> {
        tokio::select! {
            biased;
            Ok(said) = self.said.wait_for(enough) => return Ok(*said),
            () = self.process.ended() => {}
        }
        let exit = self.ended().await?;
        Err(DaemonError::Ended { before, exit })
    }

    /// Waits until the first process has ended.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn ended(&self) -> Result<Exit, DaemonError> {
        self.process.ended().await;
        // It stays a zombie until `drop`, so that its number cannot be taken by another process.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match waitid(WaitId::PidFd(self.process.pidfd.get_ref().as_fd()), options) {
            Ok(status) => Ok(Exit {
                code: status.as_ref().and_then(WaitIdStatus::exit_status),
                signal: status.as_ref().and_then(WaitIdStatus::terminating_signal),
            }),
            Err(error) => Err(DaemonError::Io {
                doing: "learn how batond ended",
                error: error.into(),
            }),
        }
    }
}

/// Takes every notification, as systemd would: a full queue keeps the sender waiting.
async fn listen(socket: UnixDatagram, said: watch::Sender<Said>) {
    let mut buffer = [0; NOTIFICATION_MAX];
    while let Ok(n) = socket.recv(&mut buffer).await {
        for line in String::from_utf8_lossy(&buffer[..n]).lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => said.send_modify(|said| said.ready = true),
                Some(("MAINPID", pid)) => {
                    let pid = pid.parse().ok().and_then(Pid::from_raw);
                    said.send_modify(|said| said.main_pid = pid);
                }
                _ => {}
            }
        }
    }
}

/// The command, but for its standard streams.
fn command(program: &Path, config: &Path, listener: &str, notification_path: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(BECOME).arg(program);
    command.arg("--config").arg(config);
    for (name, _) in env::vars_os() {
        if OF_SYSTEMD.iter().any(|known| name == *known)
            || name.as_encoded_bytes().starts_with(b"BATOND_")
        {
            command.env_remove(name);
        }
    }
    command
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", listener)
        .env("NOTIFY_SOCKET", notification_path)
        // Not the demo's own: Ctrl-C is for the demo, and it ends the whole group.
        .process_group(0);
    command
}

impl Process {
    #[expect(
        deprecated,
        reason = "it warns of types whose descriptor may be closed while it is watched, which an \
                  OwnedFd rules out; what takes its place is unsafe"
    )]
    fn of(pid: Pid) -> io::Result<Self> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self {
            pid,
            pidfd: AsyncFd::with_interest(pidfd, Interest::READABLE)?,
        })
    }

    /// Its number.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends it a signal. That it has ended is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn signal(&self, signal: Signal) -> Result<(), DaemonError> {
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(DaemonError::Io {
                doing: "send batond a signal",
                error: error.into(),
            }),
        }
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        // The only error is that the runtime is shutting down.
        let _ = self.pidfd.readable().await;
    }
}

impl Exit {
    /// As it should be.
    pub const SUCCESS: Self = Self {
        code: Some(0),
        signal: None,
    };

    /// It exited with code 0.
    pub fn is_success(self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "killed by signal {signal}"),
            (None, None) => write!(f, "ended in an unknown way"),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.listening.abort();
        // The group still has its number: its first process, though it may have ended, has not
        // been waited for.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.notification_path);
    }
}
