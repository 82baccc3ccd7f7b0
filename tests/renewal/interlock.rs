//! Nothing is begun that would serve what is on disk as long as that is worse (P4, P5).

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bad::REFUSED;
use crate::probe::leaf;
use crate::ways::{Lego, Way};
use crate::world::World;

/// Of sysexits(3).
const TEMPFAIL: i32 = 75;
const CONFIG: i32 = 78;

#[test]
fn what_is_worse_on_disk_is_in_the_way_until_it_is_in_order() {
    let world = World::start::<Lego>();
    let old = world.prober.served();
    let state = || world.json(&["certificates", "one"])[0].take();
    assert_eq!(state()["severity"], "");
    assert_eq!(state()["refused"], "");
    assert_eq!(state()["swapped"], Value::Null);
    assert_eq!(world.json(&["problems"]), json!([]));
    let main = world.batond.main().pid();

    Lego::renew(&world.place(), &world.pki.expired(), 2);
    world.batond.wait_for_log(REFUSED, 1);
    let refused = state()["refused"].to_string();
    assert!(refused.contains("ended on"), "{refused}");
    let problem = world.json(&["problems"])[0].take();
    assert_eq!(problem["name"], "certificate-refused");
    assert_eq!(problem["subject"], "certificate.one");
    assert_eq!(problem["severity"], "critical");

    let reload = world.ctl(&["reload"]);
    let told = String::from_utf8(reload.stderr).unwrap();
    assert_eq!(reload.status.code(), Some(CONFIG), "{told}");
    assert!(
        told.contains("clients would fail who do not fail"),
        "{told}"
    );
    let upgrade = world.ctl(&["upgrade"]);
    let told = String::from_utf8(upgrade.stderr).unwrap();
    assert_eq!(upgrade.status.code(), Some(TEMPFAIL), "{told}");
    assert!(told.contains("is worse than what is served"), "{told}");
    let plan = world.json(&["plan", "echo"]);
    let refusals = plan["refusals"].as_array().unwrap();
    let by_certificate = |one: &&Value| one["name"] == "certificate-bad";
    let refusal = refusals.iter().find(by_certificate).unwrap();
    let sentence = refusal["sentence"].to_string();
    assert!(
        sentence.contains("is worse than what is served"),
        "{sentence}"
    );
    assert_eq!(refusal["may_be_forced"], true);
    assert_eq!(world.prober.served(), old);
    assert_eq!(world.batond.main().pid(), main);

    let new = world.pki.issue();
    Lego::renew(&world.place(), &new, 3);
    world.prober.wait_for(&new);
    world
        .batond
        .wait_for_log("problem certificate-refused is over", 1);
    assert!(world.ctl(&["reload"]).status.success());
    assert_eq!(world.json(&["problems"]), json!([]));
    assert!(state()["swapped"].is_string());
    let plan = world.json(&["plan", "echo"]);
    let refusals = plan["refusals"].as_array().unwrap();
    assert!(
        !refusals.iter().any(|one| by_certificate(&one)),
        "{refusals:?}"
    );
    // A reload and the watcher are of the same opinion.
    let log = world.batond.log();
    let swaps = log.matches("a renewed certificate is in service").count();
    assert_eq!(swaps, 1, "{log}");
}

#[test]
fn a_reload_that_comes_first_is_the_only_swap() {
    const SWAPPED: &str = "a renewed certificate is in service";
    const RENEWALS: usize = 5;
    let world = World::start::<Lego>();
    for _ in 0..RENEWALS {
        let new = world.pki.issue();
        Lego::renew(&world.place(), &new, 2);
        assert!(world.ctl(&["reload"]).status.success());
        assert_eq!(world.prober.served(), leaf(&new));
    }
    // What it has written by then is all there is.
    world.batond.main().signal(Signal::TERM);
    let log = world.batond.whole_log();
    assert_eq!(log.matches(SWAPPED).count(), RENEWALS, "{log}");
}

#[test]
fn an_upgrade_is_refused_that_would_serve_another_pair_that_is_worse() {
    const REFUSED: &str = "no handoff: certificate.one: clients would fail who do not fail";
    let world = World::start::<Lego>();
    let old = world.prober.served();
    let main = world.batond.main().pid();
    let other = world.place().join("other");
    fs::create_dir(&other).unwrap();
    Lego::begin(&other, &world.pki.expired());
    let good = fs::read_to_string(world.batond.config()).unwrap();
    let path = |place: &Path| Lego::paths(place).0.parent().unwrap().display().to_string();
    let bad = good.replace(&path(&world.place()), &path(&other));
    assert_ne!(bad, good);
    fs::write(world.batond.config(), bad).unwrap();

    let reload = world.ctl(&["reload"]);
    assert_eq!(reload.status.code(), Some(CONFIG), "{reload:?}");
    let upgrade = world.ctl(&["upgrade"]);
    let told = String::from_utf8(upgrade.stderr).unwrap();
    assert_eq!(upgrade.status.code(), Some(TEMPFAIL), "{told}");
    assert!(
        told.contains("clients would fail who do not fail"),
        "{told}"
    );
    world.batond.wait_for_log(REFUSED, 1);
    world.batond.main().signal(Signal::USR2);
    world.batond.wait_for_log(REFUSED, 2);
    assert_eq!(world.prober.served(), old);
    assert_eq!(world.batond.main().pid(), main);

    fs::write(world.batond.config(), good).unwrap();
    let upgrade = world.ctl(&["upgrade"]);
    assert!(upgrade.status.success(), "{upgrade:?}");
    assert_ne!(world.batond.main().pid(), main);
}
