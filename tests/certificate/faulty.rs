//! Certificates that some client or every client rejects, and what is said about them.

use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
};

use super::issue::{Identity, bundle, key, key_for, lives};
use super::openssl;
use super::row::{Files, Row, Server, Usual, row};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = time();
    rows.extend(chains());
    rows.extend(authorities());
    rows.extend(leaves());
    rows.extend(kinds_of_keys());
    rows.extend(names());
    rows
}

fn living(it: &Usual, from: f64, until: f64) -> Files {
    let leaf = it
        .ca
        .leaf_with(&[&it.host], key(), &|params| lives(params, from, until));
    it.serve(&[&leaf, &it.ca])
}

fn time() -> Vec<Row> {
    let with_authority = |it: &Usual, from: f64, until: f64| {
        let edit = |params: &mut _| lives(params, from, until);
        let ca = it.root.authority_with(&it.name("other"), key(), &edit);
        it.serve(&[&ca.leaf(&[&it.host]), &ca])
    };
    vec![
        row("expired", "ended yesterday", &["expired"], |it| {
            living(it, -90.0, -1.0)
        }),
        row(
            "not-yet-valid",
            "begins tomorrow",
            &["not-yet-valid"],
            |it| living(it, 1.0, 90.0),
        ),
        row(
            "expired-authority",
            "authority ended yesterday",
            &["intermediate-expired"],
            |it| with_authority(it, -900.0, -1.0),
        ),
        row(
            "early-authority",
            "authority begins tomorrow",
            &["intermediate-not-yet-valid"],
            |it| with_authority(it, 1.0, 900.0),
        ),
        row(
            "expired-root",
            "root ended yesterday",
            &["root-expired"],
            |it| {
                let old = |params: &mut _| lives(params, -3650.0, -1.0);
                let root = Identity::root_with(&it.name("old root"), key(), &old);
                let leaf = root.leaf(&[&it.host]);
                it.serve(&[&leaf]).trusting(&[&root])
            },
        ),
        row(
            "overdue",
            "20 of 90 days are left",
            &["renewal-overdue"],
            |it| living(it, -70.0, 20.0),
        ),
        row(
            "overdue-short",
            "45 of 144 hours are left",
            &["renewal-overdue"],
            |it| living(it, -99.0 / 24.0, 45.0 / 24.0),
        ),
        row("near", "8 of 90 days are left", &["expiry-near"], |it| {
            living(it, -82.0, 8.0)
        }),
        row(
            "imminent",
            "4 of 90 days are left",
            &["expiry-imminent"],
            |it| living(it, -86.0, 4.0),
        ),
        row(
            "authority-ends-early",
            "authority ends 18 days before the leaf",
            &["chain-ends-before-leaf"],
            |it| with_authority(it, -900.0, 71.0),
        ),
    ]
}

fn chains() -> Vec<Row> {
    vec![
        row(
            "incomplete",
            "the authority is not served",
            &["chain-incomplete"],
            |it| it.serve(&[&it.leaf()]),
        ),
        row(
            "gap",
            "the middle one of three is not served",
            &["chain-incomplete"],
            |it| {
                let lower = it.ca.authority(&it.name("lower"));
                it.serve(&[&lower.leaf(&[&it.host]), &lower])
            },
        ),
        row(
            "untrusted",
            "clients have another root",
            &["root-included", "untrusted-root"],
            |it| {
                let other = Identity::root(&it.name("other root"));
                it.serve(&[&it.leaf(), &it.ca, &it.root])
                    .trusting(&[&other])
            },
        ),
        row(
            "self-signed",
            "signed itself, clients do not trust it",
            &["self-signed"],
            |it| {
                let leaf = Identity::self_signed_leaf(&[&it.host], &|_| {});
                it.serve(&[&leaf])
            },
        ),
        row(
            "wrong-authority",
            "authority of the same name with another key",
            &["bad-signature"],
            |it| {
                let impostor = it.root.authority(&it.name("authority"));
                it.serve(&[&it.leaf(), &impostor])
            },
        ),
        row(
            "backwards",
            "two authorities in the wrong order",
            &["chain-order"],
            |it| {
                let lower = it.ca.authority(&it.name("lower"));
                it.serve(&[&lower.leaf(&[&it.host]), &it.ca, &lower])
            },
        ),
        row(
            "twice",
            "the authority is served twice",
            &["chain-duplicate"],
            |it| it.serve(&[&it.leaf(), &it.ca, &it.ca]),
        ),
        row(
            "leaf-twice",
            "the leaf is served twice",
            &["chain-duplicate"],
            |it| {
                let leaf = it.leaf();
                it.serve(&[&leaf, &leaf, &it.ca])
            },
        ),
        row(
            "stranger",
            "an authority that has nothing to do with it",
            &["chain-superfluous"],
            |it| {
                let other = Identity::root(&it.name("other root"));
                let stranger = other.authority(&it.name("stranger"));
                it.serve(&[&it.leaf(), &it.ca, &stranger])
            },
        ),
        row(
            "garbage",
            "a block that is no certificate",
            &["chain-unparsable"],
            |it| {
                let leaf = it.leaf();
                let garbage = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
                let chain = bundle(&[&leaf, &it.ca]) + garbage;
                it.serve(&[&leaf, &it.ca]).chain(chain)
            },
        ),
        row(
            "anchor",
            "clients trust the authority, not its root",
            &["anchor-not-root"],
            |it| it.serve(&[&it.leaf(), &it.ca]).trusting(&[&it.ca]),
        ),
    ]
}

fn authorities() -> Vec<Row> {
    let under = |it: &Usual, edit: &dyn Fn(&mut rcgen::CertificateParams)| {
        let ca = it.root.authority_with(&it.name("odd"), key(), edit);
        it.serve(&[&ca.leaf(&[&it.host]), &ca])
    };
    vec![
        row(
            "no-authority",
            "issued by a certificate with CA:FALSE",
            &["issuer-not-ca"],
            |it| under(it, &|params| params.is_ca = IsCa::ExplicitNoCa),
        ),
        row(
            "no-certifier",
            "authority without keyCertSign",
            &["issuer-not-ca"],
            |it| {
                under(it, &|params| {
                    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                })
            },
        ),
        row(
            "pathlen",
            "one authority more than is allowed",
            &["path-too-long"],
            |it| {
                let ca = it.root.authority_with(&it.name("last"), key(), &|params| {
                    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                });
                let lower = ca.authority(&it.name("lower"));
                it.serve(&[&lower.leaf(&[&it.host]), &lower, &ca])
            },
        ),
        row(
            "name-constraints",
            "authority only for .example",
            &["name-constraint"],
            |it| {
                under(it, &|params| {
                    params.name_constraints = Some(NameConstraints {
                        permitted_subtrees: vec![GeneralSubtree::DnsName("example".into())],
                        excluded_subtrees: Vec::new(),
                    });
                })
            },
        ),
        row(
            "authority-purpose",
            "authority only for clients",
            &["wrong-purpose"],
            |it| {
                under(it, &|params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                })
            },
        ),
        row(
            "not-strict",
            "leaf without authority key identifier",
            &["not-strict"],
            |it| {
                let leaf = it.ca.leaf_with(&[&it.host], key(), &|params| {
                    params.use_authority_key_identifier_extension = false;
                });
                it.serve(&[&leaf, &it.ca])
            },
        ),
        row(
            "root-no-usage",
            "root without key usage",
            &["not-strict"],
            |it| {
                let root = Identity::root_with(&it.name("bare root"), key(), &|params| {
                    params.key_usages.clear();
                });
                it.serve(&[&root.leaf(&[&it.host])]).trusting(&[&root])
            },
        ),
    ]
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
