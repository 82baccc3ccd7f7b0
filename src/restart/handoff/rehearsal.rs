//! A rehearsal: would the program on disk run, and take the configuration? It is started to check
//! that, and to nothing else, so that nobody is sent away while batond itself could not come back.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Deserialize;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use super::launch::OF_ONE_PROCESS;

/// How long the check may take. It reads files, and signs once with each key.
const DEADLINE: Duration = Duration::from_secs(5);

/// The same for everything, also on a file system that hangs.
const ANSWER: Duration = Duration::from_secs(7);

/// How long it is known what came of one. Who asks again so soon asks the same.
const KEPT: Duration = Duration::from_secs(1);

/// Of what it says, so much is read.
const ANSWER_MAX: u64 = 1 << 20;

/// What `batond check --json` answers, in every version.
#[derive(Deserialize)]
struct Answer {
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    key: String,
    message: String,
}

/// Rehearsals of one program with one configuration, one at a time, however many ask for it.
#[derive(Debug)]
pub struct Rehearsals {
    program: PathBuf,
    config: PathBuf,
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    /// One that has begun, whether or not its beginner still waits.
    running: Option<oneshot::Receiver<Tried>>,
    last: Option<Tried>,
}

/// What came of one.
#[derive(Clone, Debug)]
struct Tried {
    what: What,
    ended: Instant,
    result: Result<(), String>,
}

/// The program and the configuration that were there: each by device, inode and last change. None:
/// it was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct What([Option<(u64, u64, i64, i64)>; 2]);

impl Rehearsals {
    /// None has begun.
    #[must_use]
    pub fn new(program: PathBuf, config: PathBuf) -> Self {
        Self {
            program,
            config,
            turn: Mutex::default(),
        }
    }

    /// Has the program on disk check the configuration, unless it is the one that runs now, which
    /// can do that itself. What is wrong with certificates is not asked for. What came of it is
    /// kept for a second, unless a file is replaced.
    ///
    /// # Errors
    /// Why it would not start, in words.
    pub async fn rehearse(&self) -> Result<(), String> {
        match timeout(ANSWER, self.in_turn()).await {
            Ok(result) => result,
            Err(_) => Err(format!("it cannot be tried within {ANSWER:?}")),
        }
    }

    async fn in_turn(&self) -> Result<(), String> {
        let mut turn = self.turn.lock().await;
        let Turn { running, last } = &mut *turn;
        if running.is_none() {
            let began = self.begin(last.clone());
            *running = Some(began.map_err(|error| format!("it cannot be tried: {error}"))?);
        }
        let untried = || "it cannot be tried".to_owned();
        let tried = running.as_mut().ok_or_else(untried)?.await;
        *running = None;
        let tried = tried.map_err(|_| untried())?;
        last.insert(tried).result.clone()
    }

    /// In a thread, since the file system may hang.
    fn begin(&self, last: Option<Tried>) -> io::Result<oneshot::Receiver<Tried>> {
        let (done, result) = oneshot::channel();
        let (program, config) = (self.program.clone(), self.config.clone());
        thread::Builder::new()
            .name("rehearsal".to_owned())
            .spawn(move || {
                let what = What::is(&program, &config);
                let kept = last.filter(|last| last.what == what && last.ended.elapsed() < KEPT);
                let _ = done.send(kept.unwrap_or_else(|| Tried {
                    what,
                    result: check(&program, &config, DEADLINE),
                    ended: Instant::now(),
                }));
            })?;
        Ok(result)
    }
}

impl What {
    fn is(program: &Path, config: &Path) -> Self {
        Self([program, config].map(|path| {
            let file = path.metadata().ok()?;
            Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
        }))
    }
}

fn check(program: &Path, config: &Path, deadline: Duration) -> Result<(), String> {
    let runs = File::open("/proc/self/exe").and_then(|file| file.metadata());
    let on_disk = program
        .metadata()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if runs.is_ok_and(|runs| (runs.dev(), runs.ino()) == (on_disk.dev(), on_disk.ino())) {
        return Ok(());
    }
    let failed = |what: &str| format!("`{} check` {what}", program.display());
    let (status, said) = run(program, config, deadline)
        .map_err(|error| failed(&format!("cannot be run: {error}")))?;
    let Some(status) = status else {
        return Err(failed(&format!("takes longer than {deadline:?}")));
    };
    if status.success() {
        return Ok(());
    }
    let answer = serde_json::from_slice::<Answer>(&said);
    match answer.as_ref().map(|answer| answer.problems.first()) {
        Ok(Some(problem)) => Err(failed(&format!(
            "says: {}: {}",
            problem.key, problem.message
        ))),
        // Certificates are judged by whoever uses them now.
        Ok(None) => Ok(()),
        Err(_) => Err(failed(&match (status.code(), status.signal()) {
            (Some(code), _) => format!("exits with {code}"),
            (None, Some(signal)) => format!("is ended by signal {signal}"),
            (None, None) => "does not end as it should".to_owned(),
        })),
    }
}

/// How it ended, if it did, and what it said.
fn run(
    program: &Path,
    config: &Path,
    deadline: Duration,
) -> io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let deadline = Instant::now() + deadline;
    let mut answer = File::from(memfd_create("rehearsal", MemfdFlags::CLOEXEC)?);
    let mut command = Command::new(program);
    command
        .args(["check", "--json", "--config"])
        .arg(config)
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(answer.try_clone()?)
        .stderr(Stdio::null());
    for name in OF_ONE_PROCESS {
        command.env_remove(name);
    }
    let mut child = command.spawn()?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
        .and_then(|pidfd| ends_before(deadline, &pidfd));
    let in_time = ended == Ok(true);
    if !in_time {
        child.kill()?;
    }
    let status = child.wait()?;
    ended?;
    let mut said = Vec::new();
    answer.rewind()?;
    answer.take(ANSWER_MAX).read_to_end(&mut said)?;
    Ok((in_time.then_some(status), said))
}

fn ends_before(deadline: Instant, pidfd: &OwnedFd) -> rustix::io::Result<bool> {
    retry_on_intr(|| {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let mut end = [PollFd::new(pidfd, PollFlags::IN)];
        Ok(poll(&mut end, Some(&left))? == 1)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use futures_util::future::join_all;

    use super::*;

    const SLEEP: &str = "exec sleep 60";

    /// What comes of a program that is this script.
    fn of(script: &str) -> Result<(), String> {
        let deadline = match script {
            SLEEP => Duration::from_millis(100),
            _ => DEADLINE,
        };
        let folder = tempfile::tempdir().expect("make a folder");
        let program = folder.path().join("batond");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("write a script");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&program, mode).expect("make it a program");
        let result = check(&program, &folder.path().join("batond.toml"), deadline);
        let path = format!("{}/", folder.path().display());
        result.map_err(|why| why.replace(&path, ""))
    }

    #[test]
    fn a_program_that_checks_and_finds_nothing_is_good() {
        let asked = "[ \"$1 $2 $3\" = 'check --json --config' ] && [ -z \"$NOTIFY_SOCKET\" ]";
        assert_eq!(of(asked), Ok(()));
        // Something is wrong with a certificate, which batond serves all the same.
        assert_eq!(of("echo '{\"problems\":[]}'; exit 78"), Ok(()));
    }

    #[test]
    fn many_who_ask_at_once_have_it_tried_once_and_a_new_program_is_tried_anew() {
        let folder = tempfile::tempdir().expect("make a folder");
        let (program, count) = (folder.path().join("batond"), folder.path().join("count"));
        let install = |exit: u8| {
            let new = folder.path().join("new");
            let script = format!("#!/bin/sh\necho >>{}\nexit {exit}\n", count.display());
            fs::write(&new, script).expect("write a script");
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&new, mode).expect("make it a program");
            fs::rename(&new, &program).expect("put it in place");
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let rehearsals = Rehearsals::new(program.clone(), folder.path().join("batond.toml"));
        let times = || fs::read(&count).expect("it was tried").len();
        install(0);
        let ask = || runtime.block_on(join_all((0..60).map(|_| rehearsals.rehearse())));
        assert!(ask().iter().all(Result::is_ok));
        assert!(times() < 60, "{} times", times());
        let before = times();
        install(3);
        assert!(ask().iter().all(Result::is_err));
        assert!(times() > before);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let refused = "echo '{\"problems\":[{\"key\":\"workers\",\"message\":\"is no number\"}]}'";
        for (script, why) in [
            (
                format!("{refused}; exit 78"),
                "`batond check` says: workers: is no number",
            ),
            ("exit 3".to_owned(), "`batond check` exits with 3"),
            (
                "kill -9 $$".to_owned(),
                "`batond check` is ended by signal 9",
            ),
            (SLEEP.to_owned(), "`batond check` takes longer than 100ms"),
        ] {
            assert_eq!(of(&script), Err(why.to_owned()), "{script}");
        }
        let nowhere = check(Path::new("/nonexistent/batond"), Path::new("/"), DEADLINE);
        let why = "/nonexistent/batond: No such file or directory (os error 2)";
        assert_eq!(nowhere, Err(why.to_owned()));
    }

    #[test]
    fn the_program_that_runs_need_not_be_tried() {
        let own = std::env::current_exe().expect("the own program");
        assert_eq!(check(&own, Path::new("/nonexistent"), DEADLINE), Ok(()));
    }
}
