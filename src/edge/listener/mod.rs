//! Listening sockets: passed to this process by systemd or by a predecessor, else bound here.
//!
//! A listening socket outlives the processes that accept on it: all of them share one open file
//! description, and its accept queue with it. `SO_REUSEPORT` is not the way there, because each of
//! its sockets has a queue of its own, and what waits there is reset when the socket is closed. It
//! is used for one moment only, when an address takes the place of one that it overlaps with.
//!
//! Who removes the file of a Unix socket: systemd removes its own. A file that batond bound is
//! removed by the [`Listener`] whose duty it is, when that is dropped. The duty begins with
//! [`Listener::bind`], is given up with [`Listener::hand_on`] by a process that passes the socket
//! to its successor, and is taken on with [`Listener::take_over`] by the successor once it is
//! committed. A file that a crash left behind is removed by the next bind.

mod bind;
mod error;
mod file;
mod open;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::net::{AddressFamily, SocketType, sockopt};
use socket2::SockRef;

use crate::config::{Address, ListenerConfig, METRICS_SOCKET};

pub use error::{ListenError, ListenFailure};
pub use open::{Opened, PassedSocket, open_all};

use file::SocketFile;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`
/// (listen(2)). Sockets from a socket unit keep the unit's `Backlog=`.
pub const BACKLOG: i32 = 4096;

/// A socket that accepts connections. Always non-blocking and close-on-exec.
#[derive(Debug)]
pub enum ListeningSocket {
    /// IPv4 or IPv6.
    Tcp(TcpListener),
    /// A Unix stream socket.
    Unix(UnixListener),
}

/// Who made a listening socket, which decides what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A socket unit, whether it came straight from systemd or through a predecessor. The unit
    /// decides on its address and its file.
    Systemd,
    /// Bound by a predecessor and passed on by it, or by this process under an earlier
    /// configuration.
    Handoff,
    /// Bound by this process.
    Bound,
}

/// What tells one socket from another for its whole life, whoever holds it (`SO_COOKIE`,
/// socket(7)).
pub type Cookie = u64;

/// A listening socket with the name that the configuration has for it.
#[derive(Debug)]
pub struct Listener {
    name: String,
    socket: ListeningSocket,
    address: Address,
    origin: Origin,
    /// The socket's file, while it is this process's duty to remove it.
    file: Option<SocketFile>,
}

/// A listener as it is offered to a successor.
#[derive(Clone, Copy, Debug)]
pub struct OfferedSocket<'a> {
    /// The listener's name.
    pub name: &'a str,
    /// The socket itself.
    pub socket: BorrowedFd<'a>,
    /// Whether it comes from a socket unit, which then goes on deciding on it.
    pub from_unit: bool,
}

impl Listener {
    /// Binds the configured address and starts to listen.
    ///
    /// A TCP socket on `[::]` also takes IPv4 connections; where IPv6 is switched off it falls
    /// back to `0.0.0.0` with a warning. A Unix socket replaces a file that a dead process left
    /// behind, and no other, and gets mode 0666: like a loopback port it is open to every local
    /// user, and the permissions of its folder are the way to restrict that.
    ///
    /// # Errors
    /// Whatever socket(2), bind(2) and listen(2) give, with a remedy where there is one.
    pub fn bind(config: &ListenerConfig) -> Result<Self, ListenError> {
        bind::bind(config)
    }

    /// Takes a descriptor that was passed in, if it is a listening stream socket, and makes it
    /// non-blocking and close-on-exec.
    ///
    /// # Errors
    /// The descriptor is no socket, not of TCP or Unix, not a stream, or does not listen.
    pub fn adopt(name: String, fd: OwnedFd, origin: Origin) -> Result<Self, ListenError> {
        match check(&fd).and_then(|()| prepare(fd)) {
            Ok((socket, address)) => Ok(Self {
                name,
                socket,
                address,
                origin,
                file: None,
            }),
            Err(cause) => Err(ListenError {
                listener: name,
                cause,
            }),
        }
    }

    /// The name in the configuration. Several sockets of a socket unit may share one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the configuration has it, for messages.
    pub fn key(&self) -> String {
        key(&self.name)
    }

    /// The address that it really is bound to, port included.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Who made it.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The socket, to accept on.
    pub fn socket(&self) -> &ListeningSocket {
        &self.socket
    }

    /// Which socket it is.
    ///
    /// # Errors
    /// None that is known: the option is older than what else batond needs of the kernel.
    pub fn cookie(&self) -> io::Result<Cookie> {
        Ok(sockopt::socket_cookie(self)?)
    }

    /// A second descriptor of the same socket, one for each worker.
    ///
    /// # Errors
    /// The limit on open descriptors.
    pub fn try_clone(&self) -> io::Result<ListeningSocket> {
        self.socket.try_clone()
    }

    /// What a successor gets.
    pub fn offer(&self) -> OfferedSocket<'_> {
        OfferedSocket {
            name: &self.name,
            socket: self.as_fd(),
            from_unit: self.origin == Origin::Systemd,
        }
    }

    /// Lets nobody in any more, while those who are in the queue can still be accepted: otherwise
    /// somebody would come between the last of them and the closing, and be reset. Over TCP,
    /// whoever connects from now on is refused, or meets another socket of the port. A socket
    /// that a socket unit has stays as it is.
    ///
    /// There is no way back without privileges.
    ///
    /// # Errors
    /// What the kernel says to `SO_BINDTOIFINDEX`, Linux 5.0 and newer.
    pub fn let_nobody_in(&mut self) -> io::Result<()> {
        /// No interface has it, so nothing comes in through it. Unlike a packet filter, this takes
        /// no privilege.
        const NOWHERE: Option<NonZeroU32> = NonZeroU32::new(i32::MAX.cast_unsigned());
        match (&self.socket, self.origin) {
            (_, Origin::Systemd) => Ok(()),
            // The option is one of the socket, whatever its family.
            (ListeningSocket::Tcp(socket), _) => {
                SockRef::from(socket).bind_device_by_index_v4(NOWHERE)
            }
            (ListeningSocket::Unix(_), _) => {
                self.file.take().into_iter().for_each(SocketFile::remove);
                Ok(())
            }
        }
    }

    /// Gives up the duty to remove the socket's file: a successor serves on it from now on.
    pub fn hand_on(&mut self) {
        self.file = None;
    }

    /// Takes on the duty to remove the socket's file, unless systemd has it: the predecessor has
    /// handed over or is gone, or the successor that was to get it failed.
    pub fn take_over(&mut self) {
        if let (Origin::Handoff | Origin::Bound, Address::Unix(path)) = (self.origin, &self.address)
        {
            self.file = SocketFile::at(path);
        }
    }
}

fn key(name: &str) -> String {
    match name {
        METRICS_SOCKET => "metrics.listen".to_owned(),
        _ => format!("listener.{name}"),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            file.remove();
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            ListeningSocket::Tcp(socket) => socket.as_fd(),
            ListeningSocket::Unix(socket) => socket.as_fd(),
        }
    }
}

impl ListeningSocket {
    /// A second descriptor of the same socket.
    ///
    /// # Errors
    /// The limit on open descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }
}

/// Whether a descriptor from outside can be accepted on at all.
fn check(fd: &OwnedFd) -> Result<(), ListenFailure> {
    let unusable = |what: &str| {
        Err(ListenFailure::Unusable {
            what: what.to_owned(),
        })
    };
    let Ok(family) = sockopt::socket_domain(fd) else {
        return unusable("is not a socket");
    };
    if ![
        AddressFamily::INET,
        AddressFamily::INET6,
        AddressFamily::UNIX,
    ]
    .contains(&family)
    {
        return unusable("is neither a TCP nor a Unix socket");
    }
    if sockopt::socket_type(fd).map_err(ListenFailure::adopting)? != SocketType::STREAM {
        return unusable("is not a stream socket");
    }
    if !sockopt::socket_acceptconn(fd).map_err(ListenFailure::adopting)? {
        return unusable("does not listen");
    }
    Ok(())
}

/// Sets the modes that batond relies on. `O_NONBLOCK` belongs to the open file description, so
/// systemd and a predecessor see it too; neither of them accepts in blocking mode.
fn prepare(fd: OwnedFd) -> Result<(ListeningSocket, Address), ListenFailure> {
    let address = bound_address(&fd).map_err(ListenFailure::adopting)?;
    rustix::io::ioctl_fionbio(&fd, true).map_err(ListenFailure::adopting)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).map_err(ListenFailure::adopting)?;
    let socket = match &address {
        Address::Tcp(_) => ListeningSocket::Tcp(fd.into()),
        Address::Unix(_) => ListeningSocket::Unix(fd.into()),
    };
    Ok((socket, address))
}

/// What a TCP or Unix socket is bound to. An abstract Unix address is written as systemd writes
/// it, `@name`.
fn bound_address(fd: impl AsFd) -> rustix::io::Result<Address> {
    let any = rustix::net::getsockname(fd)?;
    if let Ok(tcp) = SocketAddr::try_from(any.clone()) {
        return Ok(Address::Tcp(tcp));
    }
    let unix = rustix::net::SocketAddrUnix::try_from(any)?;
    if let Some(path) = unix.path_bytes() {
        return Ok(Address::Unix(PathBuf::from(std::ffi::OsStr::from_bytes(
            path,
        ))));
    }
    let name = unix.abstract_name().unwrap_or_default();
    Ok(Address::Unix(PathBuf::from(format!(
        "@{}",
        name.escape_ascii()
    ))))
}
