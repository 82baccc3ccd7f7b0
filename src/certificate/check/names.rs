//! Whether the leaf covers what clients dial.

use rustls_pki_types::ServerName;
use webpki::EndEntityCert;

use super::{Chain, note};
use crate::certificate::client::Client::{Chromium, Firefox, Go, Rustls};
use crate::certificate::finding::{Fault, Finding, Part, Severity};
use crate::certificate::x509::Certificate;
use crate::config::HostPattern;

pub(super) fn check(chain: &Chain, names: &[HostPattern]) -> Vec<Finding> {
    let leaf = chain.leaf();
    let mut findings: Vec<Finding> = Vec::new();
    if leaf.names.is_none() {
        findings.push(
            Finding::fatal(
                Fault::SanMissing,
                Part::Chain,
                &leaf.label,
                format!(
                    "the certificate {} in {} has no subjectAltName, and only old clients look at \
                     the common name",
                    leaf.label, chain.file
                ),
                "have it issued with the names that clients dial as subjectAltName",
            )
            .only_for(&[Chromium, Firefox, Go, Rustls]),
        );
    }
    for name in names {
        match name {
            HostPattern::Exact(name) if !covers(leaf, name) => {
                findings.push(not_covered(chain, name));
            }
            HostPattern::Wildcard(domain) => findings.extend(pattern(chain, domain)),
            HostPattern::Exact(_) => {}
        }
    }
    findings
}

fn covers(leaf: &Certificate, name: &str) -> bool {
    if leaf.names.is_none() {
        return leaf.common_name.as_deref() == Some(name);
    }
    let Ok(certificate) = EndEntityCert::try_from(&leaf.der) else {
        return false;
    };
    ServerName::try_from(name)
        .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
}

fn not_covered(chain: &Chain, name: &str) -> Finding {
    let leaf = chain.leaf();
    Finding::fatal(
        Fault::NameNotCovered,
        Part::Names,
        name,
        format!(
            "clients dial {name}, but the certificate {} in {} is for {}",
            leaf.label,
            chain.file,
            named(leaf)
        ),
        format!("have it issued for {name} as well"),
    )
    .of_names(vec![name.to_owned()])
}

/// A service that answers to `*.domain`.
fn pattern(chain: &Chain, domain: &str) -> Option<Finding> {
    let leaf = chain.leaf();
    let pattern = format!("*.{domain}");
    let dns = leaf.names.as_ref().map(|names| names.dns.as_slice());
    let dns = dns.unwrap_or_default();
    if dns.contains(&pattern) {
        return None;
    }
    let below = |name: &&String| {
        name.split_once('.')
            .is_some_and(|(_, parent)| parent == domain)
    };
    if !dns.iter().any(|name| below(&name)) {
        return Some(not_covered(chain, &pattern));
    }
    let finding = note(
        Severity::Info,
        Fault::PatternNotCovered,
        &pattern,
        format!(
            "a service answers to {pattern}, of which the certificate {} in {} has only {}",
            leaf.label,
            chain.file,
            named(leaf)
        ),
        format!("nothing, if clients dial no other name; else have it issued for {pattern}"),
    );
    Some(Finding {
        part: Part::Names,
        ..finding.of_names(vec![pattern])
    })
}

/// What the certificate is for.
fn named(leaf: &Certificate) -> String {
    /// More than that fill the screen.
    const SHOWN: usize = 5;
    let names = leaf.names.clone().unwrap_or_default();
    let mut all = names.dns;
    all.extend(names.ip.iter().map(ToString::to_string));
    if all.is_empty() {
        all.extend(leaf.common_name.clone());
    }
    match all.len() {
        0 => "no name".to_owned(),
        count if count > SHOWN => {
            format!("{} and {} more", all[..SHOWN].join(", "), count - SHOWN)
        }
        _ => all.join(", "),
    }
}
