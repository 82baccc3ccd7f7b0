//! All listeners of a configuration at once, or none.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt;

use super::{
    ListenError, ListenFailure, Listener, OfferedSocket, Origin, bind, bound_address, key,
};
use crate::config::{Address, ListenerConfig};

/// A listening socket as a predecessor passed it on.
#[derive(Debug)]
pub struct PassedSocket {
    /// The listener's name.
    pub name: String,
    /// The socket itself.
    pub socket: OwnedFd,
    /// Whether it comes from a socket unit, which then goes on deciding on it.
    pub from_unit: bool,
}

impl PassedSocket {
    /// What a successor gets of it.
    pub fn offer(&self) -> OfferedSocket<'_> {
        OfferedSocket {
            name: &self.name,
            socket: self.socket.as_fd(),
            from_unit: self.from_unit,
        }
    }

    /// A second descriptor of the same socket.
    ///
    /// # Errors
    /// The limit on open descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            name: self.name.clone(),
            socket: self.socket.try_clone()?,
            from_unit: self.from_unit,
        })
    }
}

/// What [`open_all`] made of a configuration and of what was passed in.
#[derive(Debug)]
pub struct Opened {
    /// In the order of the configuration. Several sockets that a socket unit passed under one
    /// name are all here.
    pub listeners: Vec<Listener>,
    /// What was passed in and has no place in the configuration. Dropping it closes it.
    pub unclaimed: Vec<PassedSocket>,
}

/// Opens every listener of the configuration: a socket that systemd passed under its name is
/// taken whatever its address, since the socket unit decides; else one that a predecessor had
/// bound, if its address is still the configured one (port 0 stands for any port), or one of
/// another name that has the configured address; else the address is bound, if need be beside one
/// that overlaps and has no place any more. A socket that was passed in twice is taken once.
///
/// # Errors
/// The first listener that cannot be had. Nothing that this call bound stays bound then, and
/// the sockets passed in are closed in this process only.
pub fn open_all(
    config: &[ListenerConfig],
    inherited: Vec<(String, OwnedFd)>,
    handed: Vec<PassedSocket>,
) -> Result<Opened, ListenError> {
    let mut waiting = candidates(inherited, handed);
    let mut listeners = Vec::with_capacity(config.len());
    for wanted in config {
        let own: Vec<Candidate> = waiting
            .extract_if(.., |candidate| candidate.name == wanted.name)
            .collect();
        let before = listeners.len();
        for candidate in own {
            if candidate.fits(wanted, listeners.len() > before) {
                listeners.push(candidate.adopt(wanted)?);
            } else {
                waiting.push(candidate);
            }
        }
        if listeners.len() == before
            && let Some(renamed) = waiting.iter().position(|one| one.is_renamed(wanted))
        {
            listeners.push(waiting.remove(renamed).adopt(wanted)?);
        }
        if listeners.len() == before {
            let bound = Listener::bind(wanted).or_else(|error| {
                let left = |one: &&Candidate| one.makes_room(wanted, config);
                let others: Vec<_> = waiting.iter().filter(left).map(|one| &one.fd).collect();
                if others.is_empty() || !error.is_address_in_use() {
                    return Err(error);
                }
                bind::bind_beside(wanted, &others)
            });
            listeners.push(bound.map_err(|error| explain(error, wanted, &waiting))?);
        }
    }
    let unclaimed = waiting
        .into_iter()
        .map(|candidate| PassedSocket {
            name: candidate.name,
            socket: candidate.fd,
            from_unit: candidate.origin == Origin::Systemd,
        })
        .collect();
    Ok(Opened {
        listeners,
        unclaimed,
    })
}

/// A descriptor that was passed in and that a listener may claim.
struct Candidate {
    name: String,
    fd: OwnedFd,
    origin: Origin,
    /// None: not a TCP or Unix socket, which adopting it will say.
    address: Option<Address>,
}

/// Everything that was passed in, those of systemd first, each socket once. `SO_COOKIE` tells
/// whether two descriptors are of the same socket (socket(7)).
fn candidates(inherited: Vec<(String, OwnedFd)>, handed: Vec<PassedSocket>) -> Vec<Candidate> {
    let inherited = inherited
        .into_iter()
        .map(|(name, fd)| (name, fd, Origin::Systemd));
    let (from_unit, bound): (Vec<_>, Vec<_>) =
        handed.into_iter().partition(|passed| passed.from_unit);
    let from_unit = from_unit
        .into_iter()
        .map(|passed| (passed.name, passed.socket, Origin::Systemd));
    let bound = bound
        .into_iter()
        .map(|passed| (passed.name, passed.socket, Origin::Handoff));
    let mut seen = HashSet::new();
    inherited
        .chain(from_unit)
        .chain(bound)
        .filter(|(_, fd, _)| sockopt::socket_cookie(fd).map_or(true, |cookie| seen.insert(cookie)))
        .map(|(name, fd, origin)| {
            let address = bound_address(&fd).ok();
            Candidate {
                name,
                fd,
                origin,
                address,
            }
        })
        .collect()
}

impl Candidate {
    /// Whether this listener is to use it, when it may have found another (`found`) already.
    fn fits(&self, wanted: &ListenerConfig, found: bool) -> bool {
        let as_configured = self
            .address
            .as_ref()
            .is_none_or(|address| is_same(address, &wanted.address));
        if self.origin == Origin::Systemd {
            if !as_configured {
                tracing::info!(
                    "{}: its socket unit listens on {}, the configured address {} is not used",
                    key(&self.name),
                    self.address
                        .as_ref()
                        .map(Address::to_string)
                        .unwrap_or_default(),
                    wanted.address,
                );
            }
            return true;
        }
        !found && as_configured && self.is_reachable()
    }

    /// Whether a predecessor had this very address under another name. A socket unit's names are
    /// the operator's to set right.
    fn is_renamed(&self, wanted: &ListenerConfig) -> bool {
        self.origin == Origin::Handoff
            && self.address.as_ref() == Some(&wanted.address)
            && self.is_reachable()
    }

    /// Whether it has the port of a wanted address, and may be closed for it: batond bound it
    /// itself, and no listener is configured to have its address.
    fn makes_room(&self, wanted: &ListenerConfig, config: &[ListenerConfig]) -> bool {
        let (Some(address @ Address::Tcp(own)), Address::Tcp(new)) =
            (&self.address, &wanted.address)
        else {
            return false;
        };
        self.origin != Origin::Systemd
            && own.port() == new.port()
            && !config.iter().any(|one| is_same(address, &one.address))
    }

    fn adopt(self, wanted: &ListenerConfig) -> Result<Listener, ListenError> {
        Listener::adopt(wanted.name.clone(), self.fd, self.origin)
    }

    /// A Unix socket whose file is gone cannot be connected to any more.
    fn is_reachable(&self) -> bool {
        match &self.address {
            Some(Address::Unix(path)) => super::file::SocketFile::at(path).is_some(),
            _ => true,
        }
    }
}

/// Whether a socket on `bound` is what a configuration with `wanted` asks for.
fn is_same(bound: &Address, wanted: &Address) -> bool {
    match (bound, wanted) {
        (Address::Tcp(bound), Address::Tcp(wanted)) => {
            let same_ip = bound.ip() == wanted.ip()
                // What binding [::] falls back to.
                || (bound.is_ipv4()
                    && wanted.is_ipv6()
                    && bound.ip().is_unspecified()
                    && wanted.ip().is_unspecified()
                    && bind::ipv6_is_off());
            same_ip && (wanted.port() == 0 || bound.port() == wanted.port())
        }
        (bound, wanted) => bound == wanted,
    }
}

/// When an address is in use, the one who uses it may be a socket that was passed in under
/// another name, or with an address that overlaps: then that is what the operator must know.
fn explain(mut error: ListenError, wanted: &ListenerConfig, waiting: &[Candidate]) -> ListenError {
    if !error.is_address_in_use() {
        return error;
    }
    let ListenFailure::Bind { remedy, .. } = &mut error.cause else {
        return error;
    };
    let other = waiting
        .iter()
        .find(|candidate| match (&candidate.address, &wanted.address) {
            (Some(Address::Tcp(passed)), Address::Tcp(wanted)) => passed.port() == wanted.port(),
            (passed, wanted) => passed.as_ref() == Some(wanted),
        });
    if let Some(Candidate {
        name,
        origin,
        address: Some(address),
        ..
    }) = other
    {
        *remedy = Some(match origin {
            Origin::Systemd => format!(
                "systemd passed {address} under the name \"{name}\": set FileDescriptorName={} in \
                 the socket unit",
                wanted.name
            ),
            _ => format!(
                "batond has {address} as {}: take that listener out, reload, and put it in \
                 again with the new address",
                key(name)
            ),
        });
    }
    error
}
