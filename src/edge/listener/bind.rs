//! Binding an address of the configuration.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::file::{self, SocketFile};
use super::{
    BACKLOG, ListenError, ListenFailure, Listener, ListeningSocket, Origin, bound_address,
};
use crate::config::{Address, ListenerConfig};

/// Whether sockets of the same user may have addresses that overlap (`SO_REUSEPORT`, socket(7)).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    No,
    Yes,
}

pub(super) fn bind(config: &ListenerConfig) -> Result<Listener, ListenError> {
    bind_with(config, Sharing::No)
}

/// Binds an address that overlaps with those of sockets that are about to be closed, so that the
/// port is never without a listener. Each connection goes to the one whose address fits better,
/// and waits in that one's queue: the caller empties the queues of those that it closes.
pub(super) fn bind_beside(
    config: &ListenerConfig,
    others: &[&OwnedFd],
) -> Result<Listener, ListenError> {
    let share = |sharing| {
        for other in others {
            // An error shows when binding fails.
            let _ = SockRef::from(*other).set_reuse_port(sharing == Sharing::Yes);
        }
    };
    share(Sharing::Yes);
    let bound = bind_with(config, Sharing::Yes);
    // For this once: nobody else is to share the port.
    share(Sharing::No);
    if let Ok(listener) = &bound {
        let _ = SockRef::from(listener).set_reuse_port(false);
    }
    bound
}

fn bind_with(config: &ListenerConfig, sharing: Sharing) -> Result<Listener, ListenError> {
    let bound = match &config.address {
        Address::Tcp(address) => tcp(*address, sharing),
        Address::Unix(path) => unix(path),
    };
    let (socket, address, file) = bound.map_err(|cause| ListenError {
        listener: config.name.clone(),
        cause,
    })?;
    Ok(Listener {
        name: config.name.clone(),
        socket,
        address,
        origin: Origin::Bound,
        file,
    })
}

type Bound = (ListeningSocket, Address, Option<SocketFile>);

fn tcp(wanted: SocketAddr, sharing: Sharing) -> Result<Bound, ListenFailure> {
    let socket = match listen_tcp(wanted, sharing) {
        Err(error)
            if is_without_ipv6(&error) && wanted.is_ipv6() && wanted.ip().is_unspecified() =>
        {
            let instead = SocketAddr::from((Ipv4Addr::UNSPECIFIED, wanted.port()));
            tracing::warn!(
                "this process has no IPv6 (it is switched off on this host, or \
                 RestrictAddressFamilies= leaves out AF_INET6): listening on {instead} instead of \
                 {wanted}"
            );
            listen_tcp(instead, sharing)
        }
        outcome => outcome,
    }
    .map_err(|error| failed(&Address::Tcp(wanted), error))?;
    let socket = std::net::TcpListener::from(socket);
    let address = socket
        .local_addr()
        .map_err(|error| failed(&Address::Tcp(wanted), error))?;
    Ok((ListeningSocket::Tcp(socket), Address::Tcp(address), None))
}

fn listen_tcp(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    // Or connections of a predecessor that are still in TIME_WAIT would keep the port taken.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // Dual stack whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    if sharing == Sharing::Yes {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn unix(path: &Path) -> Result<Bound, ListenFailure> {
    let address = Address::Unix(path.to_owned());
    let fail = |error| failed(&address, error);
    file::clear(path)
        .map_err(fail)?
        .map_err(|what| ListenFailure::Occupied {
            address: address.to_string(),
            what,
        })?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(fail)?;
    socket
        .bind(&SockAddr::unix(path).map_err(fail)?)
        .map_err(fail)?;
    let file = SocketFile::at(path);
    // Before listen(2), so that nobody meets the mode that the umask gave.
    let listening = fs::set_permissions(path, Permissions::from_mode(0o666))
        .and_then(|()| socket.listen(BACKLOG));
    if let Err(error) = listening {
        file.into_iter().for_each(SocketFile::remove);
        return Err(fail(error));
    }
    let bound = bound_address(&socket).map_err(|error| fail(error.into()))?;
    Ok((
        ListeningSocket::Unix(std::os::fd::OwnedFd::from(socket).into()),
        bound,
        file,
    ))
}

/// No IPv6 in the kernel, switched off by `net.ipv6.conf.*.disable_ipv6`, or left out by
/// `RestrictAddressFamilies=` (systemd.exec(5)).
fn is_without_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == ErrorKind::AddrNotAvailable
}

/// Whether this host cannot have IPv6 sockets on the unspecified address.
pub(super) fn ipv6_is_off() -> bool {
    let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0));
    listen_tcp(any, Sharing::No).is_err_and(|error| is_without_ipv6(&error))
}

fn failed(address: &Address, error: io::Error) -> ListenFailure {
    let remedy = match (address, error.kind()) {
        (Address::Tcp(_), ErrorKind::PermissionDenied) => {
            Some("systemd can pass the socket: enable batond.socket".to_owned())
        }
        (Address::Unix(_), ErrorKind::PermissionDenied) => Some(
            "the folder must be writable for batond: use RuntimeDirectory=, or let batond.socket \
             pass the socket"
                .to_owned(),
        ),
        (Address::Unix(_), ErrorKind::NotFound) => Some("the folder does not exist".to_owned()),
        (Address::Unix(_), ErrorKind::InvalidInput) => {
            Some("the path of a Unix socket has at most 107 bytes".to_owned())
        }
        (Address::Tcp(address), ErrorKind::AddrInUse) => Some(format!(
            "find who listens with `ss -ltnp 'sport = :{}'`",
            address.port()
        )),
        (Address::Tcp(address), _) if address.is_ipv6() && is_without_ipv6(&error) => {
            Some("no interface has it, or this process has no IPv6: it is switched off on this host, or \
                  RestrictAddressFamilies= leaves out AF_INET6".to_owned())
        }
        (Address::Tcp(_), ErrorKind::AddrNotAvailable) => Some(
            "no interface has it; let batond.socket pass it with FreeBind=yes if it comes \
                  later"
                .to_owned(),
        ),
        _ => None,
    };
    ListenFailure::Bind {
        address: address.to_string(),
        error,
        remedy,
    }
}
