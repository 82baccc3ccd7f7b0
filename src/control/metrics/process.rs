//! What the kernel knows of this process, under the names that Prometheus's own client libraries
//! use for it. What cannot be found out is left out.

use std::fs;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// One moment of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Descriptors that are open.
    pub open_fds: Option<u64>,
    /// How many may be; None: any number.
    pub max_fds: Option<u64>,
    /// Memory in use, in bytes.
    pub resident_bytes: Option<u64>,
    /// Processor time used so far, in the kernel and outside.
    pub cpu: Duration,
    /// When it began, in seconds since 1970.
    pub started: Option<f64>,
}

impl Process {
    /// As it is now.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            open_fds: open_fds().ok(),
            max_fds: getrlimit(Resource::Nofile).current,
            resident_bytes: resident_bytes(),
            cpu: Duration::new(cpu.tv_sec.unsigned_abs(), cpu.tv_nsec.unsigned_abs() as u32),
            started: started(),
        }
    }
}

/// Since Linux 6.2 the size of the folder is the number of its entries (proc_pid_fd(5)); before,
/// it is 0, and they have to be counted.
fn open_fds() -> io::Result<u64> {
    const OPEN: &str = "/proc/self/fd";
    match fs::metadata(OPEN)?.len() {
        // One is open for counting.
        0 => Ok((fs::read_dir(OPEN)?.count() as u64).saturating_sub(1)),
        open => Ok(open),
    }
}

/// The second number is that of resident pages (proc_pid_statm(5)).
fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// It never changes, though the clock that it is told by does: so it is read once.
fn started() -> Option<f64> {
    static STARTED: OnceLock<Option<f64>> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in brackets, which may hold anything; the start
        // is the 22nd, in ticks since the host started (proc_pid_stat(5)).
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: u64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
        let after_boot = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        let uptime = clock_gettime(ClockId::Boottime);
        let uptime = uptime.tv_sec as f64 + uptime.tv_nsec as f64 / 1e9;
        let now = Timestamp::now().as_nanosecond() as f64 / 1e9;
        Some(now - uptime + after_boot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_of_this_process() {
        let before = Process::now();
        let files: Vec<_> = (0..10).map(|_| fs::File::open("/proc/self/stat")).collect();
        let after = Process::now();
        // Other tests of this process open and close some, too.
        assert!(before.open_fds.expect("counted") > 0);
        assert!(after.open_fds.expect("counted") >= files.len() as u64);
        assert!(
            after
                .max_fds
                .is_none_or(|max| max >= after.open_fds.expect("counted"))
        );
        assert!(after.resident_bytes.expect("known") > 1 << 20);
        assert!(after.cpu >= before.cpu);
        let now = Timestamp::now().as_second() as f64;
        let started = after.started.expect("known");
        assert!(
            (now - 24.0 * 3600.0..=now + 1.0).contains(&started),
            "{started}"
        );
    }
}
