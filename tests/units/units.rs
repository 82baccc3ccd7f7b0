//! Restarts that are followed to their end, and what the loss of a backend means.

use std::sync::{Arc, Mutex};

use batond::control::units::{JobResult, JobType, Outlook, Units, UnitsError};

use crate::manager::{Known, serve};
use crate::{LONG, SHORT, block_on, start};

const UNIT: &str = "chat.service";

fn shared(known: Known) -> Arc<Mutex<Known>> {
    Arc::new(Mutex::new(known))
}

#[test]
fn a_restart_is_followed_to_its_result() {
    let Some(bus) = start("a_restart_is_followed_to_its_result") else {
        return;
    };
    block_on(async {
        let known = shared(Known::default());
        let _systemd = serve(&bus, &known).await;
        let units = Units::connect(Some(&bus.address));
        for (said, result) in [
            ("done", JobResult::Done),
            ("failed", JobResult::Failed),
            ("canceled", JobResult::Canceled),
            ("timeout", JobResult::Timeout),
            ("dependency", JobResult::Dependency),
            ("skipped", JobResult::Skipped),
            ("frozen", JobResult::Other("frozen".to_owned())),
        ] {
            known.lock().unwrap().result = Some(Ok(said));
            assert_eq!(units.restart(UNIT, LONG).await.unwrap(), result);
            assert_eq!(units.start(UNIT, LONG).await.unwrap(), result);
        }
        let asked = known.lock().unwrap().asked.clone();
        let expected = [
            "subscribe",
            "restart chat.service replace",
            "subscribe",
            "start chat.service replace",
        ];
        assert_eq!(asked[..4], expected);
    });
}

#[test]
fn what_systemd_refuses_is_said_so_that_it_can_be_mended() {
    let Some(bus) = start("what_systemd_refuses_is_said_so_that_it_can_be_mended") else {
        return;
    };
    block_on(async {
        let known = shared(Known::default());
        let _systemd = serve(&bus, &known).await;
        let units = Units::connect(Some(&bus.address));
        for (refusal, part) in [
            ("NoSuchUnit", "systemd does not know chat.service"),
            ("UnitMasked", "systemctl unmask chat.service"),
            (
                "denied",
                "polkit does not grant org.freedesktop.systemd1.manage-units",
            ),
        ] {
            known.lock().unwrap().result = Some(Err(refusal));
            let error = units.restart(UNIT, LONG).await.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    });
}

#[test]
fn a_bus_that_hangs_blocks_nobody() {
    let Some(bus) = start("a_bus_that_hangs_blocks_nobody") else {
        return;
    };
    block_on(async {
        let known = shared(Known {
            result: None,
            ..Known::default()
        });
        let _systemd = serve(&bus, &known).await;
        let units = Units::connect(Some(&bus.address));
        let late =
            |result: Result<JobResult, UnitsError>| matches!(result, Err(UnitsError::Late { .. }));
        assert!(late(units.restart(UNIT, SHORT).await), "the job has no end");
        known.lock().unwrap().result = Some(Err("silent"));
        assert!(late(units.restart(UNIT, SHORT).await), "no answer");
        bus.freeze();
        assert!(late(units.restart(UNIT, SHORT).await), "no bus");
        assert!(late(units.start(UNIT, SHORT).await), "no bus");
        let outlook = units.outlook(UNIT, SHORT).await;
        assert!(matches!(outlook, Err(UnitsError::Late { .. })));
        // Not even a connection.
        let fresh = Units::connect(Some(&bus.address));
        assert!(late(fresh.restart(UNIT, SHORT).await));
    });
}

#[test]
fn a_bus_that_began_anew_is_asked_again() {
    let Some(mut bus) = start("a_bus_that_began_anew_is_asked_again") else {
        return;
    };
    block_on(async {
        let known = shared(Known::default());
        let before = serve(&bus, &known).await;
        // A dbus-daemon that began anew has another id.
        let address = bus.address.split(',').next().unwrap().to_owned();
        let units = Units::connect(Some(&address));
        units.state(UNIT).await.unwrap();
        bus.restart();
        drop(before);
        let before = serve(&bus, &known).await;
        units.state(UNIT).await.unwrap();
        bus.restart();
        drop(before);
        let _after = serve(&bus, &known).await;
        assert_eq!(units.restart(UNIT, LONG).await.unwrap(), JobResult::Done);
        bus.end();
        let error = units.state(UNIT).await.unwrap_err();
        assert!(matches!(error, UnitsError::Link(_)), "{error}");
    });
}

#[test]
fn a_restart_that_the_bus_does_not_survive_ends() {
    let Some(mut bus) = start("a_restart_that_the_bus_does_not_survive_ends") else {
        return;
    };
    block_on(async {
        let known = shared(Known {
            result: None,
            ..Known::default()
        });
        let _systemd = serve(&bus, &known).await;
        let units = Units::connect(Some(&bus.address));
        let ending = async {
            while !known
                .lock()
                .unwrap()
                .asked
                .iter()
                .any(|one| one.starts_with("restart"))
            {
                tokio::task::yield_now().await;
            }
            bus.end();
        };
        let (result, ()) = tokio::join!(units.restart(UNIT, LONG), ending);
        let error = result.unwrap_err();
        let lost = matches!(
            error,
            UnitsError::BusLost { .. } | UnitsError::Link(_) | UnitsError::Ask { .. }
        );
        assert!(lost, "{error}");
        let asked = known.lock().unwrap().asked.clone();
        let restarts = asked
            .iter()
            .filter(|one| one.starts_with("restart"))
            .count();
        assert_eq!(restarts, 1, "a restart is not asked for twice");
    });
}

#[test]
fn the_state_is_as_systemd_has_it() {
    let Some(bus) = start("the_state_is_as_systemd_has_it") else {
        return;
    };
    block_on(async {
        let known = shared(Known {
            load: "masked",
            states: vec![("deactivating", "stop-sigterm")],
            job: Some("restart"),
            ..Known::default()
        });
        let _systemd = serve(&bus, &known).await;
        let units = Units::connect(Some(&bus.address));
        let state = units.state("chat@.service").await.unwrap();
        assert_eq!(
            (state.load.as_str(), state.active.as_str()),
            ("masked", "deactivating")
        );
        assert_eq!(
            (state.sub.as_str(), state.job),
            ("stop-sigterm", Some(JobType::Restart))
        );
        assert_eq!(
            (state.restart_setting.as_str(), state.result.as_str()),
            ("on-failure", "signal")
        );
        assert!(state.is_template);
        assert!(!units.state(UNIT).await.unwrap().is_template);
    });
}

#[test]
fn a_process_of_whose_end_systemd_has_not_heard_is_asked_for_again() {
    let test = "a_process_of_whose_end_systemd_has_not_heard_is_asked_for_again";
    let Some(bus) = start(test) else { return };
    block_on(async {
        let running = ("active", "running");
        let known = shared(Known::default());
        let _systemd = serve(&bus, &known).await;
        let units = Units::connect(Some(&bus.address));
        for (then, outlook) in [
            (("deactivating", "stop-post"), Outlook::Restarting),
            (("activating", "auto-restart"), Outlook::Restarting),
            (("failed", "failed"), Outlook::Gone),
        ] {
            known.lock().unwrap().states = vec![running, running, then];
            assert_eq!(units.outlook(UNIT, LONG).await.unwrap(), outlook);
        }
        // It runs, whatever the relay has seen.
        known.lock().unwrap().states = vec![running];
        assert_eq!(units.outlook(UNIT, LONG).await.unwrap(), Outlook::Running);
        known.lock().unwrap().job = Some("stop");
        assert_eq!(units.outlook(UNIT, LONG).await.unwrap(), Outlook::Gone);
    });
}
