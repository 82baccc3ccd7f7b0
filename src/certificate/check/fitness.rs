//! Whether the leaf and its key are of a kind that clients take. What each client takes was tried
//! with the clients themselves (tests/certificate).

use super::Chain;
use crate::certificate::client::Client::{
    Chromium, Firefox, Gnutls, Go, Java, Openssl, Python, Rustls,
};
use crate::certificate::finding::{Fault, Finding, Part};
use crate::certificate::x509::{CRITICAL_NAMES, Certificate, Key};

pub(super) fn check(chain: &Chain) -> Vec<Finding> {
    let leaf = chain.leaf();
    let found = |fault, what: &str, remedy: &str| {
        let what = format!("the certificate {} in {} {what}", leaf.label, chain.file);
        Finding::fatal(fault, Part::Chain, &leaf.label, what, remedy)
    };
    let mut findings = Vec::new();
    if !leaf.may_serve {
        let finding = found(
            Fault::WrongPurpose,
            "is not for servers: its extended key usage lacks serverAuth",
            "have it issued with the extended key usage serverAuth",
        );
        findings.push(if leaf.is_for_anything {
            finding.only_for(&[Openssl, Python, Firefox, Rustls])
        } else {
            finding
        });
    }
    if !leaf.may_sign {
        findings.push(
            found(
                Fault::KeyUsage,
                "may not sign, as the key exchanges of today demand: its key usage lacks \
                 digitalSignature",
                "have it issued with the key usage digitalSignature",
            )
            .only_for(&[Chromium, Java, Gnutls]),
        );
    }
    if leaf.is_ca {
        findings.push(
            found(
                Fault::CaAsLeaf,
                "is marked as a certificate authority",
                "have it issued with basicConstraints CA:FALSE; `openssl req -x509` needs \
                 `-addext basicConstraints=critical,CA:FALSE` for that",
            )
            .only_for(&[Rustls, Firefox]),
        );
    }
    if leaf.must_staple {
        findings.push(
            found(
                Fault::MustStaple,
                "demands a stapled OCSP answer (must-staple), which batond does not give",
                "have it issued without must-staple",
            )
            .only_for(&[Firefox, Gnutls]),
        );
    }
    findings.extend(key_type(leaf).map(|(what, clients)| {
        found(
            Fault::KeyType,
            what,
            "have it issued for an ECDSA key on P-256, which every client takes",
        )
        .only_for(clients)
    }));
    findings.extend(issuers(chain));
    findings
}

fn key_type(
    leaf: &Certificate,
) -> Option<(&'static str, &'static [crate::certificate::client::Client])> {
    match leaf.key {
        Key::Ed25519 => Some((
            "has an Ed25519 key, which no browser takes",
            &[Chromium, Firefox],
        )),
        Key::P521 => Some(("has a P-521 key, which Chromium does not take", &[Chromium])),
        Key::Rsa(_) | Key::Curve | Key::Other => None,
    }
}

/// Signatures and keys on the way to the root that clients refuse.
fn issuers(chain: &Chain) -> Vec<Finding> {
    let Some(path) = chain.paths.first() else {
        return weak_signature(chain, chain.leaf()).into_iter().collect();
    };
    let mut findings = Vec::new();
    findings.extend(weak_signature(chain, chain.leaf()));
    findings.extend(not_strict(chain.leaf()));
    for one in path.above(&chain.served, &chain.roots) {
        // Nobody looks at what a root says of itself.
        if !one.is_self_issued() {
            findings.extend(weak_signature(chain, one));
        }
        if !one.may_certify && !one.is_self_issued() {
            findings.push(no_certifier(one));
        }
        findings.extend(not_strict(one));
        if one.key.is_small() {
            findings.push(small_key(one));
        }
        if one.key == Key::Ed25519 {
            findings.push(
                Finding::fatal(
                    Fault::IssuerKeyType,
                    Part::Chain,
                    &one.label,
                    format!(
                        "the issuer {} has an Ed25519 key, whose signatures no browser takes",
                        one.label
                    ),
                    "have the certificate issued by an authority with an ECDSA or RSA key",
                )
                .only_for(&[Chromium, Firefox]),
            );
        }
    }
    findings
}

fn weak_signature(chain: &Chain, one: &Certificate) -> Option<Finding> {
    let hash = one.weak_hash?;
    Some(Finding::fatal(
        Fault::WeakSignature,
        Part::Chain,
        &one.label,
        format!(
            "the certificate {} in {} is signed with {hash} by {}",
            one.label, chain.file, one.issuer_label
        ),
        "have it issued again, with SHA-256",
    ))
}

fn not_strict(one: &Certificate) -> Option<Finding> {
    let clients: &[_] = if one.lacks.contains(&CRITICAL_NAMES) {
        &[Python, Chromium]
    } else {
        &[Python]
    };
    (!one.lacks.is_empty()).then(|| {
        Finding::fatal(
            Fault::NotStrict,
            Part::Chain,
            &one.label,
            format!(
                "the certificate {} lacks {}",
                one.label,
                one.lacks.join(" and ")
            ),
            "have it issued again with these extensions, as RFC 5280 section 4.2.1 demands",
        )
        .only_for(clients)
    })
}

fn no_certifier(one: &Certificate) -> Finding {
    Finding::fatal(
        Fault::IssuerNotCa,
        Part::Chain,
        &one.label,
        format!(
            "the issuer {} may not sign certificates: its key usage lacks keyCertSign",
            one.label
        ),
        "have the certificate issued by an authority whose key usage has keyCertSign",
    )
    .only_for(&[Openssl, Python, Chromium, Firefox, Gnutls, Java, Go])
}

fn small_key(one: &Certificate) -> Finding {
    let bits = match one.key {
        Key::Rsa(bits) => bits,
        _ => 0,
    };
    Finding::fatal(
        Fault::SmallKey,
        Part::Chain,
        &one.label,
        format!("the issuer {} has an RSA key of {bits} bits", one.label),
        "have the certificate issued by an authority with an RSA key of 2048 bits or more",
    )
    .only_for(&[Openssl, Python, Rustls])
}

/// How many lasting faults a way has: clients that can choose take the one with the fewest.
pub(super) fn faults<'a>(above: impl Iterator<Item = &'a Certificate>) -> usize {
    above
        .map(|one| {
            let weak = one.weak_hash.is_some() && !one.is_self_issued();
            let is_authority = one.is_self_issued() || (one.is_ca && one.may_certify);
            [weak, one.key.is_small(), !is_authority]
        })
        .map(|faults| faults.into_iter().filter(|is| *is).count())
        .sum()
}
