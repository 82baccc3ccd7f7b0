//! P2, never refused: what no socket unit holds is kept in systemd's descriptor store.

use batond::control::message_id;
use rustix::process::Signal;

use crate::client::Client;
use crate::installation::{configure_with, serve_with};
use crate::journal::await_event;
use crate::machine::Machine;

/// The port of a listener that no socket unit knows of, and its hexadecimal form in
/// /proc/net/tcp (proc_net(5)).
const OWN_PORT: u16 = 9443;
const OWN_PORT_HEX: &str = ":24E3 ";

const OWN_LISTENER: &str = "
[listener.own]
address = \"0.0.0.0:9443\"
";

on_each_release! {
    a_socket_that_batond_bound_itself_outlives_the_process
    a_stored_socket_is_closed_when_its_listener_is_gone
    a_store_that_is_too_small_is_told_and_the_one_that_is_shipped_is_not
}

/// The inode of the listening socket: another one is another socket.
fn inode(machine: &Machine) -> Option<String> {
    let sockets = machine.check(&["cat", "/proc/net/tcp"]);
    // Field 4 is the state, 0A is LISTEN; field 10 is the inode.
    let mut lines = sockets.lines().filter(|line| line.contains(OWN_PORT_HEX));
    lines.find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields[3] == "0A" && fields[1].ends_with(OWN_PORT_HEX.trim_end()))
            .then(|| fields[9].to_owned())
    })
}

fn a_socket_that_batond_bound_itself_outlives_the_process(machine: &Machine) {
    serve_with(machine, OWN_LISTENER);
    Client::open_at(machine, OWN_PORT).echo("before");
    let first = inode(machine).expect("a listening socket");
    // The socket, and the state.
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "2");

    machine.check(&["systemctl", "restart", "batond"]);
    Client::open_at(machine, OWN_PORT).echo("after a restart");
    assert_eq!(inode(machine).as_ref(), Some(&first));

    for _ in 0..3 {
        machine.main_process("batond").signal(Signal::KILL);
        // Whether the next process is up or not, the kernel queues the connection.
        Client::open_at(machine, OWN_PORT).echo("after a crash");
        assert_eq!(inode(machine).as_ref(), Some(&first));
    }

    let old = machine.main_process("batond");
    let client = Client::open_at(machine, OWN_PORT);
    old.signal(Signal::USR2);
    assert_eq!(client.farewell().code(), 1012);
    Client::open_at(machine, OWN_PORT).echo("after a handoff");
    assert_eq!(inode(machine).as_ref(), Some(&first));

    // What the successor stored in its turn has not piled up.
    machine.check(&["systemctl", "restart", "batond"]);
    Client::open_at(machine, OWN_PORT).echo("after all");
    assert_eq!(inode(machine).as_ref(), Some(&first));
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "2");
}

fn a_stored_socket_is_closed_when_its_listener_is_gone(machine: &Machine) {
    serve_with(machine, OWN_LISTENER);
    assert!(inode(machine).is_some());
    configure_with(machine, "");
    machine.check(&["systemctl", "restart", "batond"]);
    Client::open(machine).echo("on the other");
    assert_eq!(inode(machine), None);
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "1");
}

fn a_store_that_is_too_small_is_told_and_the_one_that_is_shipped_is_not(machine: &Machine) {
    serve_with(machine, OWN_LISTENER);
    let second = "[listener.second]\naddress = \"0.0.0.0:9444\"\n";
    configure_with(machine, &format!("{OWN_LISTENER}{second}"));
    machine.check(&["systemctl", "reload", "batond"]);
    machine.check(&["batonctl", "upgrade"]);
    machine.check(&["systemctl", "restart", "batond"]);
    Client::open_at(machine, OWN_PORT).echo("after a reload, an upgrade and a restart");
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "3");
    let told = || {
        let kind = message_id::FD_STORE_TOO_SMALL.as_str();
        let journal = machine.journal("batond").into_iter();
        journal.filter(|entry| entry["MESSAGE_ID"] == kind).count()
    };
    assert_eq!(told(), 0);

    for max in [0, 1] {
        let drop_in = format!("[Service]\nFileDescriptorStoreMax={max}\n");
        machine.put("/etc/systemd/system/batond.service.d/store.conf", &drop_in);
        machine.check(&["systemctl", "daemon-reload"]);
        machine.check(&["systemctl", "restart", "batond"]);
        let main = machine.main_process("batond");
        let entry = await_event(machine, &main, message_id::FD_STORE_TOO_SMALL);
        assert_eq!(entry["PRIORITY"], "4");
        let said = entry["MESSAGE"].as_str().expect("a text");
        let advice = format!("(set FileDescriptorStoreMax= of the unit, now {max}, to 4 or more)");
        assert!(said.contains(&advice), "{said}");
        assert!(said.contains(" of 3 descriptors"), "{said}");
        Client::open_at(machine, OWN_PORT).echo("all the same");
    }
}
