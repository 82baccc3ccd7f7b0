//! Which service answers for a listener, host and path: only one may.

use std::collections::HashMap;

use super::checked::{HostPattern, ServiceConfig};
use super::findings::Findings;
use super::key::KeyPath;

/// A listener, a host (none: any) and a path.
type Claim = (String, Option<HostPattern>, String);

/// What the services so far answer for.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<Claim, String>);

impl Claims {
    /// Adds what a service answers for. What another one has taken already is reported once,
    /// with the first listener that they share.
    pub(super) fn stake(&mut self, found: &mut Findings, path: &KeyPath, service: &ServiceConfig) {
        let hosts: Vec<Option<&HostPattern>> = match service.hosts.as_slice() {
            [] => vec![None],
            hosts => hosts.iter().map(Some).collect(),
        };
        for (number, prefix) in service.paths.iter().enumerate() {
            for host in &hosts {
                let taken = service.listeners.iter().find_map(|listener| {
                    let claim = (listener.clone(), host.cloned(), prefix.clone());
                    Some((listener, self.0.get(&claim)?))
                });
                if let Some((listener, other)) = taken {
                    let at = nearest_key(found, path, number);
                    let host = host.map_or("any host".to_owned(), HostPattern::to_string);
                    let message = format!(
                        "service {other} already answers for {host}, path {prefix}, on listener \
                         {listener} (give one of them other hosts or paths)"
                    );
                    if at == *path {
                        found.key(&at, message);
                    } else {
                        found.value(&at, message);
                    }
                }
                for listener in &service.listeners {
                    let claim = (listener.clone(), host.cloned(), prefix.clone());
                    self.0.entry(claim).or_insert_with(|| service.name.clone());
                }
            }
        }
    }
}

/// What best shows where a claim was staked: the path itself, or what else narrows it down.
fn nearest_key(found: &Findings, service: &KeyPath, path: usize) -> KeyPath {
    [
        service.key("paths").index(path),
        service.key("hosts"),
        service.key("listeners"),
    ]
    .into_iter()
    .find(|key| found.is_set(key))
    .unwrap_or_else(|| service.clone())
}
