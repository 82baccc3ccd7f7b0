//! Whole jobs with clients that come back.

use std::time::Duration;

use batond::restart::interlock::{Obstacle, Refusal};
use batond::restart::job::{Action, Counts, Event, Job, Kind, Order};
use batond::restart::report::Outcome;

use crate::service::{Service, order, rolling};

fn no() -> Result<(), String> {
    Err("exit code 1".to_owned())
}

#[test]
fn a_restart_brings_everybody_back() {
    let (report, done) = Service::default().run(order(2_000));
    assert_eq!(
        done,
        [
            "Check",
            "CloseHold",
            "Tell",
            "RestartUnit",
            "Probe",
            "Clear",
            "LetIn",
            "OpenHold",
            "Finish"
        ]
    );
    assert_eq!(report.outcome, Outcome::Done, "{report}");
    assert_eq!(
        (report.drain.told, report.drain.closed_cleanly),
        (2_000, 2_000)
    );
    assert_eq!(
        (report.returns.back, report.returns.back_within_5s),
        (2_000, 2_000)
    );
    assert_eq!(report.hurried, 0);
    assert_eq!(report.held, report.released);
    // The others come only when it is over.
    assert!(report.held > 100, "many had to wait: {}", report.held);
    assert!(report.units[0].restarted_ms.is_some());
    assert!(report.returns.all_back_ms.unwrap() >= report.returns.half_back_ms.unwrap());
    println!("{report}");
}

#[test]
fn who_joins_after_the_last_wave_is_told_too() {
    let mut job = Job::new(order(1));
    let tells = |actions: &[Action]| actions.iter().any(|one| matches!(one, Action::Tell { .. }));
    job.on(Duration::ZERO, Event::Checked(Vec::new()));
    let counts = Counts {
        left: 1,
        untold: 1,
        ..Counts::default()
    };
    assert!(tells(
        &job.on(Duration::from_millis(100), Event::Tick(counts))
    ));
    // Fewer than asked for: there are no more.
    let told = Event::Told(0);
    job.on(Duration::from_millis(100), told);
    assert_eq!(job.word(), "draining");
    // Somebody has come whose request was on its way when the hold was closed.
    let counts = Counts {
        left: 1,
        ..Counts::default()
    };
    let mut told_at = Vec::new();
    for ms in (200..3_000).step_by(100) {
        let now = Duration::from_millis(ms);
        if tells(&job.on(now, Event::Tick(counts))) {
            told_at.push(ms);
            job.on(now, Event::Told(1));
        }
    }
    assert_eq!(told_at, [1_100, 2_100]);
}

#[test]
fn clients_that_never_return_are_not_awaited_for_ever() {
    let service = Service {
        delays: Vec::new(),
        ..Service::default()
    };
    // The canary is everybody, so nobody else is at risk.
    let (report, _) = service.run(order(3));
    assert_eq!(report.outcome, Outcome::Done, "{report}");
    assert_eq!(report.returns.back, 0);
    assert_eq!(report.returns.all_back_ms, None);
}

#[test]
fn a_service_without_clients_is_restarted_at_once() {
    let (report, done) = Service::default().run(order(0));
    assert_eq!(report.outcome, Outcome::Done);
    assert!(!done.contains(&"Tell".to_owned()));
    assert!(report.took_ms < 2_000, "{report}");
}

#[test]
fn a_refusal_is_kept_unless_it_may_be_forced_and_is() {
    let may = Refusal::of(Obstacle::ConfigurationBroken {
        why: "?".to_owned(),
    });
    let may_not = Refusal::of(Obstacle::NoUnit);
    for (refusals, force, outcome) in [
        (vec![may.clone()], false, Outcome::Refused),
        (vec![may.clone()], true, Outcome::Done),
        (vec![may.clone(), may_not.clone()], true, Outcome::Refused),
        (vec![may_not], false, Outcome::Refused),
    ] {
        let service = Service {
            refusals: refusals.clone(),
            ..Service::default()
        };
        let order = Order {
            force,
            ..order(100)
        };
        let (report, done) = service.run(order);
        assert_eq!(report.outcome, outcome);
        assert_eq!(report.refusals, refusals);
        assert_eq!(done.contains(&"Tell".to_owned()), outcome == Outcome::Done);
    }
}

#[test]
fn a_lost_canary_stops_it_with_the_rest_connected() {
    let service = Service {
        delays: Vec::new(),
        ..Service::default()
    };
    let (report, done) = service.run(order(2_000));
    assert_eq!(report.outcome, Outcome::CanaryLost);
    assert_eq!(report.why.as_deref(), Some("0 of 20 came back within 10 s"));
    assert_eq!(report.drain.told, 20);
    assert_eq!(report.drain.remaining, 1_980);
    assert_eq!(done, ["Check", "CloseHold", "Tell", "OpenHold", "Finish"]);
}

#[test]
fn those_who_cannot_be_told_in_turn_are_told_before_the_deadline() {
    let order = Order {
        deadline: Duration::from_secs(8),
        close_timeout: Duration::from_secs(2),
        ..order(50_000)
    };
    let (report, _) = Service::default().run(order);
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(report.drain.told, 50_000);
    assert!(report.hurried > 10_000, "{}", report.hurried);
}

#[test]
fn a_unit_that_fails_to_start_is_a_problem() {
    let service = Service {
        unit_jobs: [no()].into(),
        dead: true,
        ..Service::default()
    };
    let (report, done) = service.run(order(100));
    assert_eq!(report.outcome, Outcome::Failed);
    let why = "chat.service is not back: exit code 1";
    assert_eq!(report.why.as_deref(), Some(why));
    assert_eq!(done[done.len() - 3..], ["Raise", "OpenHold", "Finish"]);
    assert_eq!(report.units[0].restarted_ms, None);
}

#[test]
fn a_unit_that_was_not_restarted_and_runs_on_is_no_problem_but_a_failure() {
    let service = Service {
        unit_jobs: [Err("not allowed".to_owned())].into(),
        ..Service::default()
    };
    let (report, done) = service.run(order(100));
    assert_eq!(report.outcome, Outcome::Failed);
    let why = "chat.service was not restarted: not allowed";
    assert_eq!(report.why.as_deref(), Some(why));
    assert!(!done.contains(&"Raise".to_owned()));
    assert_eq!(report.held, report.released);
}

#[test]
fn a_backend_that_takes_its_time_is_probed_again() {
    let service = Service {
        probes: vec![no(); 8].into(),
        ..Service::default()
    };
    let (report, _) = service.run(order(100));
    assert_eq!(report.outcome, Outcome::Done);
    // 1 s of systemd, and pauses of 0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1 s.
    let took = report.units[0].restarted_ms.unwrap();
    assert!((5_500..6_200).contains(&took), "{took}");
}

#[test]
fn a_backend_that_does_not_come_back_is_given_up() {
    let service = Service {
        dead: true,
        ..Service::default()
    };
    let (report, done) = service.run(order(100));
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(done.contains(&"Raise".to_owned()));
    assert!(report.took_ms < 40_000);
}

#[test]
fn a_rolling_restart_goes_from_unit_to_unit() {
    let (report, done) = Service::default().run(rolling(300, 3));
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(report.drain.told, 300);
    assert_eq!(report.returns.back, 300);
    assert_eq!(report.held, 0, "the others serve");
    assert!(report.units.iter().all(|unit| unit.restarted_ms.is_some()));
    let restarts = done.iter().filter(|word| *word == "RestartUnit").count();
    assert_eq!((restarts, report.units.len()), (3, 3));
}

#[test]
fn a_rolling_restart_stops_at_the_first_unit_that_is_not_healthy() {
    let service = Service {
        unit_jobs: [Ok(()), no()].into(),
        probes: [Ok(()), no()].into(),
        ..Service::default()
    };
    let (report, _) = service.run(rolling(300, 3));
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.drain.told, 200);
    let restarted: Vec<_> = report
        .units
        .iter()
        .map(|unit| unit.restarted_ms.is_some())
        .collect();
    assert_eq!(restarted, [true, false]);
}

#[test]
fn a_cancelled_job_lets_the_held_in_again() {
    let service = Service {
        then: vec![(Duration::from_secs(3), Event::Cancel)],
        ..Service::default()
    };
    let (report, done) = service.run(order(10_000));
    assert_eq!(report.outcome, Outcome::Canceled);
    assert!(report.drain.told < 10_000);
    assert!(!done.contains(&"RestartUnit".to_owned()));
    assert_eq!(report.refused, 0);
    // Whoever came since the last look is let in by the opening itself.
    assert!(report.held - report.released <= 50, "{report}");
    assert_eq!(done.last().unwrap(), "Finish");
}

#[test]
fn a_drain_waits_for_its_resume() {
    let drain = Order {
        kind: Kind::Drain,
        ..order(500)
    };
    let (report, done) = Service::default().run(drain.clone());
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(
        done,
        [
            "Check",
            "CloseHold",
            "Tell",
            "Drained",
            "Probe",
            "Clear",
            "LetIn",
            "OpenHold",
            "Finish"
        ]
    );
    assert_eq!(report.returns.back, 500);

    // The unit was stopped for good.
    let service = Service {
        resumes: false,
        ..Service::default()
    };
    let (report, done) = service.run(drain);
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(done[3..], ["Drained", "OpenHold", "Finish"]);
}

#[test]
fn a_host_that_goes_down_ends_it() {
    let service = Service {
        then: vec![(Duration::from_secs(3), Event::HostShutdown)],
        ..Service::default()
    };
    let (report, done) = service.run(order(10_000));
    assert_eq!(report.outcome, Outcome::HostShutdown);
    assert!(!done.contains(&"RestartUnit".to_owned()));
    assert_eq!(done[done.len() - 2..], ["OpenHold", "Finish"]);
}

#[test]
fn one_connection_that_is_lost_does_not_keep_the_others_from_being_told() {
    let service = Service {
        then: vec![(Duration::from_millis(1_500), Event::BackendLost)],
        ..Service::default()
    };
    let order = Order {
        deadline: Duration::from_secs(6),
        close_timeout: Duration::from_secs(1),
        ..order(10_000)
    };
    let (report, done) = service.run(order);
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(report.drain.told, 10_000);
    assert!(done.contains(&"RestartUnit".to_owned()));
}
