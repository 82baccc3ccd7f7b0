//! Every way in which a renewal comes to the disk.

use std::time::Instant;

use crate::ways::{AcmeSh, Certbot, Grandparent, Kubernetes, Lego, Recreate, Rename, Silent, Way};
use crate::world::World;

const RENEWALS: usize = 3;

fn renewals_are_served<W: Way>() {
    let world = World::start::<W>();
    let crowd = world.crowd();
    let mut times = Vec::new();
    for number in 2..2 + RENEWALS {
        let new = world.pki.issue();
        W::renew(&world.place(), &new, number);
        let complete = Instant::now();
        world.prober.wait_for(&new);
        times.push(complete.elapsed());
        crowd.wait_for_newcomers(10);
    }
    let newcomers = world.nobody_noticed(&crowd);
    println!(
        "{}: served after {times:.0?}; of {newcomers} newcomers 0 failed, of 500 clients 0 touched",
        W::NAME
    );
    let log = world.batond.log();
    let swaps = log.matches("a renewed certificate is in service").count();
    assert_eq!(swaps, RENEWALS, "{log}");
    assert!(!log.contains("not put into service"), "{log}");
    assert!(!log.contains("problem "), "{log}");
}

#[test]
fn certbot() {
    renewals_are_served::<Certbot>();
}

#[test]
fn lego() {
    renewals_are_served::<Lego>();
}

#[test]
fn acme_sh() {
    renewals_are_served::<AcmeSh>();
}

#[test]
fn atomic_rename() {
    renewals_are_served::<Rename>();
}

#[test]
fn kubernetes() {
    renewals_are_served::<Kubernetes>();
}

#[test]
fn a_folder_above() {
    renewals_are_served::<Grandparent>();
}

#[test]
fn deleted_and_made_again() {
    renewals_are_served::<Recreate>();
}

#[test]
fn without_events() {
    renewals_are_served::<Silent>();
}
