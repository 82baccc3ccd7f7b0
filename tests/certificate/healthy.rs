//! Certificates that every client takes: nothing may be said about them but what does no harm.

use rcgen::{
    BasicConstraints, DistinguishedName, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize,
};

use super::issue::{Identity, bundle, key, key_for, lives};
use super::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = kinds_of_keys();
    rows.extend(shapes_of_chains());
    rows.extend(leaves());
    rows.extend(files());
    rows
}

fn rsa(size: RsaKeySize) -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).expect("generate an RSA key")
}

fn kinds_of_keys() -> Vec<Row> {
    let mut rows = vec![
        row("p256", "leaf, authority and root on P-256", &[], |it| {
            it.serve(&[&it.leaf(), &it.ca])
        }),
        row("p384", "all on P-384", &[], |it| {
            let p384 = || key_for(&PKCS_ECDSA_P384_SHA384);
            let root = Identity::root_with(&it.name("P-384 root"), p384(), &|_| {});
            let ca = root.authority_with(&it.name("P-384 authority"), p384(), &|_| {});
            let leaf = ca.leaf_with(&[&it.host], p384(), &|_| {});
            it.serve(&[&leaf, &ca]).trusting(&[&root])
        }),
    ];
    for (name, size) in [
        ("rsa-2048", RsaKeySize::_2048),
        ("rsa-3072", RsaKeySize::_3072),
        ("rsa-4096", RsaKeySize::_4096),
    ] {
        rows.push(row(name, "RSA leaf under an RSA root", &[], |it| {
            let root = Identity::root_with(&it.name("RSA root"), rsa(size), &|_| {});
            let leaf = root.leaf_with(&[&it.host], rsa(size), &|params| {
                params.key_usages = vec![
                    KeyUsagePurpose::DigitalSignature,
                    KeyUsagePurpose::KeyEncipherment,
                ];
            });
            it.serve(&[&leaf]).trusting(&[&root])
        }));
    }
    rows
}

fn shapes_of_chains() -> Vec<Row> {
    vec![
        row("private-ca", "leaf directly under the root", &[], |it| {
            it.serve(&[&it.root.leaf(&[&it.host])])
        }),
        row("two-levels", "two authorities", &[], |it| {
            let lower = it.ca.authority(&it.name("lower"));
            it.serve(&[&lower.leaf(&[&it.host]), &lower, &it.ca])
        }),
        row(
            "cross-sign-new",
            "root also certified by an old one, clients have the new",
            &[],
            |it| {
                let old = Identity::root(&it.name("old root"));
                let cross = old.cross_sign(&it.root, &|_| {});
                it.serve(&[&it.leaf(), &it.ca, &cross])
            },
        ),
        row(
            "cross-sign-old",
            "the same, clients have the old root",
            &[],
            |it| {
                let old = Identity::root(&it.name("old root"));
                let cross = old.cross_sign(&it.root, &|_| {});
                it.serve(&[&it.leaf(), &it.ca, &cross]).trusting(&[&old])
            },
        ),
        row(
            "cross-sign-both",
            "the same, clients have both",
            &[],
            |it| {
                let old = Identity::root(&it.name("old root"));
                let cross = old.cross_sign(&it.root, &|_| {});
                let files = it.serve(&[&it.leaf(), &it.ca, &cross]);
                files.trusting(&[&it.root, &old])
            },
        ),
        row(
            "cross-sign-expired",
            "the same, the cross-sign is over, clients have the new",
            &[],
            |it| {
                let old = Identity::root(&it.name("old root"));
                let cross = old.cross_sign(&it.root, &|params| lives(params, -900.0, -9.0));
                it.serve(&[&it.leaf(), &it.ca, &cross])
            },
        ),
        row(
            "root-included",
            "the root is served too",
            &["root-included"],
            |it| it.serve(&[&it.leaf(), &it.ca, &it.root]),
        ),
        row(
            "self-signed-trusted",
            "signed itself, clients trust that",
            &[],
            |it| {
                let leaf = Identity::self_signed_leaf(&[&it.host], &|_| {});
                it.serve(&[&leaf]).trusting(&[&leaf])
            },
        ),
        row(
            "name-constraints-kept",
            "authority only for .test",
            &[],
            |it| {
                let ca = it
                    .root
                    .authority_with(&it.name("narrow"), key(), &|params| {
                        params.name_constraints = Some(NameConstraints {
                            permitted_subtrees: vec![GeneralSubtree::DnsName("test".into())],
                            excluded_subtrees: Vec::new(),
                        });
                    });
                it.serve(&[&ca.leaf(&[&it.host]), &ca])
            },
        ),
        row(
            "pathlen-kept",
            "authority that may have none below",
            &[],
            |it| {
                let ca = it.root.authority_with(&it.name("last"), key(), &|params| {
                    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                });
                it.serve(&[&ca.leaf(&[&it.host]), &ca])
            },
        ),
    ]
}

fn leaves() -> Vec<Row> {
    vec![
        row("wildcard", "for *.wildcard.test", &[], |it| {
            let leaf = it.ca.leaf(&["*.wildcard.test"]);
            it.serve(&[&leaf, &it.ca]).dialled("chat.wildcard.test")
        }),
        row("address", "for an address", &[], |it| {
            let leaf = it.ca.leaf(&["127.0.0.1", "::1"]);
            it.serve(&[&leaf, &it.ca]).dialled("127.0.0.1")
        }),
        row("idn", "for a name in punycode", &[], |it| {
            let leaf = it.ca.leaf(&["xn--bcher-kva.idn.test"]);
            it.serve(&[&leaf, &it.ca]).dialled("xn--bcher-kva.idn.test")
        }),
        row("capitals", "name in capitals", &[], |it| {
            let leaf = it.ca.leaf(&["CAPITALS.Test"]);
            it.serve(&[&leaf, &it.ca])
        }),
        row("many-names", "60 names", &[], |it| {
            let mut names: Vec<String> = (0..59).map(|n| format!("n{n}.{}", it.host)).collect();
            names.push(it.host.clone());
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            it.serve(&[&it.ca.leaf(&names), &it.ca])
        }),
        row(
            "six-days",
            "lives for six days, one of them over",
            &[],
            |it| {
                let short = |params: &mut _| lives(params, -1.0, 5.0);
                let leaf = it.ca.leaf_with(&[&it.host], key(), &short);
                it.serve(&[&leaf, &it.ca])
            },
        ),
        row(
            "ten-years",
            "lives for ten years, two are left",
            &[],
            |it| {
                let long = |params: &mut _| lives(params, -8.0 * 365.0, 2.0 * 365.0);
                let leaf = it.root.leaf_with(&[&it.host], key(), &long);
                it.serve(&[&leaf])
            },
        ),
        row("half-way", "half of its life is over", &[], |it| {
            let half = |params: &mut _| lives(params, -45.0, 45.0);
            let leaf = it.ca.leaf_with(&[&it.host], key(), &half);
            it.serve(&[&leaf, &it.ca])
        }),
        row("no-subject", "names in subjectAltName alone", &[], |it| {
            let leaf = it.ca.leaf_with(&[&it.host], key(), &|params| {
                params.distinguished_name = DistinguishedName::new();
            });
            it.serve(&[&leaf, &it.ca])
        }),
        row(
            "no-purposes",
            "neither key usage nor extended key usage",
            &[],
            |it| {
                let leaf = it.ca.leaf_with(&[&it.host], key(), &|params| {
                    params.key_usages.clear();
                    params.extended_key_usages.clear();
                });
                it.serve(&[&leaf, &it.ca])
            },
        ),
        row(
            "forever",
            "no well-defined end: 31 December 9999",
            &[],
            |it| {
                let root = Identity::root_with(&it.name("everlasting"), key(), &|params| {
                    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
                });
                let leaf = root.leaf_with(&[&it.host], key(), &|params| {
                    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
                });
                it.serve(&[&leaf]).trusting(&[&root])
            },
        ),
    ]
}

fn files() -> Vec<Row> {
    vec![
        row(
            "text-around",
            "text around the blocks, lines end in CRLF",
            &[],
            |it| {
                let leaf = it.leaf();
                let chain = format!("subject={}\n{}\n", it.host, bundle(&[&leaf, &it.ca]));
                it.serve(&[&leaf, &it.ca])
                    .chain(chain.replace('\n', "\r\n"))
            },
        ),
        row("all-in-one", "chain and key in one file", &[], |it| {
            let leaf = it.leaf();
            let all = leaf.key_pem() + &bundle(&[&leaf, &it.ca]);
            it.serve(&[&leaf, &it.ca]).chain(all.clone()).key(all)
        }),
    ]
}
