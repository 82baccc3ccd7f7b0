//! The restart of a real application under load: two thousand clients that stay, newcomers all the
//! time, and everything that an operator, or a crash, does to it.

mod scenes;
mod stage;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::crowd::books::{Books, Departure, End};
use crate::crowd::way_in::Failure;
use crate::crowd::{Crowd, Plan};
use crate::machine::{Machine, tell};

use scenes::Scene;
use stage::PORT;

/// Clients that stay.
const STEADY: usize = 2_000;

/// Each of them says something so often.
const SAYS_EVERY: Duration = Duration::from_secs(10);

/// 50 a second.
const NEWCOMER_EVERY: Duration = Duration::from_millis(20);

/// Newcomers that must be served before something happens, and after it.
const NEWCOMERS: usize = 50;

on_each_release! {
    no_client_of_an_application_is_cut_whatever_is_done_to_it
    before_the_host_is_powered_off_every_client_is_told
}

/// Two such crowds at a time would only get in each other's way.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gather(machine: &Machine) -> Crowd {
    let plan = Plan {
        address: ([127, 0, 0, 1], PORT).into(),
        trust: stage::set(machine),
        steady: STEADY,
        says_every: SAYS_EVERY,
        newcomer_every: NEWCOMER_EVERY,
        resumes: true,
    };
    let crowd = machine.within_network(|| Crowd::gather(plan));
    let crowd = crowd.expect("the machine has a network");
    crowd.wait("the arrival of the steady clients", |books| {
        books.present == STEADY
    });
    crowd
}

fn no_client_of_an_application_is_cut_whatever_is_done_to_it(machine: &Machine) {
    let _alone = alone();
    let crowd = gather(machine);
    // So that batond knows how many newcomers there are when nothing happens.
    crowd.newcomers_come(true);
    crowd.wait_for_newcomers(10 * NEWCOMERS);
    let mut rows: Vec<Row> = scenes::ALL
        .iter()
        .map(|scene| play(scene, machine, &crowd))
        .collect();
    rows.push(shut_down(machine, &crowd, "reboot", 1012));
    tell(&table(&rows, machine));
    rows.iter().for_each(Row::check);
}

fn before_the_host_is_powered_off_every_client_is_told(machine: &Machine) {
    let _alone = alone();
    let crowd = gather(machine);
    let row = shut_down(machine, &crowd, "poweroff", 1001);
    tell(&table(std::slice::from_ref(&row), machine));
    row.check();
}

/// One thing that happened.
struct Row {
    name: &'static str,
    code: Option<u16>,
    times: (usize, usize),
    books: Books,
    took: Duration,
    /// The host goes down with those who came back too early.
    ends: bool,
}

fn play(scene: &Scene, machine: &Machine, crowd: &Crowd) -> Row {
    let began = Instant::now();
    crowd.take_books();
    crowd.newcomers_come(true);
    crowd.wait_for_newcomers(NEWCOMERS);
    (scene.begin)(machine);
    crowd.wait("everybody to be told", |books| {
        books.departures.len() >= STEADY * scene.times.0
    });
    (scene.mend)(machine);
    crowd.wait("the return of the steady clients", |books| {
        books.present == STEADY
    });
    crowd.wait_for_newcomers(NEWCOMERS);
    crowd.newcomers_come(false);
    crowd.wait("the end of the newcomers", |books| books.under_way == 0);
    Row {
        name: scene.name,
        code: scene.code,
        times: scene.times,
        books: crowd.take_books(),
        took: began.elapsed(),
        ends: false,
    }
}

/// What each of the steady clients sees first, when the host goes down.
fn shut_down(machine: &Machine, crowd: &Crowd, verb: &'static str, code: u16) -> Row {
    let began = Instant::now();
    crowd.take_books();
    machine.run(&["systemctl", verb]);
    crowd.wait("everybody to be told", |books| {
        books.departures.len() >= STEADY
    });
    let mut books = crowd.take_books();
    // Whoever comes back before the host is down is told, or cut, once more.
    let mut seen = std::collections::HashSet::new();
    books.departures.retain(|one| seen.insert(one.client));
    Row {
        name: verb,
        code: Some(code),
        times: (1, 1),
        books,
        took: began.elapsed(),
        ends: true,
    }
}

impl Row {
    fn codes(&self) -> BTreeMap<u16, usize> {
        self.books.codes()
    }

    /// Newcomers and returns that did not come in: refused or reset, and answered otherwise.
    fn failures(&self) -> (usize, usize) {
        let failures = self.books.arrivals().filter_map(|one| one.failure.as_ref());
        let (answered, lost): (Vec<_>, Vec<_>) =
            failures.partition(|one| matches!(one, Failure::Answered(_)));
        (lost.len(), answered.len())
    }

    /// # Panics
    ///
    /// If a promise was broken.
    fn check(&self) {
        let Self { name, .. } = self;
        let cut = |one: &&Departure| matches!(one.end, End::Cut(_));
        let cuts: Vec<_> = self.books.departures.iter().filter(cut).take(5).collect();
        assert!(cuts.is_empty(), "{name}: {cuts:?}");
        let codes: Vec<u16> = self.codes().into_keys().collect();
        assert_eq!(codes, Vec::from_iter(self.code), "{name}");
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        for one in &self.books.departures {
            *times.entry(one.client).or_default() += 1;
        }
        let (least, most) = self.times;
        let wrong = times.values().find(|times| !(least..=most).contains(times));
        assert_eq!((times.len(), wrong), (STEADY, None), "{name}");
        if !self.ends {
            let failures = self.books.arrivals().filter(|one| one.failure.is_some());
            let failures: Vec<_> = failures.take(5).collect();
            assert!(failures.is_empty(), "{name}: {failures:?}");
            let newcomers = self.books.newcomers.iter();
            let unserved: Vec<_> = newcomers.filter(|one| !one.is_served()).take(5).collect();
            assert!(unserved.is_empty(), "{name}: {unserved:?}");
        }
    }
}

fn table(rows: &[Row], machine: &Machine) -> String {
    let release = machine.run(&["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]);
    let mut table = format!(
        "\n{}: {STEADY} steady clients of a Node application\n\
         {:<18} {:>6} {:>9} {:>14} {:>8} {:>11}  {:<20} {:>4}\n",
        String::from_utf8_lossy(&release.stdout).trim(),
        "scene",
        "took s",
        "newcomers",
        "refused, reset",
        "not 101",
        "longest (ms)",
        "codes",
        "1006"
    );
    for row in rows {
        let (lost, answered) = row.failures();
        let codes = row.codes().into_iter();
        let codes: Vec<_> = codes
            .map(|(code, times)| format!("{code}×{times}"))
            .collect();
        let waits = row.books.arrivals().filter_map(|one| one.switched);
        let _ = writeln!(
            table,
            "{:<18} {:>6.1} {:>9} {:>14} {:>8} {:>11.0}  {:<20} {:>4}",
            row.name,
            row.took.as_secs_f64(),
            row.books.newcomers.len(),
            if row.ends {
                "-".to_owned()
            } else {
                lost.to_string()
            },
            if row.ends {
                "-".to_owned()
            } else {
                answered.to_string()
            },
            waits.max().unwrap_or_default().as_secs_f64() * 1e3,
            codes.join(" "),
            row.books.cuts(),
        );
    }
    table
}
