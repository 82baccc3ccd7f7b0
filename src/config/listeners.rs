//! `[listener.NAME]` and `[certificate.NAME]`.

use std::path::{Path, PathBuf};

use super::address;
use super::checked::{Address, CertificateConfig, ListenerConfig, Roots, TrustedPeer};
use super::findings::Findings;
use super::host;
use super::key::KeyPath;
use super::name;
use super::raw::{RawCertificate, RawConfig, RawListener};
use super::text::holds_private_key;
use crate::certificate::file::File;
use crate::certificate::finding::{Finding, Part};
use crate::certificate::{load, pem};

/// Addresses that are listened on, with their keys.
pub(super) type Taken = Vec<(KeyPath, Address)>;

/// Checks every listener, and adds its address to those that are taken.
pub(super) fn listeners(
    found: &mut Findings,
    raw: &RawConfig,
    taken: &mut Taken,
) -> Vec<ListenerConfig> {
    let section = KeyPath::root().key("listener");
    let mut listeners = Vec::new();
    for name in found.names(&section) {
        let path = section.key(&name);
        if let Err(message) = name::listener(&name) {
            found.key(&path, message);
        }
        let Some(raw) = raw.listener.get(&name) else {
            continue;
        };
        let certificates = path.key("certificates");
        names_exist(found, &certificates, &raw.certificates, "certificate");
        let trusted = trusted(found, &path, raw);
        if let Some(address) = listener_address(found, &path, raw, taken) {
            listeners.push(ListenerConfig {
                name,
                address,
                certificates: raw.certificates.clone(),
                trusted,
            });
        }
    }
    listeners
}

fn listener_address(
    found: &mut Findings,
    listener: &KeyPath,
    raw: &RawListener,
    taken: &mut Taken,
) -> Option<Address> {
    let Some(text) = &raw.address else {
        found.missing(listener, "address", "\"[::]:443\"");
        return None;
    };
    listen(found, listener.key("address"), text, taken)
}

/// Reads an address to listen on, on which nothing else may listen.
pub(super) fn listen(
    found: &mut Findings,
    path: KeyPath,
    text: &str,
    taken: &mut Taken,
) -> Option<Address> {
    let address = match address::listen(text) {
        Ok(address) => address,
        Err(message) => {
            found.value(&path, message);
            return None;
        }
    };
    let other = taken
        .iter()
        .find(|(_, other)| address::overlap(&address, other));
    if let Some((at, other)) = other {
        let message = if *other == address {
            format!("is the address of {at}, too (give each its own)")
        } else {
            format!("cannot be bound beside {other}, the address of {at} (one takes the other in)")
        };
        found.value(&path, message);
    }
    taken.push((path, address.clone()));
    Some(address)
}

fn trusted(found: &mut Findings, listener: &KeyPath, raw: &RawListener) -> Vec<TrustedPeer> {
    let list = listener.key("trusted");
    let mut trusted = Vec::with_capacity(raw.trusted.len());
    for (number, text) in raw.trusted.iter().enumerate() {
        match address::trusted(text) {
            Ok(peer) => trusted.push(peer),
            Err(message) => found.value(&list.index(number), message),
        }
    }
    trusted
}

/// Checks that each element of a list names a `kind` that there is, and no two the same.
pub(super) fn names_exist(found: &mut Findings, list: &KeyPath, names: &[String], kind: &str) {
    let section = KeyPath::root().key(kind);
    let known = found.names(&section);
    let judged = found.is_whole(&section);
    for (number, name) in names.iter().enumerate() {
        let at = list.index(number);
        if names[..number].contains(name) {
            found.value(&at, "stands in the list twice (remove one)");
        } else if judged && !known.contains(name) {
            found.unknown_name(&at, kind, name, &known);
        }
    }
}

/// Checks every certificate, and reads its files.
pub(super) fn certificates(
    found: &mut Findings,
    raw: &RawConfig,
    main: &Path,
) -> Vec<CertificateConfig> {
    let section = KeyPath::root().key("certificate");
    let mut certificates = Vec::new();
    for name in found.names(&section) {
        let path = section.key(&name);
        if let Err(message) = name::chosen(&name) {
            found.key(&path, message);
        }
        let Some(raw) = raw.certificate.get(&name) else {
            continue;
        };
        let names = dialled(found, &path, &raw.names);
        let roots = roots(found, &path, raw, main);
        if let Some(unit) = &raw.renew_unit
            && let Err(message) = name::service_unit(unit)
        {
            found.value(&path.key("renew_unit"), message);
        }
        if let Some((chain, key)) = files(found, &path, raw, main) {
            certificates.push(CertificateConfig {
                name,
                chain,
                key,
                names,
                roots,
                renew_unit: raw.renew_unit.clone(),
            });
        }
    }
    certificates
}

/// The names that clients dial.
fn dialled(found: &mut Findings, certificate: &KeyPath, names: &[String]) -> Vec<String> {
    let list = certificate.key("names");
    let mut dialled = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        match host::exact(name) {
            Ok(name) => dialled.push(name),
            Err(_) if name.starts_with("*.") => found.value(
                &list.index(number),
                "is a pattern (write the names that clients dial)",
            ),
            Err(message) => found.value(&list.index(number), message),
        }
    }
    dialled
}

fn roots(found: &mut Findings, certificate: &KeyPath, raw: &RawCertificate, main: &Path) -> Roots {
    let path = certificate.key("roots");
    match raw.roots.as_deref() {
        None | Some("public") => Roots::Public,
        Some("system") => Roots::System,
        Some(text) => {
            let Some(file) = file(found, &path, text, main) else {
                return Roots::Public;
            };
            if let Err(fault) = pem::certificates(&File::read(&file), Part::Roots) {
                let message = format!("{}; or write \"public\" or \"system\"", told(&fault));
                found.value(&path, message);
            }
            Roots::File(file)
        }
    }
}

/// The chain and the key, which belong together.
fn files(
    found: &mut Findings,
    certificate: &KeyPath,
    raw: &RawCertificate,
    main: &Path,
) -> Option<(PathBuf, PathBuf)> {
    let (chain_path, key_path) = (certificate.key("chain"), certificate.key("key"));
    let chain = match &raw.chain {
        Some(text) => file(found, &chain_path, text, main),
        None => {
            found.missing(certificate, "chain", "\"/etc/ssl/example.pem\"");
            None
        }
    };
    let key = match &raw.key {
        Some(text) => file(found, &key_path, text, main),
        None => {
            found.missing(certificate, "key", "\"/etc/ssl/example.key\"");
            None
        }
    };
    let (chain, key) = (chain?, key?);
    if let Err(error) = load::load(&chain, &key) {
        for fault in error.findings() {
            let path = match fault.part {
                Part::Key => &key_path,
                _ => &chain_path,
            };
            found.value(path, told(fault));
        }
    }
    Some((chain, key))
}

fn told(fault: &Finding) -> String {
    format!("{} ({})", fault.what, fault.remedy)
}

/// A path, which may be relative to the folder of the file that names it; one in a variable, to
/// that of the main file.
fn file(found: &mut Findings, path: &KeyPath, text: &str, main: &Path) -> Option<PathBuf> {
    if text.contains("-----BEGIN ") || holds_private_key(text) {
        found.value(
            path,
            "holds PEM text (put that into a file, and write the path of the file here)",
        );
        return None;
    }
    if text.is_empty() {
        found.value(path, "is empty (write the path of a file)");
        return None;
    }
    let beside = found.file_of(path).unwrap_or(main);
    Some(beside.with_file_name("").join(text))
}
