//! Whether the addresses of a configuration can be bound on this host, now.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::checked::{Address, Config};
use super::findings::Findings;
use super::key::KeyPath;

/// Binds every TCP address as the daemon does, and lets go of it again without having listened,
/// so that no connection is lost on the way. Where batond runs already, its own addresses are in
/// use, which is as it should be: this is for before the first start. Unix sockets are left out,
/// since binding one would leave a file behind.
pub(super) fn check(found: &mut Findings, config: &Config) {
    let section = KeyPath::root().key("listener");
    let listeners = config.listeners.iter().map(|listener| {
        let path = section.key(&listener.name).key("address");
        (path, &listener.address)
    });
    let metrics = config.metrics.iter().map(|address| {
        let path = KeyPath::root().key("metrics").key("listen");
        (path, address)
    });
    for (path, address) in listeners.chain(metrics) {
        if let Address::Tcp(address) = address
            && let Err(error) = bind(*address)
        {
            let advice = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    " (find its owner with `ss -ltnp`; a running batond is one)"
                }
                std::io::ErrorKind::PermissionDenied => {
                    " (systemd can pass the socket: enable batond.socket)"
                }
                std::io::ErrorKind::AddrNotAvailable => " (this host does not have it)",
                _ => "",
            };
            found.value(&path, format!("cannot bind {address}: {error}{advice}"));
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())
}
