//! What a process holds, and which processes there are, as the kernel tells (proc(5)).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::support::PATIENCE;
use crate::support::batond::Batond;

/// Memory that two processes of the same kind may differ by, in KiB: allocators keep what they
/// had at their peak.
const MEMORY_SLACK: u64 = 2048;

/// Descriptor numbers that may be in use for a moment while clients arrive.
const NUMBER_SLACK: u32 = 16;

/// What the main process holds.
#[derive(Debug)]
pub(crate) struct Census {
    /// Open descriptors: how many of each kind.
    descriptors: BTreeMap<String, usize>,
    /// The highest number of a socket. Other kinds may come from the test's own surroundings.
    highest: u32,
    threads: usize,
    /// Anonymous memory, in KiB.
    memory: u64,
    /// The arguments, among them the number of the descriptor that the predecessor handed on.
    arguments: String,
    /// Processes of this daemon, and processes whose parent one of them is.
    processes: usize,
}

impl Census {
    /// As it is now.
    pub(crate) fn of(batond: &Batond) -> Self {
        let pid = batond.main().pid();
        let process = Path::new("/proc").join(pid.to_string());
        let (mut descriptors, mut highest) = (BTreeMap::new(), 0);
        for entry in fs::read_dir(process.join("fd")).expect("list descriptors") {
            let entry = entry.expect("list descriptors");
            // One that has been closed meanwhile is none.
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            let kind = kind(&target);
            if kind == "socket" {
                let number = entry.file_name().to_string_lossy().parse();
                highest = highest.max(number.expect("descriptors are numbers"));
            }
            *descriptors.entry(kind).or_default() += 1;
        }
        let tasks = fs::read_dir(process.join("task")).expect("list threads");
        let arguments = fs::read(process.join("cmdline")).expect("read the arguments");
        Self {
            descriptors,
            highest,
            threads: tasks.count(),
            memory: anonymous(&process),
            arguments: String::from_utf8_lossy(&arguments).replace('\0', " "),
            processes: processes(pid, &batond.config()),
        }
    }

    /// The main process of now holds no more than that of then, as soon as it has closed what it
    /// is about to close.
    ///
    /// # Panics
    /// If it still holds more after [`PATIENCE`].
    pub(crate) fn is_not_exceeded_by(&self, batond: &Batond) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::of(batond);
            if self.covers(&now) {
                eprintln!("then: {self:?}\nnow:  {now:?}");
                return;
            }
            assert!(
                Instant::now() < deadline,
                "more than before:\n{self:#?}\n{now:#?}"
            );
            // Nobody but the process is told that it closes something, so this has to look.
            thread::yield_now();
        }
    }

    fn covers(&self, now: &Self) -> bool {
        let held = |kind: &String| self.descriptors.get(kind).copied().unwrap_or(0);
        now.descriptors
            .iter()
            .all(|(kind, count)| *count <= held(kind))
            && now.highest <= self.highest + NUMBER_SLACK
            && now.threads <= self.threads
            && now.memory <= self.memory + self.memory / 2 + MEMORY_SLACK
            && now.arguments == self.arguments
            && now.processes == 1
            && self.processes == 1
    }
}

/// `socket:[12345]` is a socket, and a file its name.
fn kind(target: &Path) -> String {
    let target = target.to_string_lossy();
    match target.split_once(":[") {
        Some((kind, number)) if kind != "anon_inode" && !number.is_empty() => kind.to_owned(),
        _ => target.into_owned(),
    }
}

fn anonymous(process: &Path) -> u64 {
    let rollup = fs::read_to_string(process.join("smaps_rollup")).expect("read the memory's sums");
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let size = line.and_then(|line| line.trim().strip_suffix(" kB"));
    size.and_then(|size| size.parse().ok())
        .expect("a sum of the anonymous memory")
}

/// How many processes have this configuration among their arguments, or are children of the main
/// one, be it that they have ended and nobody has asked how.
fn processes(main: u32, config: &Path) -> usize {
    let config = config.to_string_lossy();
    let all = fs::read_dir("/proc").expect("list processes");
    let is_ours = |process: &Path| {
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&*config)
            || status.lines().any(|line| line == format!("PPid:\t{main}"))
    };
    all.filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| is_ours(path))
        .count()
}
