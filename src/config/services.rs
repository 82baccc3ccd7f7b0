//! `[service.NAME]`.

use super::address;
use super::checked::{BackendConfig, HostPattern, Restart, ServiceConfig};
use super::claims::Claims;
use super::findings::Findings;
use super::host;
use super::key::KeyPath;
use super::listeners::names_exist;
use super::name;
use super::raw::{RawBackend, RawConfig, RawService};
use super::restart;
use super::text::quoted;

/// Checks every service. `defaults` is the section `[restart]`.
pub(super) fn services(
    found: &mut Findings,
    raw: &RawConfig,
    defaults: &Restart,
) -> Vec<ServiceConfig> {
    let section = KeyPath::root().key("service");
    let all_listeners = found.names(&KeyPath::root().key("listener"));
    let mut claims = Claims::default();
    let mut services = Vec::new();
    for name in found.names(&section) {
        let path = section.key(&name);
        if let Err(message) = name::chosen(&name) {
            found.key(&path, message);
        }
        let Some(raw) = raw.service.get(&name) else {
            continue;
        };
        let listeners = listeners(found, &path, raw, &all_listeners);
        let hosts = hosts(found, &path, raw);
        let paths = paths(found, &path, raw);
        let backends = backends(found, &path, raw);
        let restart = restart::check(found, &path.key("restart"), &raw.restart, defaults);
        let service = ServiceConfig {
            name,
            listeners,
            hosts,
            paths,
            backends,
            restart,
        };
        let keys = ["listeners", "hosts", "paths"];
        if keys.iter().all(|key| found.is_whole_within(&path.key(key))) {
            claims.stake(found, &path, &service);
        }
        services.push(service);
    }
    services
}

fn listeners(
    found: &mut Findings,
    service: &KeyPath,
    raw: &RawService,
    all: &[String],
) -> Vec<String> {
    let path = service.key("listeners");
    match &raw.listeners {
        Some(names) if names.is_empty() => {
            found.value(
                &path,
                "is empty, so no client reaches the service (leave it out for all listeners)",
            );
            Vec::new()
        }
        Some(names) => {
            names_exist(found, &path, names, "listener");
            names.clone()
        }
        None => {
            if all.is_empty()
                && found.is_whole(&KeyPath::root().key("listener"))
                && found.is_whole(&path)
            {
                found.key(
                    service,
                    "is on no listener, since there is none (add a table [listener.NAME] with an \
                     address)",
                );
            }
            all.to_vec()
        }
    }
}

fn hosts(found: &mut Findings, service: &KeyPath, raw: &RawService) -> Vec<HostPattern> {
    let path = service.key("hosts");
    let Some(texts) = &raw.hosts else {
        return Vec::new();
    };
    if texts.is_empty() {
        found.value(&path, "is empty (leave it out for any host)");
    }
    let mut hosts = Vec::with_capacity(texts.len());
    for (number, text) in texts.iter().enumerate() {
        let at = path.index(number);
        match host::pattern(text) {
            Ok(host) if hosts.contains(&host) => {
                found.value(&at, "stands in the list twice (remove one)");
            }
            Ok(host) => hosts.push(host),
            Err(message) => found.value(&at, message),
        }
    }
    hosts
}

fn paths(found: &mut Findings, service: &KeyPath, raw: &RawService) -> Vec<String> {
    let path = service.key("paths");
    let Some(texts) = &raw.paths else {
        return vec!["/".to_owned()];
    };
    if texts.is_empty() {
        found.value(&path, "is empty (leave it out for every path)");
    }
    for (number, text) in texts.iter().enumerate() {
        let at = path.index(number);
        if texts[..number].contains(text) {
            found.value(&at, "stands in the list twice (remove one)");
        } else if let Err(message) = prefix(text) {
            found.value(&at, message);
        }
    }
    texts.clone()
}

/// Checks the beginning of a request's path, as it stands on the wire (RFC 3986 §3.3).
fn prefix(text: &str) -> Result<(), String> {
    let advice = if !text.starts_with('/') {
        "begin it with \"/\""
    } else if text.contains(['?', '#']) {
        "leave out what follows the path"
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        "write spaces and what is not ASCII percent-encoded, as %20"
    } else {
        return Ok(());
    };
    Err(format!("{} is not a path ({advice})", quoted(text)))
}

fn backends(found: &mut Findings, service: &KeyPath, raw: &RawService) -> Vec<BackendConfig> {
    let path = service.key("backends");
    let unit = raw.unit.clone();
    if let Some(unit) = &unit
        && let Err(message) = name::service_unit(unit)
    {
        found.value(&service.key("unit"), message);
    }
    let Some(raw) = &raw.backends else {
        found.missing(service, "backends", "[\"127.0.0.1:8080\"]");
        return Vec::new();
    };
    if raw.is_empty() {
        found.value(&path, "is empty (add one, for example \"127.0.0.1:8080\")");
    }
    let mut backends: Vec<BackendConfig> = Vec::with_capacity(raw.len());
    for (number, raw) in raw.iter().enumerate() {
        let at = path.index(number);
        if let Some(mut backend) = backend(found, &at, raw) {
            if backends
                .iter()
                .any(|other| other.address == backend.address)
            {
                found.value(&at, "has the address of another backend (remove one)");
            }
            backend.unit = backend.unit.or_else(|| unit.clone());
            backends.push(backend);
        }
    }
    backends
}

fn backend(found: &mut Findings, at: &KeyPath, raw: &RawBackend) -> Option<BackendConfig> {
    let (address_at, address, unit) = match raw {
        RawBackend::Address(address) => (at.clone(), address, None),
        RawBackend::Table { address, unit } => {
            if let Some(unit) = unit
                && let Err(message) = name::service_unit(unit)
            {
                found.value(&at.key("unit"), message);
            }
            let Some(address) = address else {
                found.missing(at, "address", "\"127.0.0.1:8080\"");
                return None;
            };
            (at.key("address"), address, unit.clone())
        }
    };
    match address::backend(address) {
        Ok(address) => Some(BackendConfig { address, unit }),
        Err(message) => {
            found.value(&address_at, message);
            None
        }
    }
}
