//! What a broadcast costs before it touches a socket: the table of clients is copied, everybody
//! gets a turn, a Close frame with a retry delay of its own, and the order to leave. Shows whether
//! that grows in proportion to the clients: `cargo bench --bench broadcast`.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use batond::config::{Restart, Spread};
use batond::edge::close::CloseFrame;
use batond::edge::crowd::{Crowd, turns};
use batond::edge::{Announcement, Departure};

const CROWDS: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Each figure is that of the fastest of so many.
const TRIES: usize = 5;

/// As much of a client as a broadcast looks at.
struct Client {
    restart: Rc<Restart>,
    order: Cell<Option<Box<CloseFrame>>>,
}

/// Time for each part of one broadcast.
struct Times {
    snapshot: Duration,
    turns: Duration,
    orders: Duration,
}

fn main() {
    println!("nanoseconds per client (fastest of {TRIES})\n");
    println!("{:>9}  snapshot  turns  orders  all", "clients");
    for spread in [Spread::Over(Duration::ZERO), Spread::Auto] {
        println!("spread = {spread:?}, two services");
        for clients in CROWDS {
            let crowd = gather(clients, spread);
            let all = (0..TRIES).map(|_| broadcast(&crowd));
            let Some(best) = all.min_by_key(Times::sum) else {
                return;
            };
            let each = |time: Duration| time.as_secs_f64() * 1e9 / clients as f64;
            println!(
                "{clients:>9}  {:>8.0}  {:>5.0}  {:>6.0}  {:>3.0}",
                each(best.snapshot),
                each(best.turns),
                each(best.orders),
                each(best.sum())
            );
        }
    }
}

impl Times {
    fn sum(&self) -> Duration {
        self.snapshot + self.turns + self.orders
    }
}

/// Clients of two services, in the order in which they happened to come.
fn gather(clients: usize, spread: Spread) -> Crowd<Client> {
    let service = || {
        Rc::new(Restart {
            spread,
            ..Restart::default()
        })
    };
    let services = [service(), service()];
    let crowd = Crowd::default();
    for number in 0..clients {
        crowd.insert(Rc::new(Client {
            restart: Rc::clone(&services[number * 7 % 3 % 2]),
            order: Cell::new(None),
        }));
    }
    crowd
}

fn broadcast(crowd: &Crowd<Client>) -> Times {
    let announcement = Announcement {
        departure: Departure::Restart,
        paced: true,
        within: None,
        since: tokio::time::Instant::now(),
    };
    let begin = Instant::now();
    let clients = crowd.snapshot();
    let copied = Instant::now();
    let turns = turns(&announcement, clients, |client| &client.restart);
    let ordered = Instant::now();
    for (place, (_, client)) in turns.iter().enumerate() {
        let delay = Duration::from_millis(1_000 + place as u64 % 4_000);
        let reason = client.restart.reason_with(Some(delay));
        let frame = CloseFrame::to_client(client.restart.close_code, &reason);
        client.order.set(Some(Box::new(frame)));
    }
    let end = Instant::now();
    black_box(turns);
    Times {
        snapshot: copied - begin,
        turns: ordered - copied,
        orders: end - ordered,
    }
}
