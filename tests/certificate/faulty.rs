//! Chains that are over, broken, or odd above the leaf.

use rcgen::{
    BasicConstraints, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyUsagePurpose, NameConstraints,
};

use super::issue::{Identity, bundle, key, lives};
use super::row::{Files, Row, Usual, row};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = time();
    rows.extend(chains());
    rows.extend(authorities());
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
            "authority-critical",
            "authority with a critical extension that nobody knows",
            &["unknown-critical-extension"],
            |it| {
                under(it, &|params| {
                    let oid = [1, 3, 6, 1, 4, 1, 99999, 1];
                    let mut extension = CustomExtension::from_oid_content(&oid, vec![5, 0]);
                    extension.set_criticality(true);
                    params.custom_extensions.push(extension);
                })
            },
        ),
        row(
            "no-subject-plain",
            "subject empty, subjectAltName not critical",
            &["not-strict"],
            |it| {
                let leaf = it.ca.leaf_with(&[&it.host], key(), &|params| {
                    params.distinguished_name = DistinguishedName::new();
                    params.subject_alt_names.clear();
                    // SEQUENCE OF one dNSName (RFC 5280 section 4.2.1.6).
                    let length = u8::try_from(it.host.len()).expect("a short name");
                    let mut names = vec![0x30, length + 2, 0x82, length];
                    names.extend(it.host.as_bytes());
                    let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], names);
                    params.custom_extensions.push(names);
                });
                it.serve(&[&leaf, &it.ca])
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
