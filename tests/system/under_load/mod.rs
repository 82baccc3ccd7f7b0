//! P1 and P2 under load: two thousand clients that stay, newcomers all the time, and everything
//! that can happen to the process.

mod events;
mod stage;
mod table;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::crowd::{Crowd, Plan};
use crate::machine::{Machine, tell};

use stage::{PORT, Stage};
use table::Row;

/// Clients that stay.
const STEADY: usize = 2_000;

/// Each of them says something so often.
const SAYS_EVERY: Duration = Duration::from_secs(10);

/// 200 a second.
const NEWCOMER_EVERY: Duration = Duration::from_millis(5);

/// Newcomers that must be served before an event, and after it.
const NEWCOMERS: usize = 200;

on_each_release! {
    nobody_is_refused_or_lost_whatever_happens_to_the_process
}

fn nobody_is_refused_or_lost_whatever_happens_to_the_process(machine: &Machine) {
    // Two such crowds at a time would only get in each other's way.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::set(machine);
    let plan = Plan {
        address: ([127, 0, 0, 1], PORT).into(),
        trust: stage.trust.clone(),
        steady: STEADY,
        says_every: SAYS_EVERY,
        newcomer_every: NEWCOMER_EVERY,
        resumes: true,
    };
    let crowd = machine.within_network(|| Crowd::gather(plan));
    let crowd = crowd.expect("the machine has a network");
    crowd.wait("the arrival of the steady clients", |books| {
        books.present == STEADY
    });

    let rows: Vec<Row> = events::ALL
        .iter()
        .map(|event| Row::of(event, machine, &crowd))
        .collect();
    tell(&table::print(&rows, machine));
    for row in &rows {
        row.check();
    }
}
