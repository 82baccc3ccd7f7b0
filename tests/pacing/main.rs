//! What a return of 9,500 clients does to everybody else, paced and not: how long newcomers wait,
//! what it takes of the processor, and how long it lasts. A measurement:
//!
//! ```sh
//! cargo test --release --test pacing -- --ignored --nocapture
//! ```
//!
//! The clients are those of one application. It is drained, and they come back to a second one, so
//! that nobody is held and what newcomers wait for is the crowd. Half of the crowd's cost is its
//! own: clients and applications are in this process, on the same cores.
//!
//! Each line of the output is one such drain. `auto` knows nothing when it begins; `auto, again`
//! has seen one return.

#[path = "../control/bus.rs"]
#[allow(dead_code)]
mod bus;
#[path = "../crowd/mod.rs"]
mod crowd;
#[path = "../support/mod.rs"]
mod support;

mod figures;
mod world;

use std::time::{Duration, Instant};

use rustls::version::TLS13;

use crate::crowd::trust::Trust;
use crate::crowd::{Crowd, Plan};
use crate::figures::{Figures, Processor};
use crate::world::World;

/// Relayed, they take 19,000 descriptors of batond, and as many of this process; 20,000 are what
/// a process may hold on many machines.
const CLIENTS: usize = 9_500;

const NEWCOMER_EVERY: Duration = Duration::from_millis(20);

/// How many newcomers show what is usual.
const USUAL: usize = 250;

/// How clients come back: on their own after half a second, all of them; or when they are told to.
const RETRIES: [&str; 2] = ["off", "1s-5s"];

const SPREADS: [&str; 2] = ["0s", "auto"];

#[test]
#[ignore = "a measurement, for `cargo test --release --test pacing -- --ignored --nocapture`"]
fn newcomers_while_everybody_comes_back() {
    eprintln!("{}", Figures::HEAD);
    for retry in RETRIES {
        for spread in SPREADS {
            let figures = one_return(retry, spread);
            eprintln!("{figures}");
        }
    }
}

fn one_return(retry: &str, spread: &str) -> Figures {
    let world = World::start(&format!(
        "[restart]\nretry = \"{retry}\"\nspread = \"{spread}\"\ndeadline = \"240s\"\n\
         hold = \"600s\"\n[limits]\nclients = 9700\n"
    ));
    let crowd = Crowd::gather(Plan {
        address: world.address,
        trust: Trust::new(&world.authority.pem(), &[&TLS13]),
        steady: CLIENTS,
        // One message each.
        says_every: Duration::from_secs(3600),
        newcomer_every: NEWCOMER_EVERY,
        resumes: true,
    });
    crowd.wait("the arrival of the clients", |books| {
        books.present == CLIENTS
    });
    crowd.newcomers_come(true);
    crowd.wait_for_newcomers(USUAL);
    let usual = crowd.take_books();

    let processor = Processor::watch(world.batond.main().pid());
    let began = Instant::now();
    world.swap();
    crowd.wait("the return of the clients", |books| {
        books.departures.len() >= CLIENTS && books.present == CLIENTS
    });
    let processor = processor.end();
    crowd.newcomers_come(false);
    // Those who came during the return, and still wait.
    crowd.wait("the end of the newcomers", |books| books.under_way == 0);
    let books = crowd.take_books();
    world.finish();
    eprintln!("{}", world.jobs());
    Figures::new(
        &format!("{retry}, {spread}"),
        &usual,
        &books,
        began,
        processor,
    )
}
