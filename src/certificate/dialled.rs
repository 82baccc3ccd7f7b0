//! Which names clients get a certificate for.

use super::x509::Names;
use crate::config::{CertificateConfig, Config, HostPattern, ListenerConfig};

/// The names that clients dial and are given this certificate for: those of the configuration,
/// or else the hosts of the services on its listeners, as far as no other certificate there is
/// chosen for them. Empty: not known.
///
/// `names_of` gives the names in a certificate's leaf; none, if it cannot be read.
pub fn dialled<'a>(
    config: &Config,
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
        let on_it =
            |service: &&crate::config::ServiceConfig| service.listeners.contains(&listener.name);
        for host in config
            .services
            .iter()
            .filter(on_it)
            .flat_map(|it| &it.hosts)
        {
            let chosen = chosen(config, listener, host, &names_of);
            if chosen == Some(certificate.name.as_str()) && !dialled.contains(host) {
                dialled.push(host.clone());
            }
        }
    }
    dialled
}

/// As [`super::resolver`] does: the first certificate with the name, then the first with a
/// wildcard for it, then the first of all.
fn chosen<'a, 'c>(
    config: &'c Config,
    listener: &'c ListenerConfig,
    host: &HostPattern,
    names_of: &impl Fn(&str) -> Option<&'a Names>,
) -> Option<&'c str> {
    let all = || listener.certificates.iter().map(String::as_str);
    let has = |certificate: &str, name: &str| {
        let configured = config.certificates.iter().find(|it| it.name == certificate);
        configured.is_some_and(|it| it.names.iter().any(|one| one == name))
            || names_of(certificate).is_some_and(|names| names.dns.iter().any(|one| one == name))
    };
    let name = host.to_string();
    let parent = |name: &str| {
        name.split_once('.')
            .map(|(_, parent)| format!("*.{parent}"))
    };
    let mut found = all().find(|certificate| has(certificate, &name));
    if let HostPattern::Wildcard(_) = host {
        let below = |certificate: &str| {
            names_of(certificate).is_some_and(|names| {
                names
                    .dns
                    .iter()
                    .any(|one| parent(one).as_ref() == Some(&name))
            })
        };
        found = found.or_else(|| all().find(|certificate| below(certificate)));
    } else if let Some(wildcard) = parent(&name) {
        found = found.or_else(|| all().find(|certificate| has(certificate, &wildcard)));
    }
    found.or_else(|| all().next())
}
