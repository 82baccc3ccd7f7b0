//! Processes of the benchmark: started on their cores, asked for CPU time and memory, always stopped.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long a process may take to begin listening, or to end when asked.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to execute.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// A process on one core, with its workers.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Itself and what it has started since, by [`find_workers`](Self::find_workers).
    family: Vec<(Pid, OwnedFd)>,
}

impl Process {
    /// Starts `launch` on `cores`; what it prints goes to a file in `folder`, or, with `piped`, its
    /// standard input and output come back in the child.
    pub(crate) fn start(
        name: &str,
        cores: &[usize],
        launch: &Launch,
        folder: &Path,
        piped: bool,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let errors =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = Command::new(std::env::current_exe()?);
        let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
        command.args(["place", "--cores", &cores.join(","), "--"]);
        command
            .arg(&launch.program)
            .args(&launch.arguments)
            .current_dir(folder);
        if piped {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        } else {
            command.stdin(Stdio::null()).stdout(errors.try_clone()?);
        }
        let child = command
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let mut process = Self {
            name: name.to_owned(),
            child,
            log,
            family: Vec::new(),
        };
        process.find_workers()?;
        Ok(process)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until `address` accepts connections.
    pub(crate) fn wait_until_listening(&mut self, address: SocketAddr) -> Result<()> {
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended ({status}) before it listened: {}",
                    self.name,
                    self.last_words()
                );
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "{} does not listen on {address} after {PATIENCE:?}: {}",
                self.name,
                self.last_words()
            );
            pause(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The end of what it printed.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            return "it printed nothing".to_owned();
        }
        format!(
            "it printed:\n{}",
            lines[lines.len().saturating_sub(10)..].join("\n")
        )
    }

    /// Looks up itself and all its descendants. To be called once its workers run.
    pub(crate) fn find_workers(&mut self) -> Result<()> {
        let parents = parents()?;
        let mut pids = vec![self.child.id() as i32];
        let mut at = 0;
        while let Some(&pid) = pids.get(at) {
            pids.extend(
                parents
                    .iter()
                    .filter(|(_, parent)| *parent == pid)
                    .map(|(child, _)| child),
            );
            at += 1;
        }
        self.family.clear();
        for pid in pids.into_iter().filter_map(Pid::from_raw) {
            // One that has just ended is no worker.
            if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
                self.family.push((pid, handle));
            }
        }
        Ok(())
    }

    /// Fails unless every thread of the process and its workers may run on `cores` only, which
    /// follow each other.
    pub(crate) fn check_pinned(&self, cores: &[usize]) -> Result<()> {
        let expected = match cores {
            [first, .., last] => format!("{first}-{last}"),
            _ => cores.iter().map(usize::to_string).collect(),
        };
        for thread in self.threads()? {
            let status = fs::read_to_string(thread.join("status"))?;
            let allowed = field(&status, "Cpus_allowed_list:").unwrap_or_default();
            ensure!(
                allowed == expected,
                "{}: {} runs on cores {allowed}, not on {expected}",
                self.name,
                thread.display()
            );
        }
        Ok(())
    }

    /// CPU time of all its threads, user and system, ns. The scheduler's own count, exact for
    /// threads that sleep (proc_pid_schedstat: the first field).
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        let mut sum = 0;
        for thread in self.threads()? {
            let text = fs::read_to_string(thread.join("schedstat")).with_context(|| {
                format!("{} has lost a thread: {}", self.name, self.last_words())
            })?;
            let field = text.split_whitespace().next().unwrap_or_default();
            sum += field
                .parse::<u64>()
                .context("schedstat does not begin with a number")?;
        }
        Ok(sum)
    }

    /// Anonymous memory in use, bytes: heap and stacks, not code and not the kernel's buffers.
    pub(crate) fn memory(&self) -> Result<u64> {
        let mut sum = 0;
        for (pid, _) in &self.family {
            let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))
                .with_context(|| format!("{} has ended: {}", self.name, self.last_words()))?;
            let kib = field(&status, "RssAnon:").and_then(|text| text.strip_suffix(" kB"));
            let kib = kib.with_context(|| format!("{} has no RssAnon", self.name))?;
            sum += kib.trim().parse::<u64>()? * 1024;
        }
        Ok(sum)
    }

    /// [`memory`](Self::memory) once it has not changed for so many seconds (or after six times
    /// as many).
    pub(crate) fn settled_memory(&self, seconds: u32) -> Result<u64> {
        let mut memory = self.memory()?;
        let mut unchanged = 0;
        for _ in 0..60 * seconds {
            pause(Duration::from_millis(100));
            let now = self.memory()?;
            unchanged = if now == memory { unchanged + 1 } else { 0 };
            memory = now;
            if unchanged == 10 * seconds {
                break;
            }
        }
        Ok(memory)
    }

    /// Asks it to end, and does not wait.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// One folder of /proc per thread.
    fn threads(&self) -> Result<Vec<PathBuf>> {
        let mut threads = Vec::new();
        for (pid, _) in &self.family {
            let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
            let entries = fs::read_dir(tasks)
                .with_context(|| format!("{} has ended: {}", self.name, self.last_words()))?;
            for entry in entries {
                threads.push(entry?.path());
            }
        }
        Ok(threads)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<()> {
        self.stop(PATIENCE)
    }

    /// Asks it to end, and makes it end if it has not after `patience`.
    fn stop(&mut self, patience: Duration) -> Result<()> {
        // After it has been waited for, its number may belong to another process.
        if self.child.try_wait()?.is_none() {
            self.find_workers()?;
        }
        self.signal(Signal::TERM);
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() && begin.elapsed() < patience {
            pause(Duration::from_millis(5));
        }
        self.signal(Signal::KILL);
        self.child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        for (_, handle) in &self.family {
            // An error says that it is gone already.
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Duration::from_secs(2)) {
            eprintln!(
                "cannot stop {} (process {}): {error:#}",
                self.name,
                self.child.id()
            );
        }
    }
}

/// Every process and its parent.
fn parents() -> Result<Vec<(i32, i32)>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // proc_pid_stat(5): the name is in parentheses and may hold any character; the parent is
        // the second field behind it. A process that has just ended has no file any more.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        if let Some(parent) = behind
            .split_whitespace()
            .nth(1)
            .and_then(|field| field.parse().ok())
        {
            parents.push((pid, parent));
        }
    }
    Ok(parents)
}

/// The value behind a label in a /proc status file.
fn field<'a>(status: &'a str, label: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(label))
        .map(str::trim)
}

/// Waits for something that cannot be waited for: another program's listener, its memory.
#[expect(clippy::disallowed_methods, reason = "there is no event for these")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
