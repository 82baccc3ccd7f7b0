use std::process;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use batond::control::systemd1::{StopKind, Systemd, own_stop_kind};

use crate::bus::{self, Bus, Unit};
use crate::rerun;

/// Long enough for the slowest machine; a test that comes near it has failed.
const LONG: Duration = Duration::from_secs(60);

/// Nobody answers, so what matters is only that waiting ends.
const SHORT: Duration = Duration::from_millis(50);

fn running() -> Unit {
    Unit {
        name: Some("batond.service"),
        main_pid: process::id(),
        restart: "no",
        jobs: Vec::new(),
        busy: false,
    }
}

/// Asks systemd with each of the units in turn.
fn expect(test: &str, cases: Vec<(Unit, StopKind)>) {
    let Some(bus) = start(test) else { return };
    block_on(async {
        let unit = Arc::new(Mutex::new(running()));
        let _systemd = bus::systemd(&bus, &unit).await;
        let systemd = Systemd::connect(Some(&bus.address)).await.unwrap();
        for (now, expected) in cases {
            *unit.lock().unwrap() = now.clone();
            let case = format!("{} {:?}", now.restart, now.jobs);
            assert_eq!(systemd.own_stop_kind(LONG).await, expected, "{case}");
            assert_eq!(
                own_stop_kind(Some(&bus.address), LONG).await,
                expected,
                "{case}"
            );
        }
    });
}

fn start(test: &str) -> Option<Bus> {
    let bus = Bus::start();
    if bus.is_none() {
        rerun::skip(test, "no dbus-daemon here");
    }
    bus
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

#[test]
fn the_units_own_job_tells_restart_from_stop() {
    let with = |jobs: &[(&'static str, &'static str)], restart| Unit {
        jobs: jobs.to_vec(),
        restart,
        ..running()
    };
    expect(
        "the_units_own_job_tells_restart_from_stop",
        vec![
            (
                with(&[("batond.service", "restart")], "no"),
                StopKind::Restart,
            ),
            (
                with(&[("batond.service", "try-restart")], "no"),
                StopKind::Restart,
            ),
            (
                with(&[("batond.service", "start")], "no"),
                StopKind::Restart,
            ),
            (
                with(&[("batond.service", "stop")], "always"),
                StopKind::Stop,
            ),
            // Others' jobs, and one that says nothing about termination.
            (with(&[("chat.service", "restart")], "no"), StopKind::Stop),
            (
                with(&[("chat.service", "stop"), ("a.service", "stop")], "always"),
                StopKind::Restart,
            ),
            (
                with(&[("batond.service", "reload")], "always"),
                StopKind::Restart,
            ),
        ],
    );
}

#[test]
fn without_a_job_the_restart_setting_tells() {
    let with = |restart| Unit {
        restart,
        ..running()
    };
    expect(
        "without_a_job_the_restart_setting_tells",
        vec![
            (with("always"), StopKind::Restart),
            (with("on-success"), StopKind::Restart),
            (with("on-failure"), StopKind::Stop),
            (with("no"), StopKind::Stop),
        ],
    );
}

#[test]
fn the_hosts_end_outweighs_the_units_job() {
    let going = |target| Unit {
        jobs: vec![("batond.service", "stop"), (target, "start")],
        ..running()
    };
    let going_for_good = |target| Unit {
        jobs: vec![(target, "start")],
        restart: "always",
        ..running()
    };
    let waiting = Unit {
        jobs: vec![("reboot.target", "stop")],
        ..running()
    };
    expect(
        "the_hosts_end_outweighs_the_units_job",
        vec![
            (going("reboot.target"), StopKind::Restart),
            (going("kexec.target"), StopKind::Restart),
            (going("soft-reboot.target"), StopKind::Restart),
            (going_for_good("poweroff.target"), StopKind::Stop),
            (going_for_good("halt.target"), StopKind::Stop),
            (waiting, StopKind::Stop),
        ],
    );
}

#[test]
fn a_process_that_is_not_a_services_main_one_knows_nothing() {
    let restarting = Unit {
        jobs: vec![("batond.service", "restart")],
        ..running()
    };
    let another = Unit {
        main_pid: process::id() + 1,
        ..restarting.clone()
    };
    let scope = Unit {
        name: Some("session-1.scope"),
        ..restarting.clone()
    };
    let nobody = Unit {
        name: None,
        ..restarting
    };
    expect(
        "a_process_that_is_not_a_services_main_one_knows_nothing",
        vec![
            (another, StopKind::Unknown),
            (scope, StopKind::Unknown),
            (nobody, StopKind::Unknown),
        ],
    );
}

#[test]
fn nobody_to_ask_is_unknown() {
    let Some(mut bus) = start("nobody_to_ask_is_unknown") else {
        return;
    };
    block_on(async {
        // A bus without systemd.
        assert_eq!(
            own_stop_kind(Some(&bus.address), LONG).await,
            StopKind::Unknown
        );
        let systemd = Systemd::connect(Some(&bus.address)).await.unwrap();
        assert_eq!(systemd.own_stop_kind(LONG).await, StopKind::Unknown);
        // No bus.
        bus.end();
        assert_eq!(systemd.own_stop_kind(LONG).await, StopKind::Unknown);
        assert_eq!(
            own_stop_kind(Some(&bus.address), LONG).await,
            StopKind::Unknown
        );
        let error = Systemd::connect(Some(&bus.address))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(&bus.address), "{error}");
        // Not even an address.
        assert_eq!(
            own_stop_kind(Some("nonsense"), LONG).await,
            StopKind::Unknown
        );
    });
}

#[test]
fn nobody_answers_in_time_is_unknown() {
    let Some(bus) = start("nobody_answers_in_time_is_unknown") else {
        return;
    };
    block_on(async {
        let unit = Arc::new(Mutex::new(Unit {
            busy: true,
            ..running()
        }));
        let _systemd = bus::systemd(&bus, &unit).await;
        let systemd = Systemd::connect(Some(&bus.address)).await.unwrap();
        assert_eq!(systemd.own_stop_kind(SHORT).await, StopKind::Unknown);
        bus.freeze();
        assert_eq!(systemd.own_stop_kind(SHORT).await, StopKind::Unknown);
        // Not even the handshake comes about.
        assert_eq!(
            own_stop_kind(Some(&bus.address), SHORT).await,
            StopKind::Unknown
        );
    });
}

#[test]
fn a_bus_that_began_anew_is_asked_again() {
    let Some(mut bus) = start("a_bus_that_began_anew_is_asked_again") else {
        return;
    };
    block_on(async {
        let unit = Arc::new(Mutex::new(Unit {
            restart: "always",
            ..running()
        }));
        let before = bus::systemd(&bus, &unit).await;
        // A dbus-daemon that began anew has another id.
        let address = bus.address.split(',').next().unwrap();
        let systemd = Systemd::connect(Some(address)).await.unwrap();
        assert_eq!(systemd.own_stop_kind(LONG).await, StopKind::Restart);
        bus.restart();
        drop(before);
        let _after = bus::systemd(&bus, &unit).await;
        assert_eq!(systemd.own_stop_kind(LONG).await, StopKind::Restart);
    });
}
