//! Which names clients get a certificate for.

use super::x509::Names;
use crate::config::{CertificateConfig, Config, HostPattern, ListenerConfig, ServiceConfig};

/// The names that clients dial and are given this certificate for: those of the configuration,
/// or else the hosts of the services on its listeners, as far as no other certificate there is
/// chosen for them. Empty: not known.
///
/// `names_of` gives the names in a certificate's leaf; none, if it cannot be read.
pub fn dialled<'a>(
    config: &'a Config,
    certificate: &CertificateConfig,
    names_of: impl Fn(&str) -> Option<&'a Names>,
) -> Vec<HostPattern> {
    if !certificate.names.is_empty() {
        let names = certificate.names.iter().cloned();
        return names.map(HostPattern::Exact).collect();
    }
    let mut dialled = Vec::new();
    for listener in &config.listeners {
        if !listener.certificates.contains(&certificate.name) {
            continue;
        }
        let choice = |name: &'a String| Choice {
            configured: (config.certificates.iter())
                .find(|it| it.name == *name)
                .map_or(&[][..], |it| &it.names),
            in_leaf: names_of(name),
        };
        let all: Vec<Choice<'a>> = listener.certificates.iter().map(choice).collect();
        for host in hosts(config, listener) {
            let chosen = chosen(&all, host).unwrap_or(0);
            let is_chosen = listener.certificates.get(chosen) == Some(&certificate.name);
            if is_chosen && !dialled.contains(host) {
                dialled.push(host.clone());
            }
        }
    }
    dialled
}

/// What is to be chosen from: the names that the configuration gives a certificate, and those in
/// its leaf.
pub(super) struct Choice<'a> {
    pub(super) configured: &'a [String],
    pub(super) in_leaf: Option<&'a Names>,
}

impl Choice<'_> {
    /// It is there for this very name.
    pub(super) fn has(&self, name: &str) -> bool {
        let in_leaf = self.in_leaf.map_or(&[][..], |names| &names.dns);
        self.configured.iter().chain(in_leaf).any(|one| one == name)
    }
}

/// As [`super::resolver`] does: the place of the first certificate with the name, then of the first
/// with a wildcard for it; none: clients are given the first of all, which is not there for it.
pub(super) fn chosen(all: &[Choice<'_>], host: &HostPattern) -> Option<usize> {
    let name = host.to_string();
    let parent = |name: &str| {
        name.split_once('.')
            .map(|(_, parent)| format!("*.{parent}"))
    };
    let mut found = all.iter().position(|one| one.has(&name));
    if let HostPattern::Wildcard(_) = host {
        let below = |one: &Choice<'_>| {
            let names = one.in_leaf.map_or(&[][..], |names| &names.dns);
            names.iter().any(|one| parent(one).as_ref() == Some(&name))
        };
        found = found.or_else(|| all.iter().position(below));
    } else if let Some(wildcard) = parent(&name) {
        found = found.or_else(|| all.iter().position(|one| one.has(&wildcard)));
    }
    found
}

/// The hosts of the services on a listener.
pub(super) fn hosts<'a>(
    config: &'a Config,
    listener: &'a ListenerConfig,
) -> impl Iterator<Item = &'a HostPattern> {
    let services = config.services.iter();
    let on_it = |service: &&ServiceConfig| service.listeners.contains(&listener.name);
    services.filter(on_it).flat_map(|it| &it.hosts)
}
