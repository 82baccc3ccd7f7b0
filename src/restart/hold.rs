//! Where newcomers wait while their service takes nobody: because the hold is closed, or because
//! no backend answers. First come, first served; each waits for a while, and not too many do.
//!
//! A [`Newcomer`] asks for its [`Turn`] before it tries a backend. While all is well that costs
//! one look at an atomic. While no backend answers, one of those who wait is told to take the
//! [`Lead`]: it looks for a backend on behalf of all, and lets the others in once there is one.
//! While the hold is closed nobody does: whoever closed it knows when it is time.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// The hold of one service. It outlives reloads, and may be used from any thread.
#[derive(Debug)]
pub struct Hold {
    line: Mutex<Line>,
    /// What [`Line::is_passing`] says.
    passing: AtomicBool,
}

/// What became of newcomers since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Had to wait.
    pub held: u64,
    /// Of those, reached a backend.
    pub released: u64,
    /// Of those, were refused when their time was over.
    pub overdue: u64,
    /// Of those, went away by themselves.
    pub left: u64,
    /// Were refused because too many waited already.
    pub full: u64,
}

#[derive(Debug, Default)]
struct Line {
    closed: bool,
    /// Somebody has the lead.
    led: bool,
    /// By number, and so in the order in which they came. Whoever is let in is taken out, and put
    /// back at the same place if the backend does not take it.
    waiting: BTreeMap<u64, Option<Waker>>,
    next: u64,
    /// Newcomers with a number: those who wait, and those who are let in and try.
    places: usize,
    /// How often one who was let in came back.
    relapses: u64,
    /// Somebody was refused for want of a place since the line began.
    full: bool,
    totals: Totals,
}

impl Line {
    fn is_passing(&self) -> bool {
        !self.closed && !self.led && self.waiting.is_empty()
    }

    fn wants_lead(&self) -> bool {
        !self.closed && !self.led && !self.waiting.is_empty()
    }

    /// Has the first one look whether it must take the lead.
    fn wake_first(&self) {
        if self.wants_lead()
            && let Some((_, Some(waker))) = self.waiting.first_key_value()
        {
            waker.wake_by_ref();
        }
    }

    fn let_in(&mut self, n: usize) -> usize {
        for let_in in 0..n {
            match self.waiting.pop_first() {
                None => return let_in,
                Some((_, waker)) => waker.into_iter().for_each(Waker::wake),
            }
        }
        n
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            line: Mutex::default(),
            passing: AtomicBool::new(true),
        }
    }
}

impl Hold {
    /// Newcomers wait from now on, until they are [let in](Self::let_in) or the hold is
    /// [opened](Self::open).
    pub fn close(&self) {
        self.change(|line| line.closed = true);
    }

    /// Lets the `n` in who have waited longest; fewer, if fewer wait. How many those are.
    ///
    /// One whose backend does not answer comes back to its old place.
    pub fn let_in(&self, n: usize) -> usize {
        self.change(|line| line.let_in(n))
    }

    /// Ends [`Self::close`]. Those who still wait are let in at a pace, as soon as a backend
    /// answers.
    pub fn open(&self) {
        self.change(|line| {
            line.closed = false;
            line.wake_first();
        });
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.line().closed
    }

    /// How many wait now.
    pub fn held(&self) -> usize {
        self.line().waiting.len()
    }

    /// What became of newcomers so far.
    pub fn totals(&self) -> Totals {
        self.line().totals
    }

    fn change<T>(&self, change: impl FnOnce(&mut Line) -> T) -> T {
        let mut line = self.line();
        let result = change(&mut line);
        self.passing.store(line.is_passing(), Ordering::Release);
        result
    }

    /// No change is left half done, so a panic elsewhere spoils nothing.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who wants to reach a backend. Dropping it frees its place.
#[derive(Debug)]
pub struct Newcomer {
    hold: Arc<Hold>,
    deadline: Instant,
    max_held: usize,
    /// Its place in the line, once it has had to wait.
    number: Option<u64>,
    waited: Duration,
}

/// What a newcomer does next.
#[derive(Debug)]
pub enum Turn {
    /// Tries a backend.
    Try,
    /// Sees to it that somebody looks for a backend on behalf of all, and asks for its turn again.
    Lead(Lead),
}

/// Why a newcomer does not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its time is over.
    Overdue,
    /// Too many wait already.
    Full {
        /// Nobody was told so since the line began.
        first: bool,
    },
}

impl Newcomer {
    /// One who waits until `deadline` at most, and not at all if that has come; and only if fewer
    /// than `max_held` have had to wait and are not in yet.
    pub fn new(hold: Arc<Hold>, deadline: Instant, max_held: usize) -> Self {
        Self {
            hold,
            deadline,
            max_held,
            number: None,
            waited: Duration::ZERO,
        }
    }

    /// Waits for its turn.
    ///
    /// # Errors
    /// When it is not to wait (any longer).
    pub async fn turn(&mut self) -> Result<Turn, Refused> {
        if self.number.is_none() && self.hold.passing.load(Ordering::Acquire) {
            return Ok(Turn::Try);
        }
        self.line_up(false)?;
        let since = Instant::now();
        let turn = timeout_at(self.deadline, poll_fn(|cx| self.poll_turn(cx))).await;
        self.waited += since.elapsed();
        match turn {
            Ok(turn) => Ok(turn),
            Err(_) => self.give_up(),
        }
    }

    /// No backend takes it: it waits again, where it was. [`Self::turn`] comes next.
    ///
    /// # Errors
    /// When it has not waited before, and is not to wait at all.
    pub fn turned_away(&mut self) -> Result<(), Refused> {
        self.line_up(true)
    }

    /// It has reached a backend.
    pub fn arrived(mut self) {
        if self.number.is_some() {
            self.leave(|totals, _| totals.released += 1);
        }
    }

    /// How long it has waited in the line so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Takes a place, for good. `back`: it has tried.
    fn line_up(&mut self, back: bool) -> Result<(), Refused> {
        let Self {
            deadline,
            max_held,
            number,
            ..
        } = self;
        self.hold.change(|line| {
            if let Some(number) = number {
                if back {
                    line.waiting.entry(*number).or_default();
                    line.relapses += 1;
                }
                return Ok(());
            }
            if !back && line.is_passing() {
                // It has changed just now; the next look will say so.
            } else if *deadline <= Instant::now() {
                return Err(Refused::Overdue);
            } else if line.places >= *max_held {
                line.totals.full += 1;
                let first = !std::mem::replace(&mut line.full, true);
                return Err(Refused::Full { first });
            } else {
                line.waiting.insert(line.next, None);
                *number = Some(line.next);
                line.next += 1;
                line.places += 1;
                line.totals.held += 1;
            }
            Ok(())
        })
    }

    fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.hold.change(|line| {
            let waiting = self.number.and_then(|one| line.waiting.get_mut(&one));
            let Some(waker) = waiting else {
                return Poll::Ready(Turn::Try);
            };
            match waker {
                Some(known) => known.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            if !line.wants_lead() {
                return Poll::Pending;
            }
            line.led = true;
            Poll::Ready(Turn::Lead(Lead(Arc::clone(&self.hold))))
        })
    }

    /// Its time is over, unless it has been let in just now.
    fn give_up(&mut self) -> Result<Turn, Refused> {
        let number = self.number;
        let waits = |line: &mut Line| number.is_some_and(|one| line.waiting.contains_key(&one));
        if !self.hold.change(waits) {
            return Ok(Turn::Try);
        }
        self.leave(|totals, _| totals.overdue += 1);
        Err(Refused::Overdue)
    }

    /// `count` is also told whether it was waiting.
    fn leave(&mut self, count: impl FnOnce(&mut Totals, bool)) {
        let Some(number) = self.number.take() else {
            return;
        };
        self.hold.change(|line| {
            let waited = line.waiting.remove(&number).is_some();
            count(&mut line.totals, waited);
            line.places -= 1;
            if line.places == 0 {
                line.full = false;
            }
            // It may have been the one who was to take the lead.
            line.wake_first();
        });
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.leave(|totals, waited| totals.left += u64::from(waited));
    }
}

/// Whoever has it looks for a backend on behalf of all who wait. There is one at a time. When it
/// is dropped and somebody still waits, that one takes it.
#[derive(Debug)]
pub struct Lead(Arc<Hold>);

impl Lead {
    /// Somebody waits, and the hold is not closed.
    pub fn is_wanted(&self) -> bool {
        let line = self.0.line();
        !line.closed && !line.waiting.is_empty()
    }

    /// Lets the `n` in who have waited longest, unless the hold is closed.
    pub fn let_in(&self, n: usize) {
        self.0.change(|line| {
            if !line.closed {
                line.let_in(n);
            }
        });
    }

    /// How often one who was let in has come back since the process began.
    pub fn relapses(&self) -> u64 {
        self.0.line().relapses
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.0.change(|line| {
            line.led = false;
            line.wake_first();
        });
    }
}

#[cfg(test)]
mod tests;
