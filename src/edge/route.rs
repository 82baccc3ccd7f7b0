//! Which service a request belongs to: the most exact host first, then the longest path.

use std::sync::Arc;

use super::backend::Backend;
use super::counters::{ServiceCounts, Tally};
use super::standing::Standing;
use super::times::Times;
use crate::config::{BackendConfig, HostPattern, Restart, ServiceConfig};
use crate::restart::hold::Hold;

/// A service as the edge sees it.
#[derive(Debug)]
pub struct Service {
    /// Its name in the configuration.
    pub name: String,
    /// How its clients are treated when it, or batond, restarts.
    pub restart: Restart,
    backends: Vec<Arc<Backend>>,
    standing: Arc<Standing>,
    listeners: Vec<String>,
    hosts: Vec<HostPattern>,
    paths: Vec<String>,
}

impl Service {
    /// `before` is what it was under an earlier configuration. Its backends know how many
    /// connections they have, so those that stay are kept; so is everything that was counted, and
    /// whoever waits.
    fn new(config: &ServiceConfig, before: Option<&Self>) -> Self {
        let backend = |one: &BackendConfig| {
            let mut known = before.into_iter().flat_map(|service| &service.backends);
            match known.find(|backend| *backend.address() == one.address) {
                Some(known) if known.unit() == one.unit.as_deref() => Arc::clone(known),
                known => Arc::new(Backend::new(one, known.map(Arc::as_ref))),
            }
        };
        Self {
            name: config.name.clone(),
            restart: config.restart.clone(),
            backends: config.backends.iter().map(backend).collect(),
            standing: before.map_or_else(Arc::default, |before| Arc::clone(&before.standing)),
            listeners: config.listeners.clone(),
            hosts: config.hosts.clone(),
            paths: config.paths.clone(),
        }
    }

    /// What serves it; at least one.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// The first of its hosts; none: it answers to any.
    pub fn host(&self) -> Option<&HostPattern> {
        self.hosts.first()
    }

    /// The first of its path prefixes.
    pub fn path(&self) -> &str {
        self.paths.first().map_or("/", String::as_str)
    }

    /// Whether it answers on a listener.
    pub fn is_on(&self, listener: &str) -> bool {
        self.listeners.iter().any(|one| one == listener)
    }

    /// Where newcomers wait. It stays the same over reloads.
    pub fn hold(&self) -> &Arc<Hold> {
        &self.standing.hold
    }

    /// What happened to it so far, over reloads.
    pub fn counters(&self) -> ServiceCounts {
        self.tally().counts(&self.hold().totals())
    }

    /// How long its clients took to come in, from accept to the answer without what they were held,
    /// over reloads.
    pub fn times(&self) -> Times {
        self.tally().times()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.standing.tally
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// How well it fits, or None. Greater is better.
    fn rank(&self, listener: &str, host: &str, path: &str) -> Option<(u8, usize)> {
        if !self.listeners.iter().any(|name| name == listener) {
            return None;
        }
        let host = if self.hosts.is_empty() {
            0
        } else {
            self.hosts
                .iter()
                .filter_map(|pattern| host_rank(pattern, host))
                .max()?
        };
        let path = self
            .paths
            .iter()
            .filter(|prefix| is_path_prefix(prefix, path))
            .map(String::len)
            .max()?;
        Some((host, path))
    }
}

fn host_rank(pattern: &HostPattern, host: &str) -> Option<u8> {
    match pattern {
        HostPattern::Exact(name) => (name == host).then_some(2),
        HostPattern::Wildcard(parent) => {
            let (label, rest) = host.split_once('.')?;
            (!label.is_empty() && rest == parent).then_some(1)
        }
    }
}

/// `/chat` covers `/chat` and `/chat/x`, not `/chatter`; a final slash covers what is below it.
fn is_path_prefix(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

/// All services.
#[derive(Debug, Default)]
pub struct Routes {
    services: Vec<Arc<Service>>,
}

impl Routes {
    /// The services of a configuration.
    pub fn new(services: &[ServiceConfig]) -> Self {
        Self::default().renewed(services)
    }

    /// The services of a new configuration.
    #[must_use]
    pub fn renewed(&self, services: &[ServiceConfig]) -> Self {
        Self {
            services: services
                .iter()
                .map(|one| Service::new(one, self.named(&one.name).map(Arc::as_ref)))
                .map(Arc::new)
                .collect(),
        }
    }

    /// In the order of the configuration.
    pub fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    /// The service of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.iter().find(|one| one.name == name)
    }

    /// The service for a request on `listener`. `host` is the Host header's value, with or
    /// without a port; `path` is the request's.
    pub fn find(&self, listener: &str, host: &str, path: &str) -> Option<&Arc<Service>> {
        let host = bare_host(host);
        // `OPTIONS *` is about the server as a whole (RFC 9112 §3.2.4).
        let path = if path == "*" { "/" } else { path };
        self.services
            .iter()
            .filter_map(|service| Some((service.rank(listener, &host, path)?, service)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, service)| service)
    }
}

/// Lower case, without port and final dot (RFC 9110 §7.2).
fn bare_host(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        // An IPv6 literal has colons of its own.
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_covers_whole_segments() {
        for (prefix, path, covers) in [
            ("/", "/", true),
            ("/", "/chat", true),
            ("/chat", "/chat", true),
            ("/chat", "/chat/room", true),
            ("/chat", "/chatter", false),
            ("/chat/", "/chat/room", true),
            ("/chat/", "/chat", false),
        ] {
            assert_eq!(is_path_prefix(prefix, path), covers, "{prefix} {path}");
        }
    }

    #[test]
    fn a_host_is_compared_without_port_case_and_final_dot() {
        for (written, bare) in [
            ("Chat.Example.org:443", "chat.example.org"),
            ("chat.example.org.", "chat.example.org"),
            ("[2001:DB8::1]:8443", "2001:db8::1"),
            ("", ""),
        ] {
            assert_eq!(bare_host(written), bare);
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let pattern = HostPattern::Wildcard("example.org".into());
        assert_eq!(host_rank(&pattern, "chat.example.org"), Some(1));
        assert_eq!(host_rank(&pattern, "example.org"), None);
        assert_eq!(host_rank(&pattern, "a.chat.example.org"), None);
        assert_eq!(host_rank(&pattern, ".example.org"), None);
    }
}
