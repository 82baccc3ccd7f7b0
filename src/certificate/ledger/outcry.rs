//! When what many clients hit is a fault of ours: several networks tell of it, within a while.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::network::Network;

/// Networks that must tell of a thing before it is one: a single one may have a fault of its own,
/// such as a proxy that looks into TLS.
pub const NETWORKS: usize = 3;

/// Networks of one thing that are remembered. It is beyond doubt by then.
const NETWORKS_MAX: usize = 256;

/// Things that are remembered. More are made up by somebody, whose own make room.
const THINGS_MAX: usize = 256;

/// What is told of, by whom and when last.
#[derive(Debug)]
pub struct Outcry<K> {
    window: Duration,
    things: BTreeMap<K, Thing>,
}

#[derive(Debug, Default)]
struct Thing {
    networks: BTreeMap<Network, Instant>,
    times: u64,
    raised: bool,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Networks within the window.
    pub networks: usize,
    /// How often it was told of since it began.
    pub times: u64,
    /// It is a problem: enough networks have told of it, and since then it has not been quiet for
    /// the length of the window.
    pub raised: bool,
}

impl<K: Ord + Clone> Outcry<K> {
    /// What was told of longer ago than this does not count any more.
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            things: BTreeMap::new(),
        }
    }

    /// A client in this network has told of it.
    pub fn note(&mut self, thing: K, network: Network, at: Instant) {
        if !self.things.contains_key(&thing) && self.things.len() >= THINGS_MAX {
            let Some(least) = self.least() else {
                return;
            };
            self.things.remove(&least);
        }
        let thing = self.things.entry(thing).or_default();
        thing.times += 1;
        if thing.networks.len() < NETWORKS_MAX || thing.networks.contains_key(&network) {
            thing.networks.insert(network, at);
        }
    }

    /// What is given up first: of what is no problem, what the fewest networks tell of; of those,
    /// what is told of by a network that tells of the most, and then what was told of the longest
    /// ago. So nobody makes others be forgotten by telling of many things.
    fn least(&self) -> Option<K> {
        let open = || self.things.iter().filter(|(_, thing)| !thing.raised);
        let fewest = open().map(|(_, thing)| thing.networks.len()).min()?;
        let least = || open().filter(|(_, thing)| thing.networks.len() == fewest);
        let mut told: BTreeMap<Network, usize> = BTreeMap::new();
        for network in least().flat_map(|(_, thing)| thing.networks.keys()) {
            *told.entry(*network).or_default() += 1;
        }
        let first = least().min_by_key(|(_, thing)| {
            let most = thing.networks.keys().map(|network| told[network]).max();
            (Reverse(most), thing.networks.values().max().copied())
        })?;
        Some(first.0.clone())
    }

    /// How everything stands at this time. What has been quiet is told of once more, as such, and
    /// forgotten.
    pub fn look(&mut self, now: Instant) -> Vec<(K, Standing)> {
        let mut all = Vec::with_capacity(self.things.len());
        let window = self.window;
        self.things.retain(|key, thing| {
            thing
                .networks
                .retain(|_, last| now.saturating_duration_since(*last) < window);
            let networks = thing.networks.len();
            thing.raised = (thing.raised && networks > 0) || networks >= NETWORKS;
            let standing = Standing {
                networks,
                times: thing.times,
                raised: thing.raised,
            };
            all.push((key.clone(), standing));
            networks > 0
        });
        all
    }

    /// Forgets what is not to be kept, because it has been set right.
    pub fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.things.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10 * 60);

    fn at(second: u64) -> Instant {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        *BEGIN + Duration::from_secs(second)
    }

    fn network(number: u8) -> Network {
        Network::V4([192, 0, number])
    }

    fn raised(outcry: &mut Outcry<&'static str>, now: u64) -> Vec<(&'static str, usize)> {
        let all = outcry.look(at(now)).into_iter();
        all.filter(|(_, it)| it.raised)
            .map(|(key, it)| (key, it.networks))
            .collect()
    }

    #[test]
    fn several_networks_make_a_problem_and_one_does_not() {
        let mut outcry = Outcry::new(WINDOW);
        for second in 0..1000 {
            outcry.note("a", network(1), at(second % 7));
            outcry.note("a", Network::Host, at(second % 7));
        }
        assert_eq!(raised(&mut outcry, 10), []);
        outcry.note("b", network(2), at(11));
        assert_eq!(raised(&mut outcry, 12), []);
        outcry.note("a", network(2), at(11));
        assert_eq!(raised(&mut outcry, 12), [("a", 3)]);
    }

    #[test]
    fn it_stays_until_it_has_been_quiet() {
        let mut outcry = Outcry::new(WINDOW);
        for (number, second) in [(1, 0), (2, 300), (3, 599)] {
            outcry.note("a", network(number), at(second));
        }
        assert_eq!(raised(&mut outcry, 599), [("a", 3)]);
        assert_eq!(raised(&mut outcry, 1_000), [("a", 1)]);
        outcry.note("a", network(1), at(1_100));
        assert_eq!(raised(&mut outcry, 1_699), [("a", 1)]);
        let quiet = outcry.look(at(1_700));
        assert_eq!((quiet[0].1.networks, quiet[0].1.raised), (0, false));
        assert_eq!(outcry.look(at(1_701)), []);
    }

    #[test]
    fn what_lies_too_far_apart_does_not_add_up() {
        let mut outcry = Outcry::new(WINDOW);
        for (number, second) in [(1, 0), (2, 300), (3, 600)] {
            outcry.note("a", network(number), at(second));
            assert_eq!(raised(&mut outcry, second), []);
        }
    }

    #[test]
    fn what_is_set_right_is_forgotten() {
        let mut outcry = Outcry::new(WINDOW);
        for number in 1..=3 {
            outcry.note("a", network(number), at(1));
            outcry.note("b", network(number), at(1));
        }
        outcry.retain(|key| *key != "a");
        assert_eq!(raised(&mut outcry, 2), [("b", 3)]);
    }

    #[test]
    fn one_client_does_not_make_others_be_forgotten() {
        let mut outcry = Outcry::new(WINDOW);
        for number in 1..=3 {
            outcry.note(1_000_000, network(number), at(1));
        }
        assert!(outcry.look(at(1)).iter().any(|(_, it)| it.raised));
        let mut made_up = 0..2_000;
        let mut make_up = |outcry: &mut Outcry<i32>| {
            for thing in made_up.by_ref().take(400) {
                outcry.note(thing, network(9), at(2));
            }
        };
        make_up(&mut outcry);
        for number in 1..=3 {
            outcry.note(2_000_000, network(number), at(1));
            make_up(&mut outcry);
        }
        let all = outcry.look(at(3));
        assert_eq!(all.len(), THINGS_MAX);
        let raised: Vec<i32> = all
            .iter()
            .filter(|(_, it)| it.raised)
            .map(|one| one.0)
            .collect();
        assert_eq!(raised, [1_000_000, 2_000_000]);
    }

    #[test]
    fn no_crowd_takes_more_memory_than_this() {
        let mut outcry = Outcry::new(WINDOW);
        for number in 0..5_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            outcry.note(0, Network::V4([a, b, c]), at(1));
            outcry.note(number, network(1), at(1));
        }
        let all = outcry.look(at(2));
        assert_eq!(all.len(), THINGS_MAX);
        assert_eq!(all[0].1.networks, NETWORKS_MAX);
    }
}
