//! A backend that is drained gets no newcomers; who is there stays.

use batond::edge::Backend as Configured;
use std::sync::Arc;

use crate::edge::{World, asked, service};
use crate::frame::Frame;
use crate::http::switching;
use crate::world::Backend;

fn configured(world: &World, backend: &Backend) -> Arc<Configured> {
    let app = world.service("app");
    let mut backends = app.backends().iter();
    let found = backends.find(|one| one.to_string() == backend.address());
    Arc::clone(found.expect("a backend of the service"))
}

#[test]
fn newcomers_go_to_the_others_and_wait_if_there_is_none() {
    let [one, other] = [Backend::tcp(), Backend::tcp()];
    let world = World::start(2, &[service("app", &[(&one, None), (&other, None)])]);
    let [to_one, to_other] = [configured(&world, &one), configured(&world, &other)];
    let (mut client, mut peer) = world.pair("/app", &one);
    to_one.set_drained(true);
    // However many there are at the other one already.
    let pairs: Vec<_> = (0..3).map(|_| world.pair("/app", &other)).collect();
    assert_eq!((to_one.clients(), to_other.clients()), (1, 3));
    client.say(&[Frame::text("still here")]);
    peer.hear(&[Frame::text("still here")]);

    to_other.set_drained(true);
    let mut newcomer = world.held("/app");
    assert!(one.is_still() && other.is_still());
    to_one.set_drained(false);
    asked(&one).send(switching(""));
    assert_eq!(newcomer.message().status(), 101);
    drop(pairs);
}
