//! Leaves that some client or every client rejects, however good the chain: their purposes, their
//! keys and signatures, their names.

use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
};

use super::issue::{Identity, key, key_for};
use super::openssl;
use super::row::{Row, Server, Usual, row};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = leaves();
    rows.extend(kinds_of_keys());
    rows.extend(names());
    rows
}

fn leaves() -> Vec<Row> {
    let odd = |it: &Usual, edit: &dyn Fn(&mut rcgen::CertificateParams)| {
        let leaf = it.ca.leaf_with(&[&it.host], key(), edit);
        it.serve(&[&leaf, &it.ca])
    };
    vec![
        row(
            "client-only",
            "extended key usage clientAuth",
            &["wrong-purpose"],
            |it| {
                odd(it, &|params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                })
            },
        ),
        row(
            "any-purpose",
            "extended key usage any",
            &["wrong-purpose"],
            |it| {
                odd(it, &|params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
                })
            },
        ),
        row(
            "no-signature",
            "key usage keyAgreement alone",
            &["key-usage"],
            |it| {
                odd(it, &|params| {
                    params.key_usages = vec![KeyUsagePurpose::KeyAgreement]
                })
            },
        ),
        row(
            "ca-as-leaf",
            "signed itself, CA:TRUE, clients trust that",
            &["ca-as-leaf"],
            |it| {
                let leaf = Identity::self_signed_leaf(&[&it.host], &|params| {
                    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
                });
                it.serve(&[&leaf]).trusting(&[&leaf])
            },
        ),
        row(
            "ca-as-leaf-issued",
            "leaf with CA:TRUE",
            &["ca-as-leaf"],
            |it| {
                odd(it, &|params| {
                    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
                })
            },
        ),
        row(
            "must-staple",
            "demands a stapled OCSP answer",
            &["must-staple"],
            |it| {
                odd(it, &|params| {
                    // A list with the number of status_request (RFC 7633).
                    let staple = vec![0x30, 3, 2, 1, 5];
                    let oid = [1, 3, 6, 1, 5, 5, 7, 1, 24];
                    let extension = CustomExtension::from_oid_content(&oid, staple);
                    params.custom_extensions.push(extension);
                })
            },
        ),
        row(
            "unknown-critical",
            "a critical extension that nobody knows",
            &["certificate-unusable"],
            |it| {
                odd(it, &|params| {
                    let oid = [1, 3, 6, 1, 4, 1, 99999, 1];
                    let mut extension = CustomExtension::from_oid_content(&oid, vec![5, 0]);
                    extension.set_criticality(true);
                    params.custom_extensions.push(extension);
                })
                .by(Server::Openssl)
            },
        ),
    ]
}

fn kinds_of_keys() -> Vec<Row> {
    vec![
        row("ed25519", "Ed25519 leaf", &["key-type"], |it| {
            let leaf = it
                .ca
                .leaf_with(&[&it.host], key_for(&PKCS_ED25519), &|_| {});
            it.serve(&[&leaf, &it.ca])
        }),
        row(
            "ed25519-authority",
            "Ed25519 authority",
            &["issuer-key-type"],
            |it| {
                let ed25519 = key_for(&PKCS_ED25519);
                let ca = it
                    .root
                    .authority_with(&it.name("Ed25519"), ed25519, &|_| {});
                it.serve(&[&ca.leaf(&[&it.host]), &ca])
            },
        ),
        row("p521", "P-521 leaf", &["key-type"], |it| {
            let p521 = key_for(&PKCS_ECDSA_P521_SHA512);
            let leaf = it.ca.leaf_with(&[&it.host], p521, &|_| {});
            it.serve(&[&leaf, &it.ca])
        }),
        row("p521-authority", "P-521 authority", &[], |it| {
            let p521 = key_for(&PKCS_ECDSA_P521_SHA512);
            let ca = it.root.authority_with(&it.name("P-521"), p521, &|_| {});
            it.serve(&[&ca.leaf(&[&it.host]), &ca])
        }),
        row(
            "rsa-1024",
            "RSA leaf of 1024 bits",
            &["key-unusable"],
            |it| {
                let (chain, key) = openssl::issue(&it.ca, &it.host, &["rsa:1024"], openssl::SERVER);
                let chain = chain + &it.ca.pem();
                it.serve(&[&it.leaf()])
                    .chain(chain)
                    .key(key)
                    .by(Server::Openssl)
            },
        ),
        row(
            "rsa-1024-authority",
            "RSA authority of 1024 bits",
            &["small-key"],
            |it| {
                let (chain, key, ca) = openssl::issue_under(
                    &it.root,
                    &it.name("small"),
                    &it.host,
                    &["rsa:1024"],
                    &["-sha256"],
                );
                it.serve(&[&it.leaf()]).chain(chain + &ca).key(key)
            },
        ),
        row(
            "sha1",
            "leaf signed with SHA-1",
            &["weak-signature"],
            |it| {
                let (chain, key) =
                    openssl::issue(&it.ca, &it.host, openssl::P256_SHA1, openssl::SERVER);
                it.serve(&[&it.leaf()]).chain(chain + &it.ca.pem()).key(key)
            },
        ),
        row(
            "sha1-authority",
            "authority signed with SHA-1",
            &["weak-signature"],
            |it| {
                let (chain, key, ca) = openssl::issue_under(
                    &it.root,
                    &it.name("SHA-1"),
                    &it.host,
                    openssl::P256,
                    &["-sha1"],
                );
                it.serve(&[&it.leaf()]).chain(chain + &ca).key(key)
            },
        ),
    ]
}

fn names() -> Vec<Row> {
    let of = |it: &Usual, names: &[&str]| it.serve(&[&it.ca.leaf(names), &it.ca]);
    vec![
        row(
            "other-name",
            "for another name",
            &["name-not-covered"],
            |it| of(it, &["elsewhere.test"]),
        ),
        row(
            "wildcard-deep",
            "wildcard, two labels down",
            &["name-not-covered"],
            |it| of(it, &["*.wildcard-deep.test"]).dialled("a.b.wildcard-deep.test"),
        ),
        row(
            "wildcard-itself",
            "wildcard, the domain itself",
            &["name-not-covered"],
            |it| of(it, &["*.wildcard-itself.test"]),
        ),
        row(
            "wildcard-broad",
            "wildcard for a top level",
            &["name-not-covered"],
            |it| of(it, &["*.test"]),
        ),
        row(
            "no-address",
            "an address is dialled that it lacks",
            &["name-not-covered"],
            |it| of(it, &["no-address.test"]).dialled("127.0.0.1"),
        ),
        row("no-san", "common name alone", &["san-missing"], |it| {
            let leaf = it.ca.leaf_with(&[&it.host], key(), &|params| {
                params.subject_alt_names.clear();
            });
            it.serve(&[&leaf, &it.ca])
        }),
    ]
}
