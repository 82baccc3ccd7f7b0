//! How busy is what clients come back through: the host, this process, and the units of the
//! backends, by what the kernel counts of their control groups (cgroups(7), version 2).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Where the kernel shows control groups.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Looks at it again and again.
#[derive(Debug)]
pub(super) struct Processor {
    host: Part,
    own: Part,
    units: Vec<Part>,
}

/// Something that takes processor time.
#[derive(Debug)]
struct Part {
    /// `cpu.stat` of its control group; none: this process.
    file: Option<PathBuf>,
    /// How many cores it can use.
    cores: f64,
    /// Time that it has taken, at the last look.
    before: Option<(Instant, Duration)>,
}

impl Processor {
    /// Of a process with so many workers, and of the control groups of all units that clients may
    /// come back to.
    pub(super) fn new(workers: usize, groups: &[String]) -> Self {
        Self::below(Path::new(CONTROL_GROUPS), workers, groups)
    }

    fn below(root: &Path, workers: usize, groups: &[String]) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let part = |group: &str, cores| Part {
            file: Some(root.join(group.trim_start_matches('/')).join("cpu.stat")),
            cores,
            before: None,
        };
        Self {
            host: part("", cores as f64),
            own: Part {
                file: None,
                cores: workers.clamp(1, cores) as f64,
                before: None,
            },
            // Many applications have one thread that does it all. One that has more is seen to
            // take more.
            units: groups.iter().map(|group| part(group, 1.0)).collect(),
        }
    }

    /// What part of its time the busiest of them was at work since the last look, 0 to 1. None: not
    /// known of each.
    pub(super) fn busy(&mut self, now: Instant) -> Option<f64> {
        let all = [&mut self.host, &mut self.own];
        // Each of them is looked at in any case.
        let busy: Vec<_> = all
            .into_iter()
            .chain(&mut self.units)
            .map(|part| part.busy(now))
            .collect();
        busy.into_iter()
            .try_fold(0.0, |most: f64, one| Some(most.max(one?)))
    }
}

impl Part {
    fn busy(&mut self, now: Instant) -> Option<f64> {
        let taken = match &self.file {
            Some(file) => usage(&fs::read_to_string(file).ok()?),
            None => own(),
        };
        let before = self.before.take();
        self.before = taken.map(|taken| (now, taken));
        let ((then, before), taken) = (before?, taken?);
        // It has begun anew with its unit.
        let cores = taken.checked_sub(before)?.as_secs_f64() / (now - then).as_secs_f64();
        if !cores.is_finite() {
            return None;
        }
        self.cores = self.cores.max((cores - 0.1).ceil());
        Some((cores / self.cores).min(1.0))
    }
}

/// `usage_usec` of a `cpu.stat`.
fn usage(stat: &str) -> Option<Duration> {
    let mut lines = stat.lines();
    let micros = lines.find_map(|line| line.strip_prefix("usage_usec "))?;
    micros.trim().parse().ok().map(Duration::from_micros)
}

/// Of all threads of this process.
fn own() -> Option<Duration> {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would write.
    fn write(root: &Path, group: &str, micros: u64) {
        let folder = root.join(group);
        fs::create_dir_all(&folder).expect("make a folder");
        let stat = format!("usage_usec {micros}\nuser_usec 1\nsystem_usec 1\n");
        fs::write(folder.join("cpu.stat"), stat).expect("write a file");
    }

    #[test]
    fn the_busiest_part_counts() {
        let root = tempfile::tempdir().expect("make a folder");
        let root = root.path();
        let groups = ["/system.slice/chat.service".to_owned()];
        let mut processor = Processor::below(root, 1_000, &groups);
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);

        write(root, "", 0);
        assert_eq!(processor.busy(after(0)), None, "the unit is not there");
        write(root, "system.slice/chat.service", 0);
        assert_eq!(processor.busy(after(100)), None, "nothing to compare with");
        write(root, "system.slice/chat.service", 40_000);
        let busy = processor.busy(after(200)).expect("known");
        assert!((0.39..0.41).contains(&busy), "{busy} of one thread");

        // One and a half: so it has two threads, as far as is known.
        write(root, "system.slice/chat.service", 190_000);
        let busy = processor.busy(after(300)).expect("known");
        assert!((0.74..0.76).contains(&busy), "{busy} of two threads");

        let cores = processor.host.cores;
        let all = (cores * 90_000.0) as u64;
        write(root, "", all);
        let busy = processor.busy(after(400)).expect("known");
        assert!((0.89..0.91).contains(&busy), "{busy} of the host");

        write(root, "system.slice/chat.service", 10);
        assert_eq!(processor.busy(after(500)), None, "the unit began anew");
        write(root, "system.slice/chat.service", 10_010);
        let busy = processor.busy(after(600)).expect("known");
        assert!((0.04..0.06).contains(&busy), "{busy}");
    }

    #[test]
    fn this_process_is_a_part() {
        let root = tempfile::tempdir().expect("make a folder");
        write(root.path(), "", 0);
        let mut processor = Processor::below(root.path(), 1, &[]);
        let began = Instant::now();
        assert_eq!(processor.busy(began), None);
        let before = own().expect("the clock of the process");
        while own().expect("the clock of the process") < before + Duration::from_millis(20) {}
        let busy = processor.busy(began + Duration::from_millis(40));
        assert!(busy >= Some(0.5), "{busy:?}");
    }
}
