//! One line of the table.

use std::fmt;
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::CLIENTS;
use crate::crowd::books::{Books, Newcomer};
use crate::crowd::way_in::Failure;

/// What became of newcomers, and of those who came back.
pub(crate) struct Figures {
    name: String,
    /// Before the return: from the beginning to the 101; median and longest.
    usual: (Duration, Duration),
    newcomers: usize,
    /// Of newcomers during the return: to the TCP connection; median, 99 %, longest.
    connected: [Duration; 3],
    /// The same to the 101.
    switched: [Duration; 3],
    /// Attempts, of newcomers and of those who come back: refused, reset, answered otherwise,
    /// anything else.
    failures: [usize; 4],
    /// How many of the clients were told 1012, and how many were cut off.
    told: (usize, usize),
    /// Until 50, 95 and 100 % were back, from the order.
    back: [Duration; 3],
    processor: Load,
}

impl Figures {
    pub(crate) const HEAD: &str = "retry, spread: newcomers before (median, longest to the 101) | \
        newcomers during: number, ms to connect, ms to the 101 (median, 99 %, longest each) | \
        attempts refused, reset, not 101, other | told 1012, cut | s until 50, 95, 100 % are back \
        | s of CPU, in all and in the busiest second";

    /// `books`: from the order to drain, at `began`, until all were back.
    pub(crate) fn new(
        name: &str,
        usual: &Books,
        books: &Books,
        began: Instant,
        processor: Load,
    ) -> Self {
        let returns = books.returns.iter().map(|one| &one.arrival);
        let mut back: Vec<Duration> = returns
            .filter_map(|one| {
                let took = one.connected? + one.switched?;
                Some((one.began + took).saturating_duration_since(began))
            })
            .collect();
        back.sort_unstable();
        let all_back = began + share(&back, 1.0);
        let during: Vec<&Newcomer> = books
            .newcomers
            .iter()
            .filter(|one| (began..=all_back).contains(&one.arrival.began))
            .collect();
        let mut failures = [0; 4];
        for failure in books.arrivals().filter_map(|one| one.failure.as_ref()) {
            failures[match failure {
                Failure::Refused => 0,
                Failure::Reset(_) => 1,
                Failure::Answered(_) => 2,
                Failure::Other(_) => 3,
            }] += 1;
        }
        let usual: Vec<&Newcomer> = usual.newcomers.iter().collect();
        let [median, _, longest] = to_the_101(&usual);
        Self {
            name: name.to_owned(),
            usual: (median, longest),
            newcomers: during.len(),
            connected: three(during.iter().filter_map(|one| one.arrival.connected)),
            switched: to_the_101(&during),
            failures,
            told: (
                books.codes().get(&1012).copied().unwrap_or_default(),
                books.cuts(),
            ),
            back: [0.5, 0.95, 1.0].map(|part| share(&back[..CLIENTS.min(back.len())], part)),
            processor,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: &Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let list = |times: &[Duration; 3]| times.each_ref().map(ms).join(" ");
        let s = |time: &Duration| format!("{:.2}", time.as_secs_f64());
        write!(
            f,
            "{}: {} {} | {}: {}, {} | {} | {} {} | {} | {} {}",
            self.name,
            ms(&self.usual.0),
            ms(&self.usual.1),
            self.newcomers,
            list(&self.connected),
            list(&self.switched),
            self.failures.map(|count| count.to_string()).join(" "),
            self.told.0,
            self.told.1,
            self.back.each_ref().map(s).join(" "),
            s(&self.processor.whole),
            s(&self.processor.busiest),
        )
    }
}

fn to_the_101(newcomers: &[&Newcomer]) -> [Duration; 3] {
    let arrivals = newcomers.iter().map(|one| &one.arrival);
    three(arrivals.filter_map(|one| Some(one.connected? + one.switched?)))
}

/// The median, what 99 % do not exceed, and the longest.
fn three(times: impl Iterator<Item = Duration>) -> [Duration; 3] {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    [0.5, 0.99, 1.0].map(|part| share(&times, part))
}

/// What this part of them does not exceed.
fn share(sorted: &[Duration], part: f64) -> Duration {
    let count = (sorted.len() as f64 * part).ceil() as usize;
    let place = count.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

/// What a process took of the processor.
pub(crate) struct Load {
    whole: Duration,
    /// The most within one second.
    busiest: Duration,
}

/// Looks at a process until it is told to end.
pub(crate) struct Processor {
    end: Sender<()>,
    thread: JoinHandle<Load>,
}

impl Processor {
    pub(crate) fn watch(pid: u32) -> Self {
        let (end, ended) = channel();
        let watch = move || {
            let mut seen = vec![(Instant::now(), cpu_time(pid))];
            let mut busiest = Duration::ZERO;
            while ended.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                let (now, taken) = (Instant::now(), cpu_time(pid));
                let within = seen.iter().rev();
                let since = within.take_while(|(at, _)| now - *at <= Duration::from_secs(1));
                if let Some((_, before)) = since.last() {
                    busiest = busiest.max(taken.saturating_sub(*before));
                }
                seen.push((now, taken));
            }
            Load {
                whole: cpu_time(pid) - seen[0].1,
                busiest,
            }
        };
        Self {
            end,
            thread: thread::spawn(watch),
        }
    }

    pub(crate) fn end(self) -> Load {
        drop(self.end);
        self.thread.join().expect("a process that runs")
    }
}

/// User and system time of all threads, none of which ends meanwhile (sched-stats of the kernel's
/// documentation; the first field, in ns).
fn cpu_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a process that runs");
    let times = threads.map(|thread| {
        let path = thread.expect("list threads").path().join("schedstat");
        let text = fs::read_to_string(path).unwrap_or_default();
        let time = text.split(' ').next().and_then(|time| time.parse().ok());
        Duration::from_nanos(time.unwrap_or_default())
    });
    times.sum()
}
