//! Starting the successor so that it is nobody's child.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::io::FdFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::channel::{self, Channel};
use super::error::Cause;
use super::message::Message;
use super::process::Process;

/// The hidden subcommand that makes a batond a launcher.
pub const LAUNCH_SUBCOMMAND: &str = "launch-successor";

/// The option that makes a batond a successor; its value is the channel's descriptor number.
pub const SUCCESSOR_OPTION: &str = "--successor";

/// What the launcher runs: this very program, even if its file has been replaced on disk.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Variables that are about one process and not about those that follow it. Without
/// `WATCHDOG_PID`, the `WATCHDOG_USEC` that stays is meant for whoever reads it
/// (sd_watchdog_enabled(3)). `NOTIFY_SOCKET` and everything else the successor keeps.
pub(super) const OF_ONE_PROCESS: [&str; 6] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "WATCHDOG_PID",
    "SYSTEMD_EXEC_PID",
];

/// Exit codes of sysexits.h.
const EX_USAGE: u8 = 64;
const EX_OSERR: u8 = 71;

/// What to run as successor.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program: a path, or a name to be found in `PATH`.
    pub program: PathBuf,
    /// Its arguments. `--successor FD` is put before them, so they must not have one of their
    /// own.
    pub args: Vec<OsString>,
    /// Variables that it gets beside those of this process: where to notify, since this process
    /// has taken that out of its own environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// The launcher while it runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Launcher {
    child: Child,
    process: Process,
}

impl Launch {
    /// Starts the launcher, which has the other end of the channel as its standard input.
    pub(super) fn start(&self) -> Result<(Channel, Launcher), Cause> {
        let (ours, theirs) = channel::pair().map_err(Cause::Io)?;
        let mut child = Command::new(THIS_PROGRAM)
            .arg(LAUNCH_SUBCOMMAND)
            .arg(&self.program)
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(theirs))
            .spawn()
            .map_err(|error| Cause::Spawn {
                program: THIS_PROGRAM.to_owned(),
                error,
            })?;
        match Process::of_child(&child) {
            Ok(process) => Ok((ours, Launcher { child, process })),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(Cause::Io(error))
            }
        }
    }
}

impl Launcher {
    pub(super) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Waits for its end, which comes as soon as it has started the successor.
    pub(super) async fn finished(&mut self) -> io::Result<std::process::ExitStatus> {
        self.process.ended().await;
        self.child.wait()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Both do nothing if it has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The hidden subcommand: `batond launch-successor PROGRAM [ARGUMENT…]`, with the successor's
/// end of the channel as standard input. Starts `PROGRAM --successor FD [ARGUMENT…]`, where FD is
/// the number of the inherited channel, with `/dev/null` as standard input; sends the
/// predecessor a pidfd of it; and exits with 0, which leaves the successor to PID 1. `args` is
/// what follows `launch-successor`.
///
/// If that fails, the reason goes to the predecessor and the exit code is 71, or 64 when the
/// standard input is not a channel or there is no PROGRAM.
pub fn launch_command(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let stdin = io::stdin();
    let Some(program) = args.next().filter(|_| channel::is_channel(&stdin).is_ok()) else {
        eprintln!(
            "batond {LAUNCH_SUBCOMMAND} is for batond's own use: send SIGUSR2 to the running \
             process to have it start its successor"
        );
        return ExitCode::from(EX_USAGE);
    };
    match launch(program, args, stdin.as_fd()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            let reason = cause.to_string();
            // If even this fails, the predecessor sees the end of the channel.
            let _ = channel::send(&stdin, &Message::Failed { reason }.encode(), &[]);
            ExitCode::from(EX_OSERR)
        }
    }
}

fn launch(
    program: OsString,
    args: impl Iterator<Item = OsString>,
    channel: std::os::fd::BorrowedFd<'_>,
) -> Result<(), Cause> {
    // 3 is the first number that is no standard stream.
    let inherited = rustix::io::fcntl_dupfd_cloexec(channel, 3).map_err(io::Error::from)?;
    rustix::io::fcntl_setfd(&inherited, FdFlags::empty()).map_err(io::Error::from)?;
    let mut command = Command::new(&program);
    command
        .arg(SUCCESSOR_OPTION)
        .arg(inherited.as_raw_fd().to_string())
        .args(args)
        .stdin(Stdio::null());
    for name in OF_ONE_PROCESS {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| Cause::Spawn {
        program: program.to_string_lossy().into_owned(),
        error,
    })?;
    let pid = Pid::from_child(&child);
    let launched = Message::Launched {
        pid: pid.as_raw_nonzero().get(),
    }
    .encode();
    let sent = pidfd_open(pid, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|pidfd| channel::send(channel, &launched, &[pidfd.as_fd()]));
    sent.map_err(|error| {
        // A successor that the predecessor cannot watch must not be.
        let _ = child.kill();
        let _ = child.wait();
        Cause::Io(error)
    })
}
