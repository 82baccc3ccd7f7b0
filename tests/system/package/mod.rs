//! The life of the packages: installed, configured, upgraded under load, removed.

mod build;
mod deb;
mod leftovers;
mod readme;
mod rpm;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::client::Client;
use crate::installation::application;
use crate::machine::Machine;

/// Puts the installed batond in front of an application, as an administrator does.
fn put_into_service(machine: &Machine) {
    application(machine);
    machine.check(&["batond", "check"]);
    machine.check(&["systemctl", "enable", "batond.socket"]);
    machine.check(&["systemctl", "restart", "batond"]);
    machine.check(&["systemctl", "enable", "--now", "batond-drain@echo"]);
    Client::open(machine).echo("served");
}

/// What must not change when the package is upgraded.
#[derive(Debug, PartialEq, Eq)]
struct Lasting {
    /// Another one means that the unit was started anew, and not handed over.
    invocation: String,
    socket_since: String,
    configuration: String,
}

impl Lasting {
    fn of(machine: &Machine) -> Self {
        Self {
            invocation: machine.property("batond", "InvocationID"),
            socket_since: machine.property("batond.socket", "ActiveEnterTimestampMonotonic"),
            configuration: machine.check(&["cat", "/etc/batond/batond.toml"]),
        }
    }
}

/// Upgrades while clients are connected and others keep coming: the former are told 1012, of the
/// latter none is refused, and the new program serves.
fn upgrade_under_load(machine: &Machine, upgrade: impl FnOnce() -> String) {
    let before = Lasting::of(machine);
    let old = machine.property("batond", "MainPID");
    let clients: Vec<Client> = (0..20).map(|_| Client::open(machine)).collect();
    let over = AtomicBool::new(false);
    let (farewells, newcomers) = thread::scope(|scope| {
        let newcomers = scope.spawn(|| {
            let mut served = 0;
            while !over.load(Relaxed) {
                // Panics when refused, or not upgraded to a WebSocket.
                drop(Client::open(machine));
                served += 1;
            }
            served
        });
        let farewells = scope.spawn(|| {
            let codes = clients.into_iter().map(|client| client.farewell().code());
            codes.collect::<Vec<_>>()
        });
        println!("{}", upgrade());
        let farewells = farewells.join().expect("every client gets a Close");
        over.store(true, Relaxed);
        let newcomers = newcomers.join().expect("every newcomer is served");
        (farewells, newcomers)
    });
    assert_eq!(farewells, [1012; 20]);
    assert!(newcomers > 0);
    println!("20 clients were told 1012, {newcomers} newcomers came meanwhile, none was refused");
    Client::open(machine).echo("after the upgrade");

    let new = machine.property("batond", "MainPID");
    assert_ne!(new, old);
    let program = machine.check(&["readlink", &format!("/proc/{new}/exe")]);
    assert_eq!(program, "/usr/bin/batond", "not the file that is there now");
    assert_eq!(Lasting::of(machine), before);
}

/// Upgrades to a version that does not start: nobody notices.
fn upgrade_that_fails(machine: &Machine, upgrade: impl FnOnce() -> String) {
    let before = Lasting::of(machine);
    let old = machine.property("batond", "MainPID");
    let mut client = Client::open(machine);
    let said = upgrade();
    println!("{said}");
    assert!(said.contains("still serves"), "{said}");
    assert_eq!(machine.property("batond", "MainPID"), old);
    assert_eq!(machine.property("batond", "ActiveState"), "active");
    client.echo("as if nothing had happened");
    Client::open(machine).echo("a newcomer, too");
    assert_eq!(Lasting::of(machine), before);
}
