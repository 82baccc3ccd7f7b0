//! A host with clients that are sent away and come back, in simulated time.

use std::collections::VecDeque;
use std::time::Duration;

use batond::edge::times::{Histogram, Lately};
use batond::restart::pace::{Pace, RATE_WINDOW, Seen};

/// Simulated time goes in steps of 10 ms, and the controller looks at every fifth.
const STEP: f64 = 0.01;
const LOOK: usize = 5;

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
pub(crate) enum Client {
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
    /// `soon`: what it is told is from the first quarter.
    fn delay(self, soon: bool, random: &mut Random) -> Option<f64> {
        match self {
            Self::Held => Some(0.0),
            Self::Immediate => Some(0.02 + 0.05 * random.next()),
            Self::AsTold => Some(1.0 + random.next() * if soon { 1.0 } else { 4.0 }),
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

/// How far away clients are: the time of a round trip, whose logarithm has a normal distribution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distance {
    /// In seconds.
    pub(crate) median: f64,
    /// Of the logarithm.
    pub(crate) sigma: f64,
}

impl Distance {
    pub(crate) const NONE: Self = Self {
        median: 0.0,
        sigma: 0.0,
    };

    fn draw(self, random: &mut Random) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        // Box and Muller.
        let (one, other) = (1.0 - random.next(), random.next());
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        self.median * (self.sigma * normal).exp()
    }
}

/// Who waits in a queue.
#[derive(Clone, Copy)]
struct Guest {
    /// When it came to this queue.
    since: f64,
    /// What it took before, with its way.
    took: f64,
}

/// First come first served, `cores` at a time: handshakes, or upgrades at the backend.
struct Queue {
    cores: f64,
    /// Seconds of a core for one client.
    service: f64,
    waiting: VecDeque<Guest>,
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

    /// Serves for one step; calls `done` for each with how long it waited.
    fn serve(&mut self, now: f64, random: &mut Random, mut done: impl FnMut(Guest, f64)) {
        // The work differs from client to client, and the host has other things to do.
        self.credit += self.cores * STEP / self.service * (0.9 + 0.2 * random.next());
        while self.credit >= 1.0
            && let Some(guest) = self.waiting.pop_front()
        {
            self.credit -= 1.0;
            done(guest, now - guest.since);
        }
        if self.waiting.is_empty() {
            self.credit = self.credit.fract();
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Host {
    pub(crate) cores: u16,
    /// Clients a second.
    pub(crate) capacity: f64,
    /// Of the backend, also clients a second.
    pub(crate) backend: f64,
    /// From now on it does half of that.
    pub(crate) halves_at: Option<f64>,
    /// It is known how busy it is.
    pub(crate) tells: bool,
    /// What part of its time goes to other things.
    pub(crate) other: f64,
    /// Of that, what part comes from the clients while they are there.
    pub(crate) traffic: f64,
    /// From the clients.
    pub(crate) distance: Distance,
}

pub(crate) struct Outcome {
    /// Seconds from the first told to the last back.
    pub(crate) took: f64,
    /// Seconds until the last was told.
    pub(crate) told: f64,
    /// The longest wait in the queues, in seconds.
    pub(crate) waited: f64,
    pub(crate) optimum: f64,
    pub(crate) rate: Option<f64>,
}

/// Sends `clients` away, each of a kind that `mix` gives a share to, until all are back who come
/// back.
pub(crate) fn simulate(
    host: Host,
    clients: u64,
    mix: &[(f64, Client)],
    pace: Option<Pace>,
) -> Outcome {
    simulate_with(1, host, clients, mix, pace)
}

/// The same with other chances for each `seed`.
pub(crate) fn simulate_with(
    seed: u64,
    host: Host,
    clients: u64,
    mix: &[(f64, Client)],
    mut pace: Option<Pace>,
) -> Outcome {
    let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
    let mut door = Queue::new(host.cores.into(), host.capacity);
    let mut backend = Queue::new(4.0, host.backend);
    // Returns by the step in which they come, with their way: a ring of 16 s.
    let mut returns = vec![Vec::new(); 1600];
    let (mut told, mut lost, mut back) = (0u64, 0u64, 0u64);
    let times = Histogram::default();
    let mut lately = Lately::new(RATE_WINDOW, Duration::ZERO, times.read());
    let mut waited: f64 = 0.0;
    let mut at_work = [0.0f64; 2];
    let mut step = 0;
    let mut told_last = 0.0;
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
                // What was read is off by up to 3 % of the time.
                busy: host.tells.then(|| {
                    let most = at_work[0].max(at_work[1]) / (LOOK as f64 * STEP);
                    let here = (clients - (told - back)) as f64 / clients as f64;
                    let other = host.other * (1.0 - host.traffic * (1.0 - here));
                    let most = other + (1.0 - host.other) * most;
                    (most + 0.03 * random.next()).min(1.0)
                }),
                latency: lately.look(Duration::from_secs_f64(now), times.read()),
            };
            at_work = [0.0; 2];
            let soon = pace.as_ref().is_some_and(Pace::awaits_canary);
            let next = match &mut pace {
                Some(pace) => pace.next(Duration::from_secs_f64(now), seen),
                None => u64::MAX,
            };
            if next > 0 {
                told_last = now;
            }
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
                match client.delay(soon, &mut random) {
                    None => lost += 1,
                    Some(delay) => {
                        let way = host.distance.draw(&mut random);
                        // With what is above it no client of a test comes so late.
                        let delay = (delay + way).min(15.9);
                        let at = step + 1 + (delay / STEP) as usize;
                        returns[at % 1600].push(way);
                    }
                }
            }
        }
        let arrived = std::mem::take(&mut returns[step % 1600]);
        let guest = |way| Guest {
            since: now,
            took: way,
        };
        door.waiting.extend(arrived.into_iter().map(guest));
        let service = door.service;
        door.serve(now, &mut random, |guest, wait| {
            waited = waited.max(wait);
            at_work[0] += service / f64::from(host.cores);
            let took = guest.took + wait + service + 0.02;
            backend.waiting.push_back(Guest { since: now, took });
        });
        let service = backend.service;
        backend.serve(now, &mut random, |guest, wait| {
            waited = waited.max(wait);
            times.add(Duration::from_secs_f64(guest.took + wait + service));
            at_work[1] += service / 4.0;
            back += 1;
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
        told: told_last,
        waited,
        optimum: work + delay.fold(0.0, f64::max),
        rate: pace.and_then(|pace| pace.learned()),
    }
}
