//! The bus may come, go and hang: clients do not notice, and batond comes back to it.

use batond::control::dbus::NAME;
use futures_util::StreamExt;
use rustix::process::Signal;
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use crate::bus::Bus;
use crate::client::Client;
use crate::support::PATIENCE;
use crate::world::{World, address};

/// Waits until somebody has batond's name.
fn wait_for_name(bus: &Bus) {
    let wait = async {
        let connection = Builder::address(bus.address.as_str())
            .build()
            .await
            .unwrap();
        let bus = DBusProxy::new(&connection).await.unwrap();
        let mut changes = bus.receive_name_owner_changed().await.unwrap();
        let name = BusName::try_from(NAME).unwrap();
        while !bus.name_has_owner(name.clone()).await.unwrap() {
            changes.next().await.unwrap();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, wait).await });
    waited.expect("batond comes back to the bus");
}

#[test]
fn a_bus_that_was_restarted_is_joined_again() {
    let listener = address();
    let mut world = World::with(&[("ws", listener)]);
    let mut client = Client::open(listener);
    for _ in 0..2 {
        world.bus.end();
        client.echo("without a bus");
        Client::open(listener).echo("without a bus");
        world.bus.restart();
        wait_for_name(&world.bus);
        world.reload();
    }
    assert_eq!(world.status("generation"), 3);
}

#[test]
fn a_bus_that_hangs_holds_nobody_up() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let client = Client::open(listener);
    world.bus.freeze();
    world.batond.main().signal(Signal::HUP);
    world.batond.notifications.wait_for("the reload", |heard| {
        let ready = heard.all.iter().filter(|one| one.value("READY").is_some());
        (ready.count() == 2).then_some(())
    });
    Client::open(listener).echo("served");
    let old = world.batond.hand_over();
    assert_eq!(client.farewell().0, 1012);
    old.wait_gone();
    Client::open(listener).echo("served");
}
