//! Upgrade after upgrade, with clients that stay and clients that come: what is left behind, and
//! what it costs that everybody comes back.

#[path = "../crowd/mod.rs"]
mod crowd;
#[path = "../support/mod.rs"]
mod support;

mod census;
mod cost;
mod world;

use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use crate::census::Census;
use crate::crowd::books::{Books, End};
use crate::crowd::trust::Trust;
use crate::crowd::{Crowd, Plan};
use crate::world::World;

const UPGRADES: usize = 100;

/// The generation that the last one is compared with: by then everything has happened at least
/// once.
const EARLY: usize = 10;

const STEADY: usize = 20;

/// Whoever is sent away comes back soon, since everything waits for them.
const SETTINGS: &str = r#"
[restart]
retry = "10ms-100ms"
deadline = "400s"
close_timeout = "300s"

[limits]
handshake_timeout = "300s"
"#;

#[test]
fn a_hundred_upgrades_under_load_leave_nothing_behind() {
    let world = World::start(SETTINGS);
    let crowd = Crowd::gather(Plan {
        address: world.address,
        trust: Trust::new(&world.authority.pem(), &[&TLS13, &TLS12]),
        steady: STEADY,
        says_every: Duration::from_millis(200),
        newcomer_every: Duration::from_millis(20),
        resumes: true,
    });
    crowd.wait("the arrival of the steady clients", |books| {
        books.present == STEADY
    });
    let files = world.files();
    let (mut early, mut leaving) = (None, Vec::new());
    for generation in 1..=UPGRADES {
        let is_looked_at = [EARLY, UPGRADES].contains(&generation);
        // A process that is looked at has had no newcomers: the last of them may still be leaving.
        crowd.newcomers_come(!is_looked_at);
        if is_looked_at {
            crowd.wait("the end of the newcomers", |books| books.under_way == 0);
        } else {
            crowd.wait_for_newcomers(1);
        }
        crowd.take_books();
        leaving.push(world.batond.hand_over());
        crowd.wait("the return of the steady clients", |books| {
            books.departures.len() >= STEADY && books.present == STEADY
        });
        everyone_was_told_and_came_back(&crowd.take_books());
        if is_looked_at {
            // Otherwise there are several of them at a time.
            leaving.drain(..).for_each(|old| old.wait_gone());
        }
        match (is_looked_at, &early) {
            (false, _) => {}
            (true, None) => early = Some(Census::of(&world.batond)),
            (true, Some(early)) => early.is_not_exceeded_by(&world.batond),
        }
    }
    assert_eq!(world.files(), files);
}

fn everyone_was_told_and_came_back(books: &Books) {
    let lost = books.newcomers.iter().find(|one| !one.is_served());
    assert!(lost.is_none(), "{lost:?}");
    for departure in &books.departures {
        assert!(
            matches!(departure.end, End::Told { code: 1012, .. }),
            "{departure:?}"
        );
    }
    assert_eq!(books.departures.len(), STEADY);
    for one in &books.returns {
        let resumed = one.arrival.tls.map(|(_, kind)| kind);
        assert_eq!(resumed, Some(HandshakeKind::Resumed), "{one:?}");
    }
    let with = |version: ProtocolVersion| {
        let returns = books.returns.iter();
        returns
            .filter(|one| one.arrival.tls.is_some_and(|(spoken, _)| spoken == version))
            .count()
    };
    assert_eq!(with(ProtocolVersion::TLSv1_2), STEADY / 2);
    assert_eq!(with(ProtocolVersion::TLSv1_3), STEADY / 2);
}
