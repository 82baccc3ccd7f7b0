//! A control group for each machine, so that machines that run at the same time do not see each
//! other's units: systemd takes the group in which it is started for its root.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::wait::wait;

/// Begins the names of all control groups that are made here, followed by the PID of the process
/// that made it, which tells the next one what was left behind.
const PREFIX: &str = "batond-system-";

/// How long processes that were killed may take to disappear.
const DEATH: Duration = Duration::from_secs(30);

/// A control group of its own, removed when dropped: by then its processes must be gone.
#[derive(Debug)]
pub(super) struct Cgroup {
    name: String,
    /// In the unified hierarchy, the one that counts.
    folder: PathBuf,
    /// In the old hierarchy of the name `systemd`, on hosts that still have it: systemd-nspawn
    /// takes the container's path from there.
    old: Option<PathBuf>,
}

impl Cgroup {
    /// Makes a group below the one that this process is in. Groups of processes that are gone are
    /// removed on the way.
    ///
    /// Fails where control groups may not be made, as in most containers.
    pub(super) fn new() -> io::Result<Self> {
        static GROUPS: AtomicU32 = AtomicU32::new(0);
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", process::id());
        let parent = own_group("", &["/sys/fs/cgroup/unified", "/sys/fs/cgroup"])?;
        let parent = parent.ok_or_else(|| io::Error::other("no cgroup2 is mounted"))?;
        let old = own_group("name=systemd", &["/sys/fs/cgroup/systemd"])?;
        for parent in [Some(&parent), old.as_ref()].into_iter().flatten() {
            for folder in leftovers(parent)? {
                // Fails if it is not empty yet, or another test process was faster.
                let _ = remove(&folder);
            }
            fs::create_dir(parent.join(&name))?;
        }
        Ok(Self {
            folder: parent.join(&name),
            old: old.map(|parent| parent.join(&name)),
            name,
        })
    }

    /// A name that no other group on the host has; it may be a host name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The files into which a process writes its PID to join, separated by spaces.
    pub(super) fn doors(&self) -> String {
        let folders = [Some(&self.folder), self.old.as_ref()];
        let doors = folders
            .into_iter()
            .flatten()
            .map(|folder| folder.join("cgroup.procs"));
        let doors: Vec<String> = doors.map(|door| door.display().to_string()).collect();
        doors.join(" ")
    }

    /// Waits until no process is left within, for which poll(2) on cgroup.events wakes up.
    ///
    /// Fails if that takes longer than 30 s.
    pub(super) fn wait_empty(&self) -> io::Result<()> {
        let deadline = Instant::now() + DEATH;
        let mut events = File::open(self.folder.join("cgroup.events"))?;
        let mut text = String::new();
        loop {
            text.clear();
            events.rewind()?;
            events.read_to_string(&mut text)?;
            if text.lines().any(|line| line == "populated 0") {
                return Ok(());
            }
            if !wait(&mut [PollFd::new(&events, PollFlags::PRI)], deadline)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// The host's PIDs of all processes within, in no order.
    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        processes(&self.folder, &mut found)?;
        Ok(found)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in [Some(&self.folder), self.old.as_ref()]
            .into_iter()
            .flatten()
        {
            if let Err(error) = remove(folder) {
                println!("cannot remove {}: {error}", folder.display());
            }
        }
    }
}

/// The group of this process in a hierarchy (cgroups(7)), which is mounted in one of the places.
fn own_group(hierarchy: &str, mounts: &[&str]) -> io::Result<Option<PathBuf>> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let mut lines = own
        .lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let Some((_, path)) = lines.find(|(name, _)| *name == hierarchy) else {
        return Ok(None);
    };
    let folders = mounts
        .iter()
        .map(|mount| Path::new(mount).join(path.trim_start_matches('/')));
    Ok(folders
        .into_iter()
        .find(|folder| folder.join("cgroup.procs").exists()))
}

/// The groups of test processes that are gone.
fn leftovers(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let owner = owner.and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes an empty group with all groups within.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

fn processes(folder: &Path, found: &mut Vec<u32>) -> io::Result<()> {
    let pids = fs::read_to_string(folder.join("cgroup.procs"))?;
    found.extend(pids.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            processes(&entry.path(), found)?;
        }
    }
    Ok(())
}
