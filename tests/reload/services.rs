//! Changed services and limits are for those who come.

use batond::demo::backend::Backend;

use crate::client::Client;
use crate::world::{World, address, configuration};

#[test]
fn a_changed_backend_is_for_new_connections_only() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let mut before = Client::open(listener);
    before.echo("1");
    let other = Backend::start().unwrap();
    world.configure(&configuration(&[("ws", listener)], &other));
    world.reload();
    before.echo("2");
    Client::open(listener).echo("3");
    assert_eq!((world.backend.received(), other.received()), (2, 1));
}

#[test]
fn changed_limits_are_for_new_connections_only() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let mut clients = [Client::open(listener), Client::open(listener)];
    let good = configuration(&[("ws", listener)], &world.backend);
    world.configure(&good.replace("clients = 1000", "clients = 2\nhandshakes = 1"));
    world.reload();
    let Err(refused) = Client::try_open(listener) else {
        panic!("a third client of two");
    };
    assert!(refused.contains("503"), "{refused}");
    clients.iter_mut().for_each(|client| client.echo("still"));
    world.configure(&good);
    world.reload();
    Client::open(listener).echo("welcome");
}
