//! A rehearsal: would the program on disk run, and take the configuration? It is started to check
//! that, and to nothing else, so that nobody is sent away while batond itself could not come back.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::launch::OF_ONE_PROCESS;

/// How long the check may take. It reads files, and signs once with each key.
const DEADLINE: Duration = Duration::from_secs(5);

/// The same for everything, also on a file system that hangs.
const ANSWER: Duration = Duration::from_secs(7);

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

/// Has the program on disk check the configuration, unless it is the one that runs now, which
/// can do that itself. What is wrong with certificates is not asked for.
///
/// # Errors
/// Why it would not start, in words.
pub async fn rehearse(program: PathBuf, config: PathBuf) -> Result<(), String> {
    let (done, result) = oneshot::channel();
    let began = thread::Builder::new()
        .name("rehearsal".to_owned())
        .spawn(move || {
            let _ = done.send(check(&program, &config, DEADLINE));
        });
    if let Err(error) = began {
        return Err(format!("it cannot be tried: {error}"));
    }
    match timeout(ANSWER, result).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("it cannot be tried".to_owned()),
        Err(_) => Err(format!("it cannot be tried within {ANSWER:?}")),
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
    let deadline = Timespec::try_from(deadline).map_err(io::Error::other)?;
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
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).and_then(|pidfd| {
        let mut end = [PollFd::new(&pidfd, PollFlags::IN)];
        poll(&mut end, Some(&deadline))
    });
    let in_time = matches!(ended, Ok(1));
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

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
