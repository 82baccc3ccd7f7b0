//! Whoever leads a restart closes the hold, lets newcomers in as fast as it likes, and opens it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use batond::edge::times::Times;

use crate::edge::{World, asked, dead, listen, path, service, until};
use crate::frame::Frame;
use crate::http::{switching, upgrade};
use crate::peer::Peer;
use crate::world::{Backend, HOST};

fn join(mut client: Peer, mut backend: Peer) {
    backend.send(switching(""));
    assert_eq!(client.message().status(), 101);
    backend.say(&[Frame::text("welcome")]);
    client.hear(&[Frame::text("welcome")]);
}

#[test]
fn newcomers_of_a_closed_hold_are_let_in_in_the_order_in_which_they_came() {
    let backend = Backend::tcp();
    let world = World::start(2, &[service("app", &[(&backend, None)])]);
    let app = world.service("app");
    app.hold().close();
    let mut line: Vec<(String, Peer)> = (0..6)
        .map(|number| format!("/app/{number}"))
        .map(|path| (path.clone(), world.held(&path)))
        .collect();
    assert!(backend.is_still(), "nobody asks the backend");
    for batch in [1, 2] {
        assert_eq!(app.hold().let_in(batch), batch);
        let let_in: Vec<_> = line.drain(..batch).collect();
        let mut asking: Vec<(String, Peer)> = (0..batch)
            .map(|_| backend.accept())
            .map(|mut peer| (path(&mut peer), peer))
            .collect();
        // Those who are let in together may overtake each other.
        asking.sort_by(|one, other| one.0.cmp(&other.0));
        for ((path, client), (asked, peer)) in let_in.into_iter().zip(asking) {
            assert_eq!(asked, path);
            join(client, peer);
        }
    }
    assert!(backend.is_still(), "the others wait");
    app.hold().open();
    for _ in 0..line.len() {
        let mut peer = asked(&backend);
        let asked = path(&mut peer);
        let place = line.iter().position(|(path, _)| *path == asked);
        join(line.remove(place.expect("one of those who waited")).1, peer);
    }
    let counts = app.counters();
    assert_eq!((counts.arrived, counts.upgraded), (6, 6));
    assert_eq!((counts.held, counts.released, counts.refused), (6, 6, 0));
    assert!(
        app.times()
            .lower_quartile_since(&Times::default())
            .is_some()
    );
    world.pair("/app", &backend);
}

#[test]
fn what_a_client_waits_before_its_request_is_read_counts() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, None)])]);
    let app = world.service("app");
    let before = app.times();
    let mut client = world.connect();
    until("the client is accepted", || accepted(&world) == 1);
    let accepted = Instant::now();
    // As in the queue of a worker that has other handshakes to do.
    until("some time has passed", || {
        accepted.elapsed() > Duration::from_millis(100)
    });
    client.send(upgrade("/app", HOST, ""));
    let mut peer = backend.switch("");
    assert_eq!(client.message().status(), 101);
    peer.say(&[Frame::text("welcome")]);
    client.hear(&[Frame::text("welcome")]);
    let took = app.times().lower_quartile_since(&before);
    assert!(took > Some(Duration::from_millis(90)), "{took:?}");
}

fn accepted(world: &World) -> u64 {
    world.edge.counters().accepted.load(Relaxed)
}

#[test]
fn a_closed_hold_with_a_dead_backend_has_nobody_look_for_it() {
    let backend = dead();
    let world = World::start(2, &[service("app", &[(&backend, None)])]);
    let app = world.service("app");
    app.hold().close();
    let first = world.held("/app/first");
    let second = world.held("/app/second");
    // Who is let in finds nobody, and comes back to its place.
    assert_eq!(app.hold().let_in(1), 1);
    crate::edge::until("it is back", || app.hold().held() == 2);
    listen(&backend);
    assert!(backend.is_still(), "nobody looks for the backend");
    assert_eq!(app.hold().let_in(1), 1);
    let mut peer = backend.accept();
    assert_eq!(path(&mut peer), "/app/first");
    join(first, peer);
    assert!(backend.is_still(), "the other waits");
    app.hold().open();
    let mut peer = asked(&backend);
    assert_eq!(path(&mut peer), "/app/second");
    join(second, peer);
}

#[test]
fn who_waits_when_the_hold_is_opened_before_the_backend_is_there_gets_in_when_it_is() {
    let backend = dead();
    let world = World::start(2, &[service("app", &[(&backend, None)])]);
    let app = world.service("app");
    app.hold().close();
    let clients: Vec<Peer> = (0..100).map(|_| world.ask("/app")).collect();
    crate::edge::until("all are held", || app.hold().held() == 100);
    app.hold().open();
    assert!(clients[0].is_still());
    listen(&backend);
    for _ in 0..clients.len() {
        asked(&backend).send(switching(""));
    }
    for mut client in clients {
        assert_eq!(client.message().status(), 101);
    }
    let counts = app.counters();
    assert_eq!((counts.held, counts.released), (100, 100));
}

#[test]
fn a_client_that_leaves_while_the_hold_is_closed_is_not_let_in() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, None)])]);
    let app = world.service("app");
    app.hold().close();
    let leaving = world.held("/app/leaving");
    let staying = world.held("/app/staying");
    drop(leaving);
    crate::edge::until("its place is free", || app.hold().held() == 1);
    assert_eq!(app.hold().let_in(1), 1);
    let mut peer = backend.accept();
    assert_eq!(path(&mut peer), "/app/staying");
    join(staying, peer);
    assert_eq!(app.hold().totals().left, 1);
}
