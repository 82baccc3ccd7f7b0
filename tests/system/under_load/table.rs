//! What everybody saw of the events, as a table.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rustls::{HandshakeKind, ProtocolVersion};

use super::events::{Death, Event, Expected};
use super::{NEWCOMERS, STEADY};
use crate::crowd::Crowd;
use crate::crowd::books::{Books, End, Newcomer};
use crate::crowd::way_in::{Arrival, Failure};
use crate::machine::Machine;

/// One event.
pub(super) struct Row {
    event: &'static Event,
    books: Books,
    death: Option<Death>,
    took: Duration,
}

/// What became of those who came in vain.
#[derive(Debug, Default, PartialEq, Eq)]
struct Losses {
    refused: usize,
    /// By nobody who had accepted them, as far as anybody can see.
    reset: usize,
    /// By the end of the process that had accepted them: nothing can save these.
    accepted: usize,
    /// Another answer than 101.
    answered: usize,
    other: usize,
}

impl Row {
    /// Has an event happen, with newcomers before and after it, and waits until all are back.
    pub(super) fn of(event: &'static Event, machine: &Machine, crowd: &Crowd) -> Self {
        let began = Instant::now();
        crowd.take_books();
        crowd.newcomers_come(true);
        crowd.wait_for_newcomers(NEWCOMERS);
        let death = (event.happen)(machine);
        crowd.wait("the return of the steady clients", |books| {
            let ended = event.expected == Expected::Nothing || books.departures.len() >= STEADY;
            ended && books.present == STEADY
        });
        crowd.wait_for_newcomers(NEWCOMERS);
        let took = began.elapsed();
        crowd.newcomers_come(false);
        crowd.wait("the end of the newcomers", |books| books.under_way == 0);
        Self {
            event,
            books: crowd.take_books(),
            death,
            took,
        }
    }

    fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        let newcomers = self.books.newcomers.iter().filter(|one| !one.is_served());
        let newcomers = newcomers.map(|one| &one.arrival);
        // Of the steady ones, those who came in and were cut later are counted as such.
        let steady = self.books.returns.iter().map(|one| &one.arrival);
        let steady = steady.filter(|arrival| arrival.failure.is_some());
        for arrival in newcomers.chain(steady) {
            match &arrival.failure {
                Some(Failure::Refused) => losses.refused += 1,
                Some(Failure::Answered(_)) => losses.answered += 1,
                Some(Failure::Other(_)) => losses.other += 1,
                Some(Failure::Reset(_)) | None if self.was_accepted(arrival) => {
                    losses.accepted += 1;
                }
                Some(Failure::Reset(_)) | None => losses.reset += 1,
            }
        }
        losses
    }

    /// By the process that died.
    fn was_accepted(&self, arrival: &Arrival) -> bool {
        let (Some(death), Some(port)) = (&self.death, arrival.port) else {
            return false;
        };
        arrival.began < death.at && death.accepted.contains(&port)
    }

    /// The longest of the waits.
    fn longest(&self, wait: impl Fn(&Arrival) -> Option<Duration>) -> Duration {
        let waits = self.books.arrivals().filter_map(wait);
        waits.max().unwrap_or_default()
    }

    /// How many came back with this version, and how many of them resumed their session.
    fn resumed(&self, version: ProtocolVersion) -> (usize, usize) {
        let returns = self.books.returns.iter();
        let kinds = returns.filter_map(|one| one.arrival.tls);
        let (mut resumed, mut all) = (0, 0);
        for (_, kind) in kinds.filter(|(spoken, _)| *spoken == version) {
            all += 1;
            resumed += usize::from(kind == HandshakeKind::Resumed);
        }
        (resumed, all)
    }

    /// # Panics
    ///
    /// If a promise was broken.
    pub(super) fn check(&self) {
        let Event { name, expected, .. } = self.event;
        let losses = self.losses();
        let saved = Losses {
            accepted: losses.accepted,
            ..Losses::default()
        };
        assert_eq!(losses, saved, "{name}: {:#?}", self.examples());
        if self.death.is_none() {
            assert_eq!(losses.accepted, 0, "{name}: {:#?}", self.examples());
        }
        let departures = &self.books.departures;
        let codes: Vec<_> = self.books.codes().into_iter().collect();
        let mut times: HashMap<usize, usize> = HashMap::new();
        for departure in departures {
            *times.entry(departure.client).or_default() += 1;
        }
        let once = times.len() == STEADY && times.values().all(|times| *times == 1);
        let as_expected = match expected {
            Expected::Nothing => departures.is_empty(),
            Expected::Told1012 => once && codes == [(1012, STEADY)],
            Expected::OneCut => once && codes.is_empty(),
        };
        let strange = departures.iter().find(|one| match one.end {
            End::Told { code, .. } => *expected != Expected::Told1012 || code != 1012,
            End::Cut(_) | End::Left => *expected != Expected::OneCut,
        });
        assert!(as_expected, "{name}: {codes:?}, such as {strange:?}");
        for version in [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3] {
            let (resumed, all) = self.resumed(version);
            assert!(
                resumed * 100 >= all * 99,
                "{name}: {resumed} of {all} resumed with {version:?}"
            );
        }
    }

    /// Some of those who came in vain.
    fn examples(&self) -> Vec<&Newcomer> {
        let newcomers = self.books.newcomers.iter();
        newcomers.filter(|one| !one.is_served()).take(5).collect()
    }
}

/// The rows of one machine, and what the columns mean.
pub(super) fn print(rows: &[Row], machine: &Machine) -> String {
    let release = machine.check(&["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]);
    let mut table = format!(
        "\n{release}: {STEADY} steady clients; waits are the longest, in ms\n\
         {:<18} {:>6} {:>9} {:>4} {:>7} {:>5} {:>7} {:>8} {:>7} {:>7}  {:<12} {:>5} {:>5} {:>10} {:>10}\n",
        "event",
        "took s",
        "newcomers",
        "/s",
        "refused",
        "reset",
        "not 101",
        "lost (1)",
        "connect",
        "to 101",
        "codes",
        "cut",
        "back",
        "resumed1.2",
        "resumed1.3"
    );
    for row in rows {
        let losses = row.losses();
        let codes = row.books.codes();
        let codes = codes.iter().map(|(code, times)| format!("{code}×{times}"));
        let codes: Vec<_> = codes.collect();
        let [tls12, tls13] = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3].map(|version| {
            let (resumed, all) = row.resumed(version);
            format!("{resumed}/{all}")
        });
        let newcomers = row.books.newcomers.len();
        let _ = writeln!(
            table,
            "{:<18} {:>6.1} {:>9} {:>4.0} {:>7} {:>5} {:>7} {:>8} {:>7.1} {:>7.0}  {:<12} {:>5} {:>5} {:>10} {:>10}",
            row.event.name,
            row.took.as_secs_f64(),
            newcomers,
            newcomers as f64 / row.took.as_secs_f64(),
            losses.refused,
            losses.reset,
            losses.answered + losses.other,
            losses.accepted,
            row.longest(|arrival| arrival.connected).as_secs_f64() * 1e3,
            row.longest(|arrival| arrival.switched).as_secs_f64() * 1e3,
            codes.join(" "),
            row.books.cuts(),
            row.books.present,
            tls12,
            tls13,
        );
    }
    table + "(1) accepted by the process that died, and cut with it"
}
