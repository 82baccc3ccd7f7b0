//! What must be in place before the daemon serves.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ServerConfig;

use super::exit;
use super::inherited::InheritedError;
use crate::certificate::load::{self, LoadError};
use crate::certificate::resolver::{Resolver, server_config};
use crate::certificate::ticket::{NoRandomness, TicketKeys};
use crate::config::{Config, ListenerConfig, Problems};
use crate::control::message_id;
use crate::edge::Door;
use crate::edge::listener::{self, ListenError, Listener, Origin, PassedSocket};
use crate::event;
use crate::restart::handoff::HandoffError;

/// Descriptors that are needed besides those of the clients: listeners, logs, the bus, files.
const SPARE_DESCRIPTORS: u64 = 256;

/// Why the daemon could not begin to serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("cannot take over what systemd passed: {source}")]
    Inherited { source: InheritedError },
    #[error("the configuration is not usable\n{problems}")]
    Config { problems: Problems },
    #[error("certificate.{name}: {source}")]
    Certificate { name: String, source: LoadError },
    #[error("cannot set up TLS: {source}")]
    Tls { source: rustls::Error },
    #[error("{source}")]
    Tickets { source: NoRandomness },
    #[error("{source}")]
    Listen { source: ListenError },
    #[error("{source}")]
    Handoff { source: HandoffError },
    #[error("cannot {doing}: {source}")]
    System {
        doing: &'static str,
        source: io::Error,
    },
}

impl StartError {
    /// Says it, once.
    pub(super) fn report(&self) {
        match self {
            Self::Config { .. } | Self::Certificate { .. } => {
                event!(ERROR, message_id::CONFIGURATION_REFUSED, "{self}");
            }
            _ => tracing::error!("{self}"),
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Certificate { .. } => exit::CONFIG,
            _ => exit::OSERR,
        }
    }
}

/// What every connection of each listener has in common, in the order of the configuration.
pub(super) fn doors(config: &Config, tickets: &Arc<TicketKeys>) -> Result<Vec<Door>, StartError> {
    config
        .listeners
        .iter()
        .map(|listener| {
            Ok(Door {
                name: listener.name.clone(),
                tls: tls(config, listener, tickets)?,
                trusted: listener.trusted.clone(),
            })
        })
        .collect()
}

fn tls(
    config: &Config,
    listener: &ListenerConfig,
    tickets: &Arc<TicketKeys>,
) -> Result<Option<Arc<ServerConfig>>, StartError> {
    let mut certificates = Vec::new();
    for name in &listener.certificates {
        let Some(one) = config.certificates.iter().find(|one| one.name == *name) else {
            continue;
        };
        let pair = load::load(&one.chain, &one.key).map_err(|source| StartError::Certificate {
            name: name.clone(),
            source,
        })?;
        certificates.push((pair, one.names.clone()));
    }
    match Resolver::new(&certificates) {
        None => Ok(None),
        Some(resolver) => server_config(resolver, Arc::clone(tickets))
            .map(Some)
            .map_err(|source| StartError::Tls { source }),
    }
}

/// Allows as many descriptors as the hard limit does, and says so if that is too few.
pub(super) fn raise_descriptor_limit(clients: usize) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Fails only for want of a right that raising up to the hard limit does not take.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let room = limit.saturating_sub(SPARE_DESCRIPTORS) / 2;
    if room < clients as u64 {
        event!(
            WARN,
            message_id::FD_LIMIT_LOW,
            baton_clients = room,
            "{limit} descriptors are allowed, enough for {room} clients and not for the {clients} \
             of limits.clients (raise LimitNOFILE=, or lower limits.clients)"
        );
    }
}

/// Opens every listener of the configuration, on a socket that was passed in where there is one.
/// Also gives the names of those that nobody claims.
pub(super) fn listeners(
    config: &Config,
    from_units: Vec<(String, OwnedFd)>,
    passed: Vec<PassedSocket>,
) -> Result<(Vec<Listener>, Vec<String>), StartError> {
    let opened = listener::open_all(&config.listeners, from_units, passed)
        .map_err(|source| StartError::Listen { source })?;
    for listener in &opened.listeners {
        let (name, address) = (listener.name(), listener.address());
        match listener.origin() {
            Origin::Bound => event!(
                INFO,
                message_id::LISTENER_BOUND,
                baton_listener = name,
                "listener.{name}: bound to {address}"
            ),
            origin => event!(
                INFO,
                message_id::LISTENER_ADOPTED,
                baton_listener = name,
                "listener.{name}: adopted on {address} from {}",
                if origin == Origin::Systemd {
                    "systemd"
                } else {
                    "the predecessor"
                }
            ),
        }
    }
    for (name, _) in &opened.unclaimed {
        tracing::warn!("a socket named {name:?} was passed in that no listener claims: closed");
    }
    let gone = opened.unclaimed.into_iter().map(|(name, _)| name).collect();
    Ok((opened.listeners, gone))
}

/// The program as it was called, which is what a successor is to be: an upgrade may have put
/// another file or another symbolic link there by then.
pub(super) fn program() -> io::Result<PathBuf> {
    match std::env::args_os().next().map(PathBuf::from) {
        Some(called) if called.components().count() > 1 => std::path::absolute(called),
        _ => std::env::current_exe(),
    }
}
