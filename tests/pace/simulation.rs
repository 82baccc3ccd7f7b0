//! A host with clients that are sent away and come back, in simulated time.

use std::collections::VecDeque;
use std::time::Duration;

use batond::restart::pace::{Pace, Seen};

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
}

pub(crate) struct Outcome {
    /// Seconds from the first told to the last back.
    pub(crate) took: f64,
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
    mut pace: Option<Pace>,
) -> Outcome {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut door = Queue::new(host.cores.into(), host.capacity);
    let mut backend = Queue::new(4.0, host.backend);
    // Returns by the step in which they come: a ring of 16 s.
    let mut returns = vec![0u64; 1600];
    let (mut told, mut lost, mut back) = (0u64, 0u64, 0u64);
    let (mut latency, mut finished) = (0.0, 0u64);
    let mut waited: f64 = 0.0;
    let mut at_work = [0.0f64; 2];
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
                // What was read is off by up to 3 % of the time.
                busy: host.tells.then(|| {
                    let most = at_work[0].max(at_work[1]) / (LOOK as f64 * STEP);
                    let here = (clients - (told - back)) as f64 / clients as f64;
                    let other = host.other * (1.0 - host.traffic * (1.0 - here));
                    let most = other + (1.0 - host.other) * most;
                    (most + 0.03 * random.next()).min(1.0)
                }),
                latency: (finished > 0).then(|| Duration::from_secs_f64(latency / finished as f64)),
            };
            (latency, finished) = (0.0, 0);
            at_work = [0.0; 2];
            let soon = pace.as_ref().is_some_and(Pace::awaits_canary);
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
                match client.delay(soon, &mut random) {
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
            at_work[0] += count as f64 * service / f64::from(host.cores);
            latency += count as f64 * (wait + service + 0.02);
            backend.waiting.push_back((now, count));
        });
        let service = backend.service;
        backend.serve(now, &mut random, |count, wait| {
            waited = waited.max(wait);
            latency += count as f64 * (wait + service);
            at_work[1] += count as f64 * service / 4.0;
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
