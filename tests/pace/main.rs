//! P6, paced: the controller against simulated hosts and clients, up to a million, without a
//! clock. Prints its figures: `cargo test --test pace -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod simulation;

use std::time::Duration;

use batond::config::Spread;
use batond::restart::pace::{Pace, Seen, Settings, canary};

use simulation::{Client, Distance, Host, Outcome, simulate, simulate_with};

/// The longest that a client may wait for its handshake, in seconds.
const OVERLOAD: f64 = 1.0;

/// How much longer than the optimum it may take.
const ENOUGH: f64 = 1.5;

/// How much longer it may take to find out what a host can do of which nothing is known, and that
/// does not tell how busy it is, in seconds: with clients that come back after seconds, each
/// doubling takes as long.
const LEARNING: f64 = 18.0;

fn settings(host: Host) -> Settings {
    Settings {
        spread: Spread::Auto,
        retry: Duration::from_secs(1)..=Duration::from_secs(5),
        cores: host.cores.into(),
        known: None,
    }
}

fn host(cores: u16, capacity: f64) -> Host {
    Host {
        cores,
        capacity,
        backend: capacity * 1.5,
        halves_at: None,
        tells: true,
        other: 0.1,
        traffic: 0.5,
        distance: Distance::NONE,
    }
}

fn hosts() -> [Host; 3] {
    [host(2, 500.0), host(4, 5_000.0), host(16, 50_000.0)]
}

const MIXES: &[(&str, &[(f64, Client)])] = &[
    ("immediate", &[(1.0, Client::Immediate)]),
    ("1-5 s", &[(1.0, Client::AsTold)]),
    ("exponential", &[(1.0, Client::Exponential)]),
    (
        "a fifth never",
        &[(0.8, Client::AsTold), (0.2, Client::Never)],
    ),
    (
        "all kinds",
        &[
            (0.4, Client::AsTold),
            (0.3, Client::Immediate),
            (0.2, Client::Exponential),
            (0.1, Client::Never),
        ],
    ),
];

fn show(host: Host, clients: u64, mix: &str, how: &str, outcome: &Outcome) {
    println!(
        "{clients:>8} clients, {:>6}/s, {mix:<13} {how:<15} longest wait {:>7.2} s, \
         took {:>7.1} s, optimum {:>7.1} s ({:.2})",
        host.capacity,
        outcome.waited,
        outcome.took,
        outcome.optimum,
        outcome.took / outcome.optimum,
    );
}

fn pace(host: Host, clients: u64, known: Option<f64>) -> Pace {
    let known = Settings {
        known,
        ..settings(host)
    };
    Pace::out(known, clients, 0.0)
}

/// From 4 s of work to a million clients.
fn crowds(host: Host) -> [u64; 3] {
    let capacity = host.capacity.min(host.backend) as u64;
    [capacity * 4, capacity * 20, 1_000_000]
}

#[test]
fn a_known_host_is_neither_overloaded_nor_idle() {
    for host in hosts() {
        for clients in crowds(host) {
            for (name, mix) in MIXES {
                // It was measured once, and was somewhat busier or less busy then.
                let all = [1.0, 0.9, 1.3];
                let known = if clients < 1_000_000 {
                    &all[..]
                } else {
                    &all[..1]
                };
                for known in known {
                    let pace = pace(host, clients, Some(known * host.capacity));
                    let outcome = simulate(host, clients, mix, Some(pace));
                    let how = format!("known as {known}");
                    show(host, clients, name, &how, &outcome);
                    assert!(outcome.waited < OVERLOAD, "{name} {}", outcome.waited);
                    assert!(
                        outcome.took < ENOUGH * outcome.optimum,
                        "{name} {}",
                        outcome.took
                    );
                }
            }
        }
    }
}

#[test]
fn an_unknown_host_is_neither_overloaded_nor_idle() {
    // Nothing else to do; a little, half of it for the clients; and much, all of it for them.
    for (other, traffic) in [(0.0, 0.0), (0.1, 0.5), (0.3, 1.0)] {
        for host in hosts() {
            let host = Host {
                other,
                traffic,
                ..host
            };
            for clients in crowds(host) {
                for (name, mix) in MIXES {
                    let outcome = simulate(host, clients, mix, Some(pace(host, clients, None)));
                    let how = format!("unknown, {other}");
                    show(host, clients, name, &how, &outcome);
                    assert!(outcome.waited < OVERLOAD, "{name} {}", outcome.waited);
                    assert!(
                        outcome.took < ENOUGH * outcome.optimum,
                        "{name} {}",
                        outcome.took
                    );
                    if clients as f64 >= 20.0 * host.capacity {
                        let learned = outcome.rate.unwrap() / host.capacity;
                        assert!((0.75..1.15).contains(&learned), "{learned}");
                    }
                }
            }
        }
    }
}

/// As with a backend on another host, which is what is full first.
#[test]
fn a_host_that_does_not_tell_how_busy_it_is_is_not_overloaded() {
    for host in hosts() {
        let host = Host {
            capacity: host.capacity * 1.5,
            backend: host.capacity,
            tells: false,
            ..host
        };
        for clients in crowds(host) {
            for (name, mix) in MIXES {
                let outcome = simulate(host, clients, mix, Some(pace(host, clients, None)));
                show(host, clients, name, "blind", &outcome);
                assert!(outcome.waited < OVERLOAD, "{name} {}", outcome.waited);
                let enough = (ENOUGH * outcome.optimum).max(outcome.optimum + LEARNING);
                assert!(outcome.took < enough, "{} of {enough}", outcome.took);
            }
        }
    }
}

/// The same where the latency is mostly that of the way there.
const ENOUGH_OF_FAR: f64 = 1.75;

/// Half of them as far away as the next town, some on the other side of the world.
const FAR: Distance = Distance {
    median: 0.06,
    sigma: 1.0,
};

#[test]
fn clients_at_all_distances_are_not_taken_for_a_full_host() {
    for tells in [true, false] {
        for clients in [800, 2_000, 9_500] {
            // Which does not notice any of them.
            let host = Host {
                tells,
                distance: FAR,
                ..host(4, 50_000.0)
            };
            let mix = &[(1.0, Client::AsTold)];
            for seed in 1..=20 {
                let pace = pace(host, clients, None);
                let outcome = simulate_with(seed, host, clients, mix, Some(pace));
                show(host, clients, "1-5 s, far", "unknown", &outcome);
                assert!(outcome.told < LEARNING, "the last told at {}", outcome.told);
                assert_eq!(outcome.rate, None, "it was never full");
            }
        }
    }
}

#[test]
fn a_full_host_is_noticed_with_clients_at_all_distances() {
    for host in &hosts()[..2] {
        let far = Host {
            distance: FAR,
            ..*host
        };
        let mix = &[(1.0, Client::AsTold)];
        let clients = crowds(*host)[1];
        let blind = Host {
            capacity: host.capacity * 1.5,
            backend: host.capacity,
            tells: false,
            ..far
        };
        for (host, enough) in [(far, 0.0), (blind, LEARNING)] {
            let pace = pace(host, clients, None);
            let outcome = simulate(host, clients, mix, Some(pace));
            show(host, clients, "1-5 s, far", "unknown", &outcome);
            assert!(outcome.waited < OVERLOAD, "{}", outcome.waited);
            let enough = (ENOUGH_OF_FAR * outcome.optimum).max(outcome.optimum + enough);
            assert!(outcome.took < enough, "{} of {enough}", outcome.took);
        }
    }
}

#[test]
fn without_pacing_every_one_of_these_hosts_is_overloaded() {
    for host in hosts() {
        for clients in &crowds(host)[1..2] {
            for (name, mix) in MIXES {
                let outcome = simulate(host, *clients, mix, None);
                show(host, *clients, name, "at once", &outcome);
                assert!(outcome.waited > 5.0 * OVERLOAD, "{}", outcome.waited);
            }
        }
    }
}

#[test]
fn a_host_that_becomes_slower_is_given_less() {
    for host in &hosts()[..2] {
        let host = Host {
            halves_at: Some(15.0),
            ..*host
        };
        let clients = host.capacity as u64 * 40;
        for (name, mix) in MIXES {
            let outcome = simulate(
                host,
                clients,
                mix,
                Some(pace(host, clients, Some(host.capacity))),
            );
            show(host, clients, name, "halved at 15 s", &outcome);
            // Those who are on their way at that moment are three seconds' work for the faster
            // host and six for the slower one.
            assert!(outcome.waited < 4.0 * OVERLOAD, "{}", outcome.waited);
            assert!(
                outcome.took < ENOUGH * outcome.optimum,
                "{name} {}",
                outcome.took
            );
            let learned = outcome.rate.unwrap() / host.capacity;
            assert!((0.4..0.6).contains(&learned), "{learned}");
        }
    }
}

#[test]
fn the_held_are_let_in_at_the_pace_of_the_backend() {
    for host in hosts() {
        // The handshakes are done; what remains is the backend's.
        let host = Host {
            backend: host.capacity,
            capacity: 1e6,
            ..host
        };
        let held = 10_000;
        let mix = &[(1.0, Client::Held)];
        let outcome = simulate(host, held, mix, Some(Pace::in_again(settings(host))));
        show(host, held, "held", "unknown", &outcome);
        assert!(outcome.waited < OVERLOAD, "{}", outcome.waited);
        assert!(
            outcome.took < ENOUGH * outcome.optimum + 1.0,
            "{}",
            outcome.took
        );
    }
}

#[test]
fn the_held_do_not_wait_for_a_host_that_is_full_of_other_things() {
    let host = host(2, 500.0);
    let mut pace = Pace::in_again(settings(host));
    let mut let_in = 0;
    let mut now = Duration::ZERO;
    while let_in < 1_000 {
        // All who were let in are through by the next look, whatever others wait for.
        let seen = Seen {
            told: let_in,
            back: let_in,
            latency: Some(Duration::from_millis(5) + now / 4),
            busy: Some(1.0),
        };
        let_in += pace.next(now, seen);
        now += Duration::from_millis(100);
        assert!(now < Duration::from_secs(10), "{let_in} by now");
    }
}

#[test]
fn a_spread_that_is_set_is_kept() {
    let host = host(4, 5_000.0);
    let mix = &[(1.0, Client::Immediate)];
    let over = |seconds| Settings {
        spread: Spread::Over(Duration::from_secs(seconds)),
        ..settings(host)
    };
    let outcome = simulate(host, 10_000, mix, Some(Pace::out(over(10), 10_000, 0.0)));
    assert!((9.9..10.6).contains(&outcome.took), "{}", outcome.took);
    let outcome = simulate(host, 10_000, mix, Some(Pace::out(over(0), 10_000, 0.0)));
    assert!((2.0..3.0).contains(&outcome.took), "{}", outcome.took);
}

#[test]
fn nobody_follows_a_canary_that_does_not_come_back() {
    let mut pace = Pace::out(settings(host(4, 5_000.0)), 2_000, 0.0);
    let look = |ms: u64, back: u64| {
        (
            Duration::from_millis(ms),
            Seen {
                told: 20,
                back,
                latency: None,
                busy: None,
            },
        )
    };
    assert_eq!(pace.next(Duration::ZERO, Seen::default()), 20);
    for ms in (50..60_000).step_by(50) {
        let (now, seen) = look(ms, 4);
        assert_eq!(pace.next(now, seen), 0);
    }
    assert!(pace.awaits_canary());
    let (now, seen) = look(60_050, 5);
    assert!(pace.next(now, seen) > 0);
    assert!(!pace.awaits_canary());
}

#[test]
fn the_canary_is_small_and_can_be_told_from_newcomers() {
    let delay = Duration::from_secs(5);
    assert_eq!(canary(0, 0.0, delay), 0);
    assert_eq!(canary(1, 0.0, delay), 1);
    assert_eq!(canary(100, 0.0, delay), 5);
    assert_eq!(canary(2_000, 0.0, delay), 20);
    assert_eq!(canary(1_000_000, 0.0, delay), 50);
    // 500 newcomers in 5 s, give or take 22.
    assert_eq!(canary(1_000_000, 100.0, delay), 179);
    assert_eq!(canary(60, 100.0, delay), 60);
}
