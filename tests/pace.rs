//! P6, paced: the controller against simulated hosts and clients, up to a million, without a
//! clock. Prints its figures: `cargo test --test pace -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::time::Duration;

use batond::config::Spread;
use batond::restart::pace::{Pace, Seen, Settings, canary};

/// Simulated time goes in steps of 10 ms, and the controller looks at every fifth.
const STEP: f64 = 0.01;
const LOOK: usize = 5;

/// The longest that a client may wait for its handshake, in seconds.
const OVERLOAD: f64 = 1.0;

/// How much longer it may take to find out what a host can do that nothing is known of, in
/// seconds: with clients that come back after seconds, each doubling takes as long.
const LEARNING: f64 = 16.0;

/// xorshift64*, so that every run is the same.
struct Random(u64);

impl Random {
    /// From 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// When a client comes back after it was told.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Needs no handshake any more.
    Held,
    Immediate,
    /// 1 to 5 s, as the reason says.
    AsTold,
    /// First after about a second, again after twice that when its attempt took too long.
    Exponential,
    Never,
}

impl Client {
    fn delay(self, random: &mut Random) -> Option<f64> {
        match self {
            Self::Held => Some(0.0),
            Self::Immediate => Some(0.02 + 0.05 * random.next()),
            Self::AsTold => Some(1.0 + 4.0 * random.next()),
            Self::Exponential => {
                // Some of them were in their second or third round already.
                let round = f64::from(1u32 << (random.next() * 3.0) as u32);
                Some(round * (0.5 + random.next()))
            }
            Self::Never => None,
        }
    }

    /// The longest delay, in seconds.
    fn longest(self) -> f64 {
        match self {
            Self::Held => 0.0,
            Self::Immediate => 0.07,
            Self::AsTold => 5.0,
            Self::Exponential => 6.0,
            Self::Never => 0.0,
        }
    }
}

/// First come first served, `cores` at a time: handshakes, or upgrades at the backend.
struct Queue {
    cores: f64,
    /// Seconds of a core for one client.
    service: f64,
    /// Who waits: since when, and how many.
    waiting: VecDeque<(f64, u64)>,
    credit: f64,
}

impl Queue {
    fn new(cores: f64, capacity: f64) -> Self {
        Self {
            cores,
            service: cores / capacity,
            waiting: VecDeque::new(),
            credit: 0.0,
        }
    }

    /// Serves for one step; calls `done` with how many there are of each waiting time.
    fn serve(&mut self, now: f64, random: &mut Random, mut done: impl FnMut(u64, f64)) {
        // The work differs from client to client, and the host has other things to do.
        self.credit += self.cores * STEP / self.service * (0.9 + 0.2 * random.next());
        while let Some((since, count)) = self.waiting.front_mut() {
            let served = (self.credit as u64).min(*count);
            if served == 0 {
                break;
            }
            self.credit -= served as f64;
            *count -= served;
            done(served, now - *since);
            if *count == 0 {
                self.waiting.pop_front();
            }
        }
        if self.waiting.is_empty() {
            self.credit = self.credit.fract();
        }
    }
}

#[derive(Clone, Copy)]
struct Host {
    cores: u16,
    /// Clients a second.
    capacity: f64,
    /// Of the backend, also clients a second.
    backend: f64,
    /// From now on it does half of that.
    halves_at: Option<f64>,
}

struct Outcome {
    /// Seconds from the first told to the last back.
    took: f64,
    /// The longest wait in the queues, in seconds.
    waited: f64,
    optimum: f64,
    rate: Option<f64>,
}

/// Sends `clients` away, each of a kind that `mix` gives a share to, until all are back who come
/// back.
fn simulate(host: Host, clients: u64, mix: &[(f64, Client)], mut pace: Option<Pace>) -> Outcome {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut door = Queue::new(host.cores.into(), host.capacity);
    let mut backend = Queue::new(4.0, host.backend);
    // Returns by the step in which they come: a ring of 16 s.
    let mut returns = vec![0u64; 1600];
    let (mut told, mut lost, mut back) = (0u64, 0u64, 0u64);
    let (mut latency, mut finished) = (0.0, 0u64);
    let mut waited: f64 = 0.0;
    let mut step = 0;
    let mut halved = false;
    while back + lost < clients {
        let now = step as f64 * STEP;
        if !halved && host.halves_at.is_some_and(|at| now >= at) {
            halved = true;
            door.service *= 2.0;
        }
        if step % LOOK == 0 && told < clients {
            let seen = Seen {
                told,
                back,
                latency: (finished > 0).then(|| Duration::from_secs_f64(latency / finished as f64)),
            };
            (latency, finished) = (0.0, 0);
            let next = match &mut pace {
                Some(pace) => pace.next(Duration::from_secs_f64(now), seen),
                None => u64::MAX,
            };
            for _ in 0..next.min(clients - told) {
                told += 1;
                let mut kind = random.next();
                let (_, client) = mix
                    .iter()
                    .find(|(share, _)| {
                        kind -= share;
                        kind < 0.0
                    })
                    .unwrap_or(&mix[0]);
                match client.delay(&mut random) {
                    None => lost += 1,
                    Some(delay) => {
                        let at = step + 1 + (delay / STEP) as usize;
                        returns[at % 1600] += 1;
                    }
                }
            }
        }
        let arrived = std::mem::take(&mut returns[step % 1600]);
        if arrived > 0 {
            door.waiting.push_back((now, arrived));
        }
        let service = door.service;
        door.serve(now, &mut random, |count, wait| {
            waited = waited.max(wait);
            latency += count as f64 * (wait + service + 0.02);
            backend.waiting.push_back((now, count));
        });
        let service = backend.service;
        backend.serve(now, &mut random, |count, wait| {
            waited = waited.max(wait);
            latency += count as f64 * (wait + service);
            finished += count;
            back += count;
        });
        step += 1;
        assert!(step < 1_000_000, "it ends");
    }
    let coming: f64 = clients as f64 - lost as f64;
    let capacity = host.capacity.min(host.backend);
    let work = match host.halves_at {
        Some(at) if coming > at * capacity => at + (coming - at * capacity) / (capacity / 2.0),
        _ => coming / capacity,
    };
    let delay = mix.iter().map(|(_, client)| client.longest());
    Outcome {
        took: step as f64 * STEP,
        waited,
        optimum: work + delay.fold(0.0, f64::max),
        rate: pace.and_then(|pace| pace.learned()),
    }
}

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
    let capacity = host.capacity as u64;
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
                        outcome.took < 1.5 * outcome.optimum,
                        "{name} {}",
                        outcome.took
                    );
                }
            }
        }
    }
}

#[test]
fn an_unknown_host_is_not_overloaded_and_soon_known() {
    for host in hosts() {
        for clients in crowds(host) {
            for (name, mix) in MIXES {
                let outcome = simulate(host, clients, mix, Some(pace(host, clients, None)));
                show(host, clients, name, "unknown", &outcome);
                assert!(outcome.waited < OVERLOAD, "{name} {}", outcome.waited);
                let enough = (1.5 * outcome.optimum).max(outcome.optimum + LEARNING);
                assert!(outcome.took < enough, "{} of {enough}", outcome.took);
                let saturated = clients as f64 >= 100.0 * host.capacity;
                if saturated {
                    assert!(outcome.took < 1.5 * outcome.optimum);
                    let learned = outcome.rate.unwrap() / host.capacity;
                    assert!((0.85..1.15).contains(&learned), "{learned}");
                }
            }
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
                outcome.took < 1.5 * outcome.optimum,
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
            outcome.took < 1.5 * outcome.optimum + 1.0,
            "{}",
            outcome.took
        );
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
