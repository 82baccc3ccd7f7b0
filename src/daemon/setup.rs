//! What must be in place before the daemon serves.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::exit;
use super::inherited::InheritedError;
use crate::certificate::admission::worse;
use crate::certificate::examine::examine_all;
use crate::certificate::in_use::{InUse, listeners as listeners_of};
use crate::certificate::keeper::Charge;
use crate::certificate::load::LoadError;
use crate::certificate::resolver::{Named, Resolver, server_config};
use crate::certificate::ticket::{NoRandomness, TicketKeys};
use crate::config::{self, Config, ListenerConfig, Problems, Source};
use crate::control::message_id;
use crate::edge::listener::{self, ListenError, Listener, Origin, PassedSocket};
use crate::edge::{Door, Tls};
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
    #[error(
        "certificate.{name}: clients would fail who do not fail with what is served now: {source}"
    )]
    Worse { name: String, source: LoadError },
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
            Self::Config { .. } | Self::Certificate { .. } | Self::Worse { .. } => {
                event!(ERROR, message_id::CONFIGURATION_REFUSED, "{self}");
            }
            _ => tracing::error!("{self}"),
        }
    }

    /// What matters most, on one line.
    pub(super) fn summary(&self) -> String {
        let text = match self {
            Self::Config { problems } => {
                let mut problems = problems.iter();
                let first = problems.next().map(ToString::to_string);
                let first = first.unwrap_or_default();
                let first = first.lines().next().unwrap_or_default();
                return match problems.count() {
                    0 => first.to_owned(),
                    more => format!("{first} (and {more} more)"),
                };
            }
            other => other.to_string(),
        };
        text.lines().next().unwrap_or_default().to_owned()
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Certificate { .. } | Self::Worse { .. } => exit::CONFIG,
            _ => exit::OSERR,
        }
    }
}

/// A configuration that is good as far as files go.
pub(super) struct Loaded {
    pub(super) config: Arc<Config>,
    pub(super) doors: Vec<Door>,
    /// The certificates that the doors use.
    pub(super) in_use: Vec<InUse>,
    /// What chooses among them, by the name of the listener.
    pub(super) resolvers: Vec<(String, Arc<Resolver>)>,
}

impl Loaded {
    /// What has to be looked after from now on.
    pub(super) fn charge(&self) -> Charge {
        Charge {
            config: Arc::clone(&self.config),
            in_use: self.in_use.clone(),
            resolvers: self.resolvers.clone(),
        }
    }
}

/// Reads the configuration at a path, what is laid over it, and the certificates. These may not be
/// worse than those that are served.
pub(super) fn load(
    path: &Path,
    tickets: &Arc<TicketKeys>,
    served: &[InUse],
) -> Result<Loaded, StartError> {
    let source = Source::from_process(Some(path.to_owned()));
    let config = config::load(&source).map_err(|problems| StartError::Config { problems })?;
    let in_use = in_use(&config)?;
    if let Some((name, source)) = worse(&config, &in_use, served, Timestamp::now()) {
        return Err(StartError::Worse { name, source });
    }
    let mut resolvers = Vec::new();
    let doors = doors(&config, tickets, &in_use, &mut resolvers)?;
    Ok(Loaded {
        config: Arc::new(config),
        doors,
        in_use,
        resolvers,
    })
}

/// The certificates that listeners use, with a pair each.
fn in_use(config: &Config) -> Result<Vec<InUse>, StartError> {
    let now = Timestamp::now();
    let mut in_use = Vec::new();
    for (certificate, examination) in config.certificates.iter().zip(examine_all(config)) {
        let name = certificate.name.clone();
        let listeners = listeners_of(config, &name);
        if listeners.is_empty() {
            continue;
        }
        if let Err(source) = examination.usable() {
            return Err(StartError::Certificate { name, source });
        }
        in_use.push(InUse::new(
            certificate,
            listeners,
            Arc::new(examination),
            now,
        ));
    }
    Ok(in_use)
}

/// Each listener with what its connections have in common. A socket unit may pass several
/// sockets under one name.
pub(super) fn pairs<'a>(doors: &[Door], listeners: &'a [Listener]) -> Vec<(Door, &'a Listener)> {
    let pair = |listener: &'a Listener| {
        let door = doors.iter().find(|door| door.name == listener.name())?;
        Some((door.clone(), listener))
    };
    listeners.iter().filter_map(pair).collect()
}

/// What every connection of each listener has in common, in the order of the configuration.
fn doors(
    config: &Config,
    tickets: &Arc<TicketKeys>,
    in_use: &[InUse],
    resolvers: &mut Vec<(String, Arc<Resolver>)>,
) -> Result<Vec<Door>, StartError> {
    config
        .listeners
        .iter()
        .map(|listener| {
            let resolver = resolver(config, listener, in_use).map(Arc::new);
            resolvers.extend(
                resolver
                    .iter()
                    .map(|one| (listener.name.clone(), Arc::clone(one))),
            );
            let tls = |resolver: Arc<Resolver>| {
                let config = server_config(Arc::clone(&resolver), Arc::clone(tickets))?;
                Ok(Tls { config, resolver })
            };
            let tls = resolver.map(tls);
            Ok(Door {
                name: listener.name.clone(),
                tls: tls
                    .transpose()
                    .map_err(|source| StartError::Tls { source })?,
                trusted: listener.trusted.clone(),
            })
        })
        .collect()
}

/// None: the listener speaks no TLS.
fn resolver(config: &Config, listener: &ListenerConfig, in_use: &[InUse]) -> Option<Resolver> {
    let named = |name: &String| -> Option<Named> {
        let one = in_use.iter().find(|one| one.name == *name)?;
        let configured = config.certificates.iter().find(|one| one.name == *name)?;
        let pair = one.examination.pair()?;
        Some((Arc::clone(pair), configured.names.clone()))
    };
    let certificates: Vec<Named> = listener.certificates.iter().filter_map(named).collect();
    Resolver::new(&certificates)
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

/// The listening sockets of this process.
pub(super) struct Sockets {
    /// In the order of the configuration.
    pub(super) listeners: Vec<Listener>,
    /// Of socket units, and not in the configuration.
    pub(super) aside: Vec<PassedSocket>,
    /// Not in the configuration any more. Somebody may wait in their queues.
    pub(super) retired: Vec<Listener>,
    /// Names of those that nobody claims.
    pub(super) gone: Vec<String>,
}

/// Opens every listener of the configuration, on a socket that was passed in where there is one.
pub(super) fn listeners(
    config: &Config,
    from_units: Vec<(String, OwnedFd)>,
    passed: Vec<PassedSocket>,
) -> Result<Sockets, StartError> {
    let opened = listener::open_all(&config.sockets(), from_units, passed)
        .map_err(|source| StartError::Listen { source })?;
    tell(&opened.listeners);
    for PassedSocket {
        name, from_unit, ..
    } in &opened.unclaimed
    {
        if *from_unit {
            tracing::warn!(
                "a socket named {name:?} was passed in that no listener claims: whoever connects \
                 there waits until one does (configure it and reload, or stop its socket unit)"
            );
        } else {
            tracing::info!("a socket named {name:?} was kept that no listener claims: closed");
        }
    }
    let gone = opened
        .unclaimed
        .iter()
        .map(|one| one.name.clone())
        .collect();
    let (aside, own): (Vec<_>, Vec<_>) =
        opened.unclaimed.into_iter().partition(|one| one.from_unit);
    let adopt = |one: PassedSocket| Listener::adopt(one.name, one.socket, Origin::Handoff).ok();
    Ok(Sockets {
        retired: own.into_iter().filter_map(adopt).collect(),
        listeners: opened.listeners,
        aside,
        gone,
    })
}

/// What is kept of sockets that no listener claims: those of socket units, which go on listening
/// whatever this process does with its copy. Only with that copy a reload can take them in again.
pub(super) fn aside(unclaimed: Vec<PassedSocket>) -> Vec<PassedSocket> {
    unclaimed.into_iter().filter(|one| one.from_unit).collect()
}

/// The first step of closing a socket.
pub(super) fn let_nobody_in(listener: &mut Listener) {
    if let Err(error) = listener.let_nobody_in() {
        let key = listener.key();
        tracing::warn!("{key}: who connects while it closes may be reset: {error}");
    }
}

/// Says where each listener comes from.
pub(super) fn tell<'a>(listeners: impl IntoIterator<Item = &'a Listener>) {
    for listener in listeners {
        let (name, address, key) = (listener.name(), listener.address(), listener.key());
        match listener.origin() {
            Origin::Bound => event!(
                INFO,
                message_id::LISTENER_BOUND,
                baton_listener = name,
                "{key}: bound to {address}"
            ),
            origin => event!(
                INFO,
                message_id::LISTENER_ADOPTED,
                baton_listener = name,
                "{key}: adopted on {address} from {}",
                if origin == Origin::Systemd {
                    "systemd"
                } else {
                    "the predecessor"
                }
            ),
        }
    }
}

/// The program as it was called, which is what a successor is to be: an upgrade may have put
/// another file or another symbolic link there by then.
pub(super) fn program() -> io::Result<PathBuf> {
    match std::env::args_os().next().map(PathBuf::from) {
        Some(called) if called.components().count() > 1 => std::path::absolute(called),
        _ => std::env::current_exe(),
    }
}
