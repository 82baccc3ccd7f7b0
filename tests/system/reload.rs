//! P4, nothing half-done: `systemctl reload`, with a good configuration and with a bad one.

use crate::client::{self, Client};
use crate::installation::{CONFIGURATION_FILE, configure_with, serve};
use crate::machine::Machine;
use crate::newcomers::{Fate, Newcomers};

/// A listener that no socket unit knows of.
const PORT: u16 = 9443;
const LISTENER: &str = "
[listener.own]
address = \"0.0.0.0:9443\"
";

on_each_release! {
    a_reload_puts_a_good_configuration_into_use_and_refuses_a_bad_one
    a_socket_units_listener_goes_and_comes_back_by_reloads
    an_address_that_overlaps_with_the_one_before_takes_one_reload
}

fn a_reload_puts_a_good_configuration_into_use_and_refuses_a_bad_one(machine: &Machine) {
    serve(machine);
    let process = machine.property("batond", "MainPID");
    let mut client = Client::open(machine);
    client.echo("before");
    let is_up = || {
        assert_eq!(machine.property("batond", "ActiveState"), "active");
        assert_eq!(machine.property("batond", "SubState"), "running");
        assert_eq!(machine.property("batond", "MainPID"), process);
    };

    configure_with(machine, LISTENER);
    machine.check(&["systemctl", "reload", "batond"]);
    is_up();
    client.echo("after a reload");
    let mut own = Client::open_at(machine, PORT);
    own.echo("new");
    // The socket, and the state.
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "2");

    configure_with(machine, "[listener.own]\naddres = \"0.0.0.0:9443\"\n");
    let reload = machine.run(&["systemctl", "reload", "batond"]);
    assert!(!reload.status.success());
    is_up();
    let status = machine.property("batond", "StatusText");
    assert!(status.starts_with("1 problem: reload failed: "), "{status}");
    assert!(status.contains("listener.own.addres"), "{status}");
    let journal = machine.check(&["journalctl", "--unit", "batond", "--output=cat"]);
    // As batond logs it, and as batonctl tells systemd's caller.
    assert!(journal.contains("reload failed, the old configuration stays in use"));
    assert!(journal.contains("batonctl: "), "{journal}");
    client.echo("after a reload that failed");
    own.echo("still");

    configure_with(machine, "");
    machine.check(&["systemctl", "reload", "batond"]);
    is_up();
    let status = machine.property("batond", "StatusText");
    assert!(status.starts_with("serving"), "{status}");
    assert_eq!(own.farewell().code(), 1001);
    assert!(machine.connect(PORT).is_err(), "nobody listens any more");
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "1");
    client.echo("after all");

    let level = ["systemctl", "service-log-level", "batond.service"];
    assert_eq!(machine.check(&level).trim(), "info");
    machine.check(&[&level[..], &["debug"]].concat());
    assert_eq!(machine.check(&level).trim(), "debug");

    // `batonctl upgrade` in the unit, with the name going on to the successor.
    machine.check(&["batonctl", "upgrade"]);
    assert_eq!(client.farewell().code(), 1012);
    machine.check(&["systemctl", "reload", "batond"]);
    Client::open(machine).echo("with the successor");
}

fn a_socket_units_listener_goes_and_comes_back_by_reloads(machine: &Machine) {
    serve(machine);
    let client = Client::open(machine);
    let instead = "s/listener.wss/listener.own/; s/\\[::\\]:443/0.0.0.0:9443/";
    machine.check(&["sed", "--in-place", instead, CONFIGURATION_FILE]);
    machine.check(&["systemctl", "reload", "batond"]);
    assert_eq!(client.farewell().code(), 1001);
    Client::open_at(machine, PORT).echo("on the other");
    // The socket unit listens still, for whoever is to come.
    let newcomers = Newcomers::arrive(machine, client::PORT);
    machine.check(&["batonctl", "upgrade"]);
    machine.check(&["systemctl", "reload", "batond"]);
    assert_eq!(machine.property("batond.socket", "ActiveState"), "active");

    configure_with(machine, "");
    machine.check(&["systemctl", "reload", "batond"]);
    Client::open(machine).echo("on the same");
    let fates = newcomers.fates();
    assert!(fates.iter().all(|fate| *fate == Fate::Served), "{fates:?}");
    assert!(machine.connect(PORT).is_err(), "nobody listens any more");

    // Also one that was there at the start already.
    machine.check(&["sed", "--in-place", instead, CONFIGURATION_FILE]);
    machine.check(&["systemctl", "restart", "batond"]);
    let newcomers = Newcomers::arrive(machine, client::PORT);
    configure_with(machine, "");
    machine.check(&["systemctl", "reload", "batond"]);
    Client::open(machine).echo("after a restart without it");
    let fates = newcomers.fates();
    assert!(fates.iter().all(|fate| *fate == Fate::Served), "{fates:?}");
}

fn an_address_that_overlaps_with_the_one_before_takes_one_reload(machine: &Machine) {
    serve(machine);
    let at = |address: &str| {
        configure_with(
            machine,
            &format!("[listener.own]\naddress = \"{address}\"\n"),
        );
    };
    at("127.0.0.1:9443");
    machine.check(&["systemctl", "reload", "batond"]);
    let newcomers = Newcomers::arrive(machine, PORT);
    for address in ["0.0.0.0:9443", "[::]:9443", "127.0.0.1:9443"] {
        let client = Client::open_at(machine, PORT);
        at(address);
        machine.check(&["systemctl", "reload", "batond"]);
        assert_eq!(client.farewell().code(), 1001);
        Client::open_at(machine, PORT).echo(address);
        assert_eq!(machine.property("batond", "NFileDescriptorStore"), "2");
    }
    // What systemd keeps of the old one is not in the way of the new one.
    at("0.0.0.0:9443");
    machine.check(&["systemctl", "restart", "batond"]);
    Client::open_at(machine, PORT).echo("after a restart");
    for address in ["[::]:9443", "127.0.0.1:9443"] {
        at(address);
        machine.check(&["batonctl", "upgrade"]);
        Client::open_at(machine, PORT).echo("after an upgrade");
    }
    let fates = newcomers.fates();
    let lost = |fate: &&Fate| !matches!(fate, Fate::Served | Fate::SentAway(1001 | 1012));
    assert_eq!(fates.iter().find(lost), None);
    assert_eq!(machine.property("batond", "NRestarts"), "0");
}
