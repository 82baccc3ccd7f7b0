//! P4, nothing half-done: `systemctl reload`, with a good configuration and with a bad one.

use crate::client::Client;
use crate::installation::{configure_with, serve};
use crate::machine::Machine;

/// A listener that no socket unit knows of.
const PORT: u16 = 9443;
const LISTENER: &str = "
[listener.own]
address = \"0.0.0.0:9443\"
";

on_each_release! {
    a_reload_puts_a_good_configuration_into_use_and_refuses_a_bad_one
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
