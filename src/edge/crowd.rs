//! Many of one kind, and the order in which they are told something. Nothing here touches a socket;
//! `benches/broadcast.rs` shows that it stays cheap with a million of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use slab::Slab;
use tokio::time::Instant;

use super::drain::Announcement;
use crate::config::Restart;

/// All that a thread knows of one kind, such as its clients.
pub struct Crowd<T> {
    entries: RefCell<Slab<Rc<T>>>,
}

impl<T> Default for Crowd<T> {
    fn default() -> Self {
        Self {
            entries: RefCell::default(),
        }
    }
}

impl<T> Crowd<T> {
    /// Adds one; the key is for [`Self::remove`].
    pub fn insert(&self, one: Rc<T>) -> usize {
        self.entries.borrow_mut().insert(one)
    }

    /// Takes one out again.
    pub fn remove(&self, key: usize) {
        let mut entries = self.entries.borrow_mut();
        entries.try_remove(key);
        if entries.is_empty() {
            // After a crowd has left, its table goes too.
            *entries = Slab::new();
        }
    }

    /// All of them as they are now.
    pub fn snapshot(&self) -> Vec<Rc<T>> {
        self.entries
            .borrow()
            .iter()
            .map(|(_, one)| Rc::clone(one))
            .collect()
    }
}

/// When each of `crowd` is told of `announcement`, the first first. `restart` says how its service
/// treats one; the clients of a service are spread over the time that it sets.
pub fn turns<T>(
    announcement: &Announcement,
    crowd: Vec<Rc<T>>,
    restart: impl Fn(&T) -> &Restart,
) -> Vec<(Instant, Rc<T>)> {
    // Each service has settings of its own, which tell it from the others.
    let mut counts: HashMap<*const Restart, (usize, usize)> = HashMap::new();
    for one in &crowd {
        counts.entry(restart(one)).or_default().1 += 1;
    }
    let mut turns: Vec<_> = crowd
        .into_iter()
        .map(|one| {
            let restart = restart(&one);
            let (place, count) = counts.entry(restart).or_default();
            let turn = announcement.turn(restart, *place, *count);
            *place += 1;
            (turn, one)
        })
        .collect();
    turns.sort_by_key(|(turn, _)| *turn);
    turns
}
