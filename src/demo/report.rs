//! What the demo found, and whether the promises held.

use std::time::Duration;

use serde::Serialize;

use super::client::{End, SERVICE_RESTART, Story, Visit};
use super::daemon::Exit;
use super::prober::{Outcome, Probe};
use super::timeline::{Timeline, back_after};

/// How soon a client should be back, counted from its Close.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// How many troubles are told.
const EXAMPLES: usize = 5;

/// What the report is made of.
pub struct Facts<'a> {
    /// What happened to each client.
    pub stories: &'a [Story],
    /// The newcomers from just before the restart until everyone was back.
    pub probes: &'a [Probe],
    /// Messages that reached the backend.
    pub received: u64,
    /// Messages of the backend that came too late for batond to deliver, by its own count; None:
    /// it has not said.
    pub discarded: Option<u64>,
    /// How the process that was replaced has ended; None: it has not.
    pub exit: Option<Exit>,
}

/// Numbers of clients, connections and messages.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Clients that took part.
    pub clients: usize,
    /// Clients that were told 1012.
    pub told: usize,
    /// Of those, clients whose connection was closed in order.
    pub closed_cleanly: usize,
    /// Clients that came back: their messages were echoed again.
    pub back: usize,
    /// Of those, within 5 s of their Close. How many depends on the machine, too.
    pub back_in_time: usize,
    /// Connections that ended without a Close.
    pub cut: usize,
    /// Closes with another code than 1012, and connections that failed.
    pub other_endings: usize,
    /// New connections meanwhile.
    pub newcomers: Newcomers,
    /// The clients' messages.
    pub messages: Messages,
    /// When what happened.
    pub timeline: Timeline,
    /// Promises that did not hold; none is a success.
    pub broken: Vec<String>,
    /// Some of what clients and newcomers met that they should not have.
    pub examples: Vec<String>,
}

/// New connections meanwhile.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Newcomers {
    /// How many.
    pub connections: usize,
    /// Nobody listened.
    pub refused: usize,
    /// Reset or ended.
    pub reset: usize,
    /// Not served in time, or with something other than a WebSocket.
    pub failed: usize,
    /// The longest time from the connect to the WebSocket, in milliseconds.
    pub longest_wait_ms: u64,
}

/// The clients' messages.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Messages {
    /// Sent, before and after the restart.
    pub sent: u64,
    /// Echoed as they were.
    pub echoed: u64,
    /// Echoed wrongly.
    pub wrong: u64,
    /// Never reached the backend.
    pub undelivered: u64,
    /// Echoes that had reached batond before its Close, and did not reach the client.
    pub lost: u64,
    /// Echoes that reached batond after its Close, by its own count: nothing may follow a Close.
    pub answered_late: u64,
    /// Messages that were sent when the Close was at the client already, and unanswered.
    pub sent_late: u64,
}

impl Report {
    /// Counts.
    pub fn new(facts: &Facts<'_>, timeline: Timeline) -> Self {
        let clients = facts.stories.len();
        let visits = || facts.stories.iter().flat_map(|story| &story.visits);
        let is_told =
            |visit: &&Visit| matches!(visit.end, End::Told { code, .. } if code == SERVICE_RESTART);
        let in_order = |visit: &&Visit| matches!(visit.end, End::Told { clean: true, .. });
        let told = visits().filter(is_told).count();
        let backs = || facts.stories.iter().filter_map(back_after);
        let cut = visits()
            .filter(|visit| matches!(visit.end, End::Cut { .. }))
            .count();
        let other_code = visits()
            .filter(|visit| matches!(visit.end, End::Told { .. }))
            .count()
            - told;
        let failed = facts.stories.iter().filter(|story| story.failure.is_some());
        let mut report = Self {
            clients,
            told,
            closed_cleanly: visits().filter(is_told).filter(in_order).count(),
            back_in_time: backs().filter(|(_, after)| *after <= BACK_WITHIN).count(),
            back: backs().count(),
            cut,
            other_endings: other_code + failed.count(),
            newcomers: Newcomers::new(facts.probes),
            messages: Messages::new(facts),
            timeline,
            broken: Vec::new(),
            examples: examples(facts),
        };
        report.broken = report.judge();
        if facts.discarded.is_none() {
            report
                .broken
                .push("batond has not reported its drain".to_owned());
        }
        match facts.exit {
            Some(exit) if exit.is_success() => {}
            Some(exit) => report.broken.push(format!("the first process: {exit}")),
            None => report
                .broken
                .push("the first process has not ended".to_owned()),
        }
        report
    }

    /// What did not hold, in words.
    fn judge(&self) -> Vec<String> {
        let Newcomers {
            refused,
            reset,
            failed,
            ..
        } = self.newcomers;
        let Messages {
            wrong,
            undelivered,
            lost,
            ..
        } = self.messages;
        let rules = [
            (
                self.clients.abs_diff(self.told) as u64,
                "clients were not told 1012 exactly once",
            ),
            (
                (self.told - self.closed_cleanly) as u64,
                "connections were not closed in order",
            ),
            (
                (self.clients - self.back) as u64,
                "clients did not come back",
            ),
            (self.cut as u64, "connections were cut without a Close"),
            (
                self.other_endings as u64,
                "connections failed or ended with another code",
            ),
            (refused as u64, "new connections were refused"),
            (reset as u64, "new connections were reset"),
            (failed as u64, "new connections were not served"),
            (wrong, "echoes were wrong"),
            (undelivered, "messages did not reach the backend"),
            (lost, "echoes were lost that had come before the Close"),
        ];
        rules
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

/// The first few troubles.
fn examples(facts: &Facts<'_>) -> Vec<String> {
    let clients = facts
        .stories
        .iter()
        .enumerate()
        .flat_map(|(number, story)| {
            let failures = story.failure.iter().map(String::as_str);
            let cuts = story.visits.iter().filter_map(|visit| match &visit.end {
                End::Cut { why, .. } => Some(why.as_str()),
                End::Told { .. } | End::Left => None,
            });
            let troubles: Vec<&str> = failures.chain(cuts).collect();
            troubles
                .into_iter()
                .map(move |why| format!("client {number}: {why}"))
        });
    let newcomers = facts
        .probes
        .iter()
        .filter_map(|probe| match &probe.outcome {
            Outcome::Reset(why) | Outcome::Failed(why) => Some(format!("a newcomer: {why}")),
            Outcome::Served | Outcome::Refused | Outcome::TimedOut => None,
        });
    clients.chain(newcomers).take(EXAMPLES).collect()
}

impl Newcomers {
    fn new(probes: &[Probe]) -> Self {
        let mut newcomers = Self {
            connections: probes.len(),
            ..Self::default()
        };
        for probe in probes {
            match probe.outcome {
                Outcome::Served => {}
                Outcome::Refused => newcomers.refused += 1,
                Outcome::Reset(_) => newcomers.reset += 1,
                Outcome::TimedOut | Outcome::Failed(_) => newcomers.failed += 1,
            }
        }
        let longest = probes.iter().map(|probe| probe.waited).max();
        let milliseconds = longest.unwrap_or_default().as_millis();
        newcomers.longest_wait_ms = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        newcomers
    }
}

impl Messages {
    fn new(facts: &Facts<'_>) -> Self {
        let mut messages = Self::default();
        let mut unanswered = 0;
        for visit in facts.stories.iter().flat_map(|story| &story.visits) {
            messages.sent += visit.sent;
            messages.echoed += visit.echoed;
            messages.wrong += visit.wrong;
            messages.sent_late += visit.crossed;
            unanswered += visit.unanswered;
        }
        messages.undelivered = messages.sent.saturating_sub(facts.received);
        // What batond has counted, and could not deliver, are the echoes of both kinds.
        let too_late = facts.discarded.unwrap_or(0);
        messages.lost = (unanswered + messages.sent_late).saturating_sub(too_late);
        messages.answered_late = unanswered.saturating_sub(messages.lost);
        messages
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn visit(end: End) -> Visit {
        Visit {
            first_echo: Some(Instant::now()),
            sent: 10,
            echoed: 10,
            wrong: 0,
            unanswered: 0,
            crossed: 0,
            end,
        }
    }

    fn told(code: u16, clean: bool) -> End {
        End::Told {
            code,
            reason: "service restart; retry in 1.0s".to_owned(),
            at: Instant::now(),
            ended: Instant::now(),
            clean,
        }
    }

    fn story(first: Visit) -> Story {
        Story {
            visits: vec![first, visit(End::Left)],
            failure: None,
        }
    }

    /// The first promise that did not hold for this client, newcomer and count of batond's.
    fn broken(story: Story, outcome: Outcome, discarded: u64) -> Option<String> {
        let probe = Probe {
            began: Instant::now(),
            waited: Duration::from_millis(7),
            outcome,
        };
        let facts = Facts {
            received: story.visits.iter().map(|visit| visit.sent).sum(),
            stories: &[story],
            probes: &[probe],
            discarded: Some(discarded),
            exit: Some(Exit::SUCCESS),
        };
        let report = Report::new(&facts, Timeline::begin("asked for"));
        assert_eq!(report.newcomers.longest_wait_ms, 7);
        report.broken.into_iter().next()
    }

    #[test]
    fn a_clean_restart_keeps_every_promise() {
        let story = story(visit(told(1012, true)));
        assert_eq!(broken(story, Outcome::Served, 0), None);
    }

    #[test]
    fn each_trouble_of_a_client_breaks_a_promise() {
        let cut = End::Cut {
            at: Instant::now(),
            why: "reset".to_owned(),
        };
        for end in [cut, told(1001, true), told(1012, false), End::Left] {
            assert!(broken(story(visit(end)), Outcome::Served, 0).is_some());
        }
        let mut gone = story(visit(told(1012, true)));
        gone.visits.pop();
        assert!(broken(gone, Outcome::Served, 0).is_some());
        let mut failed = story(visit(told(1012, true)));
        failed.failure = Some("refused".to_owned());
        assert!(broken(failed, Outcome::Served, 0).is_some());
    }

    #[test]
    fn each_trouble_of_a_newcomer_breaks_a_promise() {
        let troubles = [
            Outcome::Refused,
            Outcome::Reset(String::new()),
            Outcome::TimedOut,
            Outcome::Failed(String::new()),
        ];
        for outcome in troubles {
            assert!(broken(story(visit(told(1012, true))), outcome, 0).is_some());
        }
    }

    #[test]
    fn a_missing_echo_is_lost_unless_batond_says_that_it_came_after_the_close() {
        let without_echo = || {
            let mut first = visit(told(1012, true));
            first.sent += 1;
            first.unanswered = 1;
            story(first)
        };
        assert_eq!(broken(without_echo(), Outcome::Served, 1), None);
        let lost = broken(without_echo(), Outcome::Served, 0);
        assert!(lost.is_some_and(|what| what.contains("1 echoes were lost")));
    }
}
