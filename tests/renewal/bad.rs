//! Renewals that clients would fail with.

use std::fs;

use crate::pki::Pki;
use crate::probe::leaf;
use crate::support::certificate::Identity;
use crate::ways::{Lego, Way};
use crate::world::World;

pub(crate) const REFUSED: &str = "what is on disk is not put into service";
const RAISED: &str = "problem certificate-refused (certificate.one)";
const OVER: &str = "problem certificate-refused is over";

#[test]
fn each_is_refused_and_the_old_one_stays() {
    let world = World::start::<Lego>();
    let crowd = world.crowd();
    let old = world.prober.served();
    let good = Identity {
        chain: fs::read_to_string(Lego::paths(&world.place()).0).unwrap(),
        key: fs::read_to_string(Lego::paths(&world.place()).1).unwrap(),
    };
    let bad = [
        (
            "key of another one",
            world.pki.mismatched(),
            "does not belong to",
        ),
        ("expired", world.pki.expired(), "ended on"),
        ("another name", world.pki.of_another_name(), "localhost"),
        (
            "no intermediate",
            world.pki.broken_chain(),
            "batond test intermediate",
        ),
        ("garbage", Pki::garbage(), "x.crt"),
        ("truncated", world.pki.truncated(), "x.crt"),
        ("another root", Pki::new().issue(), "batond test root"),
    ];
    for (number, (what, identity, why)) in bad.iter().enumerate() {
        Lego::renew(&world.place(), identity, 2);
        world.batond.wait_for_log(REFUSED, number + 1);
        let log = world.batond.log();
        let line = log.lines().rfind(|line| line.contains(REFUSED)).unwrap();
        assert!(line.contains(why), "{what}: {line}");
        println!(
            "{what}: {}",
            line.split(": ").skip(2).collect::<Vec<_>>().join(": ")
        );
        assert_eq!(world.prober.served(), old, "{what}");
    }
    // Told once, however many follow.
    assert_eq!(world.batond.log().matches(RAISED).count(), 1);
    // What is served is on disk again: nothing is to be done.
    Lego::renew(&world.place(), &good, 2);
    world.batond.wait_for_log(OVER, 1);
    let new = world.pki.issue();
    Lego::renew(&world.place(), &new, 2);
    world.prober.wait_for(&new);
    assert_ne!(leaf(&new), old);
    let newcomers = world.nobody_noticed(&crowd);
    println!("of {newcomers} newcomers 0 failed, of 500 clients 0 touched");
}
