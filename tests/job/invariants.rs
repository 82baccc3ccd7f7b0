//! What holds whatever happens, in whatever order.

use std::collections::HashSet;
use std::time::Duration;

use batond::restart::interlock::{Obstacle, Refusal};
use batond::restart::job::{Action, Counts, Event, Job, Kind, Order, Target};
use batond::restart::report::{JobReport, Outcome};
use proptest::prelude::*;

use crate::service::{order, rolling, target};

fn counts() -> impl Strategy<Value = Counts> {
    let number = || prop_oneof![Just(0u64), 1..50u64, Just(5_000u64)];
    (
        number(),
        number(),
        number(),
        number(),
        number(),
        0..3_000u64,
    )
        .prop_map(
            |(left, untold, waiting, arrived, upgraded, latency)| Counts {
                left: left + untold,
                untold,
                waiting,
                arrived,
                upgraded,
                latency: (latency % 3 > 0).then(|| Duration::from_millis(latency)),
                ..Counts::default()
            },
        )
}

fn event() -> impl Strategy<Value = Event> {
    let result = prop_oneof![2 => Just(Ok(())), 1 => Just(Err("no".to_owned()))];
    let refusals = prop_oneof![
        6 => Just(Vec::new()),
        1 => Just(vec![Refusal::of(Obstacle::ConfigurationBroken { why: String::new() })]),
        1 => Just(vec![Refusal::of(Obstacle::NoUnit)]),
    ];
    prop_oneof![
        12 => counts().prop_map(Event::Tick),
        4 => refusals.prop_map(Event::Checked),
        6 => prop_oneof![Just(0u64), 1..100u64].prop_map(Event::Told),
        3 => result.clone().prop_map(Event::UnitJob),
        4 => result.prop_map(Event::Probed),
        1 => Just(Event::UnitDown("it ended again".to_owned())),
        2 => Just(Event::Resume),
        1 => Just(Event::BackendLost),
        1 => Just(Event::Cancel),
        1 => Just(Event::HostShutdown),
    ]
}

fn some_order() -> impl Strategy<Value = Order> {
    (0..3usize, any::<bool>(), 0..2_000u64, any::<bool>()).prop_map(
        |(units, drain, clients, force)| Order {
            force,
            ..match units {
                0 if drain => Order {
                    kind: Kind::Drain,
                    ..order(clients)
                },
                0 => order(clients),
                units => rolling(clients, units + 1),
            }
        },
    )
}

/// Feeds events with pauses of so many milliseconds, and then only ticks, until it is over.
/// Everything that happened, with the time.
fn run(order: &Order, events: Vec<(u64, Event)>) -> Vec<(Duration, Option<Event>, Vec<Action>)> {
    let mut job = Job::new(order.clone());
    let mut now = Duration::ZERO;
    let mut all = vec![(now, None, job.begin())];
    let mut last = Counts::default();
    for (pause, event) in events {
        now += Duration::from_millis(pause);
        if let Event::Tick(counts) = &event {
            last = *counts;
        }
        let actions = job.on(now, event.clone());
        all.push((now, Some(event), actions));
    }
    for _ in 0..5_000 {
        now += Duration::from_millis(500);
        let tick = Event::Tick(last);
        let actions = job.on(now, tick.clone());
        all.push((now, Some(tick), actions));
        if job.word() == "done" {
            break;
        }
    }
    all
}

fn finishes(all: &[(Duration, Option<Event>, Vec<Action>)]) -> Vec<&JobReport> {
    let actions = all.iter().flat_map(|(.., actions)| actions);
    actions
        .filter_map(|action| match action {
            Action::Finish(report) => Some(&**report),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn it_ends_once_with_every_hold_open(
        order in some_order(),
        events in prop::collection::vec((0..3_000u64, event()), 0..80),
    ) {
        let all = run(&order, events);
        prop_assert_eq!(finishes(&all).len(), 1);
        let mut closed: Option<Target> = None;
        let mut over = false;
        for action in all.into_iter().flat_map(|(.., actions)| actions) {
            prop_assert!(!over, "nothing follows the end: {:?}", action);
            match action {
                Action::CloseHold(target) => {
                    prop_assert!(closed.is_none());
                    closed = Some(target);
                }
                Action::OpenHold(target) => prop_assert_eq!(closed.take(), Some(target)),
                Action::Finish(_) => {
                    prop_assert!(closed.is_none());
                    over = true;
                }
                _ => {}
            }
        }
    }

    #[test]
    fn nobody_is_told_before_the_interlock_passed_or_after_a_way_back(
        order in some_order(),
        events in prop::collection::vec((0..3_000u64, event()), 0..80),
    ) {
        let (mut passed, mut back) = (false, false);
        for (_, event, actions) in run(&order, events) {
            match event {
                Some(Event::Checked(refusals)) => {
                    let forced = order.force && refusals.iter().all(|one| one.may_be_forced);
                    passed |= refusals.is_empty() || forced;
                }
                Some(Event::Cancel | Event::HostShutdown) => back = true,
                _ => {}
            }
            for action in actions {
                let acts = matches!(
                    action,
                    Action::CloseHold(_) | Action::Tell { .. } | Action::RestartUnit(_)
                );
                prop_assert!(!acts || (passed && !back), "{:?}", action);
            }
        }
    }

    #[test]
    fn each_unit_is_restarted_once_at_most_in_order_and_after_its_drain(
        order in some_order(),
        events in prop::collection::vec((0..3_000u64, event()), 0..80),
    ) {
        let mut units = order.targets.iter().map(|target| target.unit.clone().unwrap());
        let mut closed = None;
        let mut left = 0;
        for (now, event, actions) in run(&order, events) {
            if let Some(Event::Tick(counts)) = event {
                left = counts.left;
            }
            for action in actions {
                match action {
                    Action::CloseHold(_) => closed = Some(now),
                    Action::OpenHold(_) => closed = None,
                    Action::RestartUnit(unit) => {
                        prop_assert_eq!(order.kind, Kind::Restart);
                        prop_assert_eq!(Some(unit), units.next());
                        let since = closed.expect("newcomers are held");
                        prop_assert!(left == 0 || now >= since + order.deadline);
                    }
                    Action::Drained => {
                        prop_assert_eq!(order.kind, Kind::Drain);
                        let since = closed.expect("newcomers are held");
                        prop_assert!(left == 0 || now >= since + order.deadline);
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn the_first_unit_that_is_not_healthy_is_the_last(
        order in some_order(),
        events in prop::collection::vec((0..3_000u64, event()), 0..80),
    ) {
        let all = run(&order, events);
        let mut healthy = HashSet::new();
        let mut restarted = 0;
        let mut raised = false;
        for action in all.iter().flat_map(|(.., actions)| actions) {
            match action {
                Action::RestartUnit(unit) => {
                    prop_assert!(!raised);
                    prop_assert_eq!(healthy.len(), restarted, "{} comes too early", unit);
                    restarted += 1;
                }
                Action::Clear { unit } => {
                    prop_assert!(!raised);
                    healthy.insert(unit.clone());
                }
                Action::Raise { .. } => raised = true,
                _ => {}
            }
        }
        let report = finishes(&all)[0];
        if raised {
            prop_assert_eq!(report.outcome, Outcome::Failed);
        }
        if report.outcome == Outcome::Done && order.kind == Kind::Restart {
            prop_assert_eq!(healthy.len(), order.targets.len());
        }
    }

    #[test]
    fn while_the_canary_is_away_nobody_else_is_told_unless_forced(
        clients in 600..100_000u64,
        force: bool,
        pauses in prop::collection::vec(10..200u64, 0..400),
    ) {
        let order = Order { force, ..order(clients) };
        let canary = (clients / 100).clamp(5, 50);
        let mut job = Job::new(order.clone());
        let mut now = Duration::ZERO;
        let mut told = 0;
        let mut ended = None;
        job.on(now, Event::Checked(Vec::new()));
        for pause in pauses.into_iter().chain([100; 300]) {
            now += Duration::from_millis(pause);
            let left = clients - told;
            let tick = Counts { left: clients, untold: left, ..Counts::default() };
            for action in job.on(now, Event::Tick(tick)) {
                match action {
                    Action::Tell { count, .. } => {
                        let count = count.min(left);
                        told += count;
                        job.on(now, Event::Told(count));
                    }
                    Action::Finish(report) => ended = Some(report.outcome),
                    _ => {}
                }
            }
            prop_assert!(told <= canary || now >= Duration::from_secs(10));
        }
        if force {
            prop_assert!(told > canary);
        } else {
            prop_assert_eq!(told, canary);
            prop_assert_eq!(ended, Some(Outcome::CanaryLost));
        }
    }
}

#[test]
fn what_the_strategies_make_is_a_whole_target() {
    assert!(target("a.service").backend.is_none());
    assert!(
        rolling(1, 2)
            .targets
            .iter()
            .all(|one| one.backend.is_some())
    );
}
