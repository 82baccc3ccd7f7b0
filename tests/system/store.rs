//! P2, never refused: what no socket unit holds is kept in systemd's descriptor store.

use rustix::process::Signal;

use crate::client::Client;
use crate::installation::{configure_with, serve_with};
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
