//! The chain above the leaf: complete as a client sees it that fetches nothing, trusted, in order.

use rustls_pki_types::UnixTime;
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    KeyUsage,
};

use super::{Chain, fitness, note};
use crate::certificate::client::Client::{Chromium, Gnutls, Openssl, Rustls};
use crate::certificate::finding::{Fault, Finding, Part, Severity};
use crate::certificate::path::{Path, Paths};
use crate::certificate::roots::TrustedRoots;
use crate::certificate::x509::Certificate;

/// The ways that clients can take if they choose well.
pub(super) fn best(chain: &Chain, paths: &Paths) -> Vec<Path> {
    let faults = |path: &Path| fitness::faults(path.above(&chain.served, &chain.roots));
    let fewest = paths.found.iter().map(faults).min();
    let mut best = paths.found.clone();
    best.retain(|path| Some(faults(path)) == fewest);
    best
}

pub(super) fn check(chain: &Chain, paths: &Paths, roots: &TrustedRoots) -> Vec<Finding> {
    let mut findings = Vec::new();
    if roots.certificates.is_empty() {
        // Told already; without roots there is no way to judge.
    } else if chain.paths.is_empty() {
        findings.push(leads_nowhere(chain, paths, roots));
    } else {
        findings.extend(rejected(chain, roots));
        findings.extend(no_root(chain));
    }
    findings.extend(order(chain));
    findings
}

fn leads_nowhere(chain: &Chain, paths: &Paths, roots: &TrustedRoots) -> Finding {
    let leaf = chain.leaf();
    let top = paths.dead_end().map_or(leaf, |last| &chain.served[last]);
    let found = |fault, what: String, remedy: String| {
        Finding::fatal(fault, Part::Chain, &top.label, what, remedy)
    };
    let of = |one: &Certificate| format!("{} in {}", one.label, chain.file);
    if let Some(wrong) = paths.badly_signed.first() {
        let wrong = &chain.served[*wrong];
        return found(
            Fault::BadSignature,
            format!(
                "the certificate {} names {} as its issuer, but was not signed with its key",
                of(wrong),
                wrong.issuer_label
            ),
            "put the issuer's certificate of the same renewal into the file".to_owned(),
        );
    }
    if top.is_self_issued() {
        let trusted = format!("it is not among {}", roots.label);
        let remedy = "set `roots` to a file with it if all clients have it, or have the \
                      certificate issued by an authority that they trust";
        return if top.der == leaf.der {
            found(
                Fault::SelfSigned,
                format!(
                    "the certificate {} has signed itself, and {trusted}",
                    of(leaf)
                ),
                remedy.to_owned(),
            )
        } else {
            found(
                Fault::UntrustedRoot,
                format!("the chain ends in the root {}, and {trusted}", of(top)),
                remedy.to_owned(),
            )
        };
    }
    found(
        Fault::ChainIncomplete,
        format!(
            "the certificate {} was issued by {}, which is neither in the file nor among {}",
            of(top),
            top.issuer_label,
            roots.label
        ),
        format!(
            "put the certificate of {} behind it; with certbot, serve fullchain.pem",
            top.issuer_label
        ),
    )
}

/// OpenSSL goes on until a certificate has signed itself, unless it is told not to.
fn no_root(chain: &Chain) -> Option<Finding> {
    let roots = chain.paths.iter().map(|path| &chain.roots[path.root]);
    let trusted: Vec<&Certificate> = roots.collect();
    if trusted.iter().any(|root| root.is_self_issued()) {
        return None;
    }
    let root = trusted.first()?;
    Some(
        Finding::fatal(
            Fault::AnchorNotRoot,
            Part::Roots,
            &root.label,
            format!(
                "clients are to trust {}, which is no root: it was issued by {}",
                root.label, root.issuer_label
            ),
            format!(
                "give clients the certificate of {} to trust",
                root.issuer_label
            ),
        )
        .only_for(&[Openssl]),
    )
}

/// What webpki, which is one of the clients and among the strictest, has against a chain that by
/// its names and signatures leads to a root.
fn rejected(chain: &Chain, roots: &TrustedRoots) -> Option<Finding> {
    let leaf = chain.leaf();
    let path = chain.paths.first()?;
    let on_the_way: Vec<&Certificate> = path.served.iter().map(|it| &chain.served[*it]).collect();
    // A time at which all of it is valid: validity is judged by itself.
    let time = on_the_way.iter().map(|one| one.not_before).max()?;
    let time = u64::try_from(time.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(time));
    let certificate = EndEntityCert::try_from(&leaf.der).ok()?;
    let intermediates: Vec<_> = chain.served[1..]
        .iter()
        .map(|one| one.der.clone())
        .collect();
    let verified = if leaf.may_serve {
        certificate.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &roots.anchors,
            &intermediates,
            time,
            KeyUsage::server_auth(),
            None,
            None,
        )
    } else {
        certificate.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &roots.anchors,
            &intermediates,
            time,
            AnyPurpose,
            None,
            None,
        )
    };
    let error = verified.err()?;
    let told_already = fitness::faults(on_the_way.iter().copied()) > 0
        || chain.roots[path.root].key.is_small()
        || leaf.is_ca;
    explain(chain, &error, told_already)
}

fn explain(chain: &Chain, error: &Error, told_already: bool) -> Option<Finding> {
    let leaf = chain.leaf();
    let (fault, what, remedy) = match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => return None,
        Error::NameConstraintViolation => (
            Fault::NameConstraint,
            "an authority above it may not issue for all of its names".to_owned(),
            "have it issued by another authority, or without the names that are not allowed",
        ),
        Error::EndEntityUsedAsCa => (
            Fault::IssuerNotCa,
            "an issuer above it is not marked as a certificate authority".to_owned(),
            "have it issued by an authority whose certificate says CA:TRUE",
        ),
        Error::UnsupportedCriticalExtension => (
            Fault::UnknownCriticalExtension,
            "an authority above it has a critical extension that clients do not know".to_owned(),
            "have it issued by another authority",
        ),
        Error::PathLenConstraintViolated => (
            Fault::PathTooLong,
            "there are more authorities above it than one of them allows (pathlen)".to_owned(),
            "have it issued by an authority higher up",
        ),
        Error::RequiredEkuNotFoundContext(_) => (
            Fault::WrongPurpose,
            "an authority above it may not issue for servers (extended key usage)".to_owned(),
            "have it issued by an authority for serverAuth",
        ),
        _ if told_already => return None,
        error => (
            Fault::ChainRejected,
            format!("rustls rejects the chain: {error}"),
            "have it issued again, if need be by another authority",
        ),
    };
    let what = format!("the certificate {} in {}: {what}", leaf.label, chain.file);
    let finding = Finding::fatal(fault, Part::Chain, &leaf.label, what, remedy);
    Some(match fault {
        // No other client has said so.
        Fault::ChainRejected => finding.only_for(&[Rustls, Chromium, Gnutls]),
        _ => finding,
    })
}

/// The order in which the certificates come, and those that nobody needs.
fn order(chain: &Chain) -> Vec<Finding> {
    let mut findings = Vec::new();
    let served = &chain.served;
    let is_twice = |place: &usize| {
        served[..*place]
            .iter()
            .any(|it| it.der == served[*place].der)
    };
    let mut told = |severity, fault, one: &Certificate, what: &str, remedy: &str| {
        let what = format!("{} in {} {what}", one.label, chain.file);
        findings.push(note(severity, fault, &one.label, what, remedy));
    };
    for (place, one) in served.iter().enumerate().skip(1) {
        let on_a_way = chain.paths.iter().any(|path| path.served.contains(&place));
        if is_twice(&place) {
            told(
                Severity::Warning,
                Fault::ChainDuplicate,
                one,
                "is served more than once",
                "take one of them out of the file",
            );
        } else if one.is_self_issued() && !on_a_way {
            told(
                Severity::Info,
                Fault::RootIncluded,
                one,
                "is a root, which clients have or do not trust: every handshake is longer for \
                 nothing",
                "take it out of the file",
            );
        } else if !on_a_way && !chain.paths.is_empty() && !cross_signs(chain, place) {
            told(
                Severity::Info,
                Fault::ChainSuperfluous,
                one,
                "is not needed on the way to any root",
                "take it out of the file",
            );
        }
    }
    let in_order = |path: &Path| path.served.is_sorted();
    if !chain.paths.is_empty() && !chain.paths.iter().any(in_order) {
        let what = format!(
            "the certificates in {} are not in the order of issue",
            chain.file
        );
        let remedy = "put each behind the one that it issued";
        let about = &chain.leaf().label;
        findings.push(note(
            Severity::Warning,
            Fault::ChainOrder,
            about,
            what,
            remedy,
        ));
    }
    findings
}

/// Whether it is a root that clients have, signed by an older one for those that do not have it.
fn cross_signs(chain: &Chain, place: usize) -> bool {
    let one = &chain.served[place];
    chain.roots.iter().any(|root| root.is_same_entity(one))
}

/// Takes any extended key usage, where the leaf's has been found wanting already.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}
