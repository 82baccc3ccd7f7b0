//! A service that a job is about, with clients that come back, in simulated time.

use std::collections::VecDeque;
use std::time::Duration;

use batond::config::{BackendAddress, Spread};
use batond::restart::interlock::Refusal;
use batond::restart::job::{Action, Counts, Event, Job, Kind, Order, Target};
use batond::restart::report::JobReport;

const STEP: Duration = Duration::from_millis(50);

pub(crate) fn target(unit: &str) -> Target {
    Target {
        unit: Some(unit.to_owned()),
        backend: None,
    }
}

/// The restart of one unit with the default settings.
pub(crate) fn order(clients: u64) -> Order {
    Order {
        kind: Kind::Restart,
        service: "chat".to_owned(),
        targets: vec![target("chat.service")],
        clients,
        newcomers_per_second: 0.0,
        force: false,
        spread: Spread::Auto,
        retry: Duration::from_secs(1)..=Duration::from_secs(5),
        deadline: Duration::from_secs(30),
        close_timeout: Duration::from_secs(5),
        hold: Duration::from_secs(20),
        restart_within: Duration::from_secs(20),
        cores: 2,
        known_rate: None,
    }
}

/// The same of several, one after the other.
pub(crate) fn rolling(clients: u64, units: usize) -> Order {
    let targets = (1..=units).map(|number| Target {
        unit: Some(format!("chat@{number}.service")),
        backend: Some(BackendAddress::Tcp(format!("127.0.0.1:{number}"))),
    });
    Order {
        targets: targets.collect(),
        ..order(clients)
    }
}

/// How the world takes the job.
pub(crate) struct Service {
    pub(crate) refusals: Vec<Refusal>,
    /// What systemd makes of each request.
    pub(crate) unit_jobs: VecDeque<Result<(), String>>,
    /// What the probes say; after the last one they are good.
    pub(crate) probes: VecDeque<Result<(), String>>,
    /// The probes never are good.
    pub(crate) dead: bool,
    /// Milliseconds from telling to return, by turns; empty: nobody comes back.
    pub(crate) delays: Vec<u64>,
    /// What happens when, besides.
    pub(crate) then: Vec<(Duration, Event)>,
    /// Resumes when drained.
    pub(crate) resumes: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            refusals: Vec::new(),
            unit_jobs: VecDeque::new(),
            probes: VecDeque::new(),
            dead: false,
            delays: vec![1_000, 2_000, 3_000, 4_000, 5_000],
            then: Vec::new(),
            resumes: true,
        }
    }
}

impl Service {
    /// Runs a job to its end: its report, and everything that it did, as words.
    pub(crate) fn run(mut self, order: Order) -> (JobReport, Vec<String>) {
        let mut job = Job::new(order.clone());
        let mut counts = Counts::default();
        let mut parts: Vec<u64> = Vec::new();
        let share = order.targets.len() as u64;
        for number in 0..share {
            parts.push(order.clients / share + u64::from(number < order.clients % share));
        }
        let mut parts = parts.into_iter();
        let mut coming: Vec<Duration> = Vec::new();
        let mut closed = false;
        let mut done = Vec::new();
        let mut turn = 0;
        let mut answers: VecDeque<(Duration, Event)> = self.then.drain(..).collect();
        let mut actions = job.begin();
        let mut now = Duration::ZERO;
        loop {
            for action in std::mem::take(&mut actions) {
                let word = format!("{action:?}");
                let word = word.split(['(', ' ']).next().unwrap().to_owned();
                if done.last() != Some(&word) {
                    done.push(word);
                }
                match action {
                    Action::Check => {
                        answers.push_back((now, Event::Checked(self.refusals.clone())));
                    }
                    Action::CloseHold(target) => {
                        closed = target.backend.is_none();
                        counts.left = parts.next().unwrap();
                        counts.untold = counts.left;
                    }
                    Action::Tell { count, within, .. } => {
                        assert!(within <= order.deadline);
                        let count = count.min(counts.untold);
                        counts.untold -= count;
                        counts.left -= count;
                        counts.told += count;
                        counts.closed_cleanly += count;
                        for _ in 0..count {
                            turn += 1;
                            if !self.delays.is_empty() {
                                let delay = self.delays[turn % self.delays.len()];
                                coming.push(now + Duration::from_millis(delay));
                            }
                        }
                        answers.push_back((now, Event::Told(count)));
                    }
                    Action::RestartUnit(_) => {
                        let result = self.unit_jobs.pop_front().unwrap_or(Ok(()));
                        answers.push_back((now + Duration::from_secs(1), Event::UnitJob(result)));
                    }
                    Action::Drained if self.resumes => {
                        answers.push_back((now + Duration::from_secs(1), Event::Resume));
                    }
                    Action::Probe { after } => {
                        let bad = || Err("connection refused".to_owned());
                        let good = if self.dead { bad() } else { Ok(()) };
                        let result = self.probes.pop_front().unwrap_or(good);
                        answers.push_back((now + after, Event::Probed(result)));
                    }
                    Action::LetIn(count) => {
                        let count = count.min(counts.waiting);
                        counts.waiting -= count;
                        counts.released += count;
                        counts.upgraded += count;
                    }
                    Action::OpenHold(_) => {
                        closed = false;
                        counts.released += counts.waiting;
                        counts.upgraded += counts.waiting;
                        counts.waiting = 0;
                    }
                    Action::Finish(report) => return (*report, done),
                    Action::Drained | Action::Raise { .. } | Action::Clear { .. } => {}
                }
            }
            if let Some(next) = answers.iter().position(|(at, _)| *at <= now) {
                let (_, event) = answers.remove(next).unwrap();
                actions = job.on(now, event);
                continue;
            }
            now += STEP;
            let before = coming.len();
            coming.retain(|at| *at > now);
            let arrived = (before - coming.len()) as u64;
            counts.arrived += arrived;
            counts.latency = (arrived > 0).then_some(Duration::from_millis(2));
            if closed {
                counts.held += arrived;
                counts.waiting += arrived;
            } else {
                counts.upgraded += arrived;
            }
            actions = job.on(now, Event::Tick(counts));
            assert!(now < Duration::from_secs(600), "it ends: {done:?}");
        }
    }
}
