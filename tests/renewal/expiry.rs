//! A certificate of a minute's life that nobody renews, in real time.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::crowd::trust::NAME;
use crate::ways::Lego;
use crate::world::World;

const UNIT: &str = "batond-test-renewal.service";

#[test]
fn each_warning_comes_when_its_time_has_come() {
    let settings = format!("renew_unit = \"{UNIT}\"\n");
    let end = Cell::new(UNIX_EPOCH);
    let world = World::start_with::<Lego>(&settings, |pki| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        // Certificates know whole seconds.
        end.set(UNIX_EPOCH + Duration::from_secs(now.as_secs() + 30));
        pki.issue_with(NAME, end.get() - Duration::from_secs(60), end.get())
    });
    let end = end.get();
    // A third, a tenth and a twentieth of a minute before it is over.
    for (problem, before) in [
        ("renewal-overdue", 20),
        ("expiry-near", 6),
        ("expiry-imminent", 3),
        ("expired", 0),
    ] {
        let raised = format!("problem {problem} (certificate.one)");
        world.batond.wait_for_log(&raised, 1);
        // The last second is still within the time.
        let due = end + Duration::from_secs(1) - Duration::from_secs(before);
        let late = SystemTime::now().duration_since(due);
        let late = late.unwrap_or_else(|_| panic!("{problem} comes too early"));
        println!("{problem}: {before} s before the end, told at most {late:.1?} later");
    }
    for over in ["renewal-overdue", "expiry-near", "expiry-imminent"] {
        world
            .batond
            .wait_for_log(&format!("problem {over} is over"), 1);
    }
    // Nobody here can start it, which each attempt tells, and what was raised since.
    let starting = format!("renewal is overdue: starting {UNIT}");
    world.batond.wait_for_log(&starting, 2);
    let log = world.batond.log();
    let expired = log.lines().find(|line| line.contains("problem expired"));
    let expired = expired.unwrap();
    assert!(
        expired.contains(&format!("{UNIT}, started at")),
        "{expired}"
    );
    assert!(expired.contains("cannot start"), "{expired}");
    assert!(expired.contains("it is started again at"), "{expired}");
}
