//! Files that batond refuses: no client ever sees what is in them.

use super::issue::{Identity, bundle};
use super::openssl;
use super::row::{Row, Server, row};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = keys();
    rows.extend(chains());
    rows
}

fn keys() -> Vec<Row> {
    let refused = |name, made, expected, key: &dyn Fn(&Identity) -> Vec<u8>| {
        row(name, made, expected, |it| {
            let leaf = it.leaf();
            let files = it.serve(&[&leaf, &it.ca]).key(key(&leaf));
            files.by(Server::Nobody)
        })
    };
    vec![
        refused(
            "other-key",
            "key of another certificate",
            &["key-mismatch"],
            &|_| Identity::root("another").key_pem().into_bytes(),
        ),
        refused("locked-key", "encrypted key", &["key-encrypted"], &|leaf| {
            openssl::encrypted(&leaf.key_pem()).into_bytes()
        }),
        refused("der-key", "key as DER", &["der-not-pem"], &|leaf| {
            leaf.key_der()
        }),
        refused("empty-key", "empty key file", &["file-empty"], &|_| {
            Vec::new()
        }),
        refused("two-keys", "two keys", &["several-keys"], &|leaf| {
            leaf.key_pem().repeat(2).into_bytes()
        }),
        refused(
            "cut-key",
            "key file cut off",
            &["file-truncated"],
            &|leaf| {
                let key = leaf.key_pem();
                key.as_bytes()[..key.len() - 40].to_vec()
            },
        ),
        refused(
            "garbled-key",
            "key that is not base64",
            &["pem-broken"],
            &|leaf| leaf.key_pem().replacen("M", "!", 1).into_bytes(),
        ),
        refused("public-key", "public key as key", &["no-key"], &|_| {
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_vec()
        }),
    ]
}

fn chains() -> Vec<Row> {
    let refused = |name, made, expected, chain: &dyn Fn(&Identity, &Identity) -> Vec<u8>| {
        row(name, made, expected, |it| {
            let leaf = it.leaf();
            let files = it.serve(&[&leaf, &it.ca]);
            files.chain(chain(&leaf, &it.ca)).by(Server::Nobody)
        })
    };
    vec![
        refused(
            "authority-first",
            "the authority before the leaf",
            &["key-mismatch"],
            &|leaf, ca| bundle(&[ca, leaf]).into_bytes(),
        ),
        refused("der-chain", "chain as DER", &["der-not-pem"], &|leaf, _| {
            leaf.der()
        }),
        refused(
            "empty-chain",
            "empty chain file",
            &["file-empty"],
            &|_, _| Vec::new(),
        ),
        refused(
            "cut-chain",
            "chain cut off in the second block",
            &["file-truncated"],
            &|leaf, ca| {
                let chain = bundle(&[leaf, ca]);
                chain.as_bytes()[..chain.len() - 40].to_vec()
            },
        ),
        refused(
            "bom",
            "byte order mark before the chain",
            &["byte-order-mark"],
            &|leaf, ca| format!("\u{feff}{}", bundle(&[leaf, ca])).into_bytes(),
        ),
        refused(
            "text",
            "text that is not PEM",
            &["no-certificate"],
            &|_, _| b"hello\n".to_vec(),
        ),
        row(
            "swapped",
            "chain and key swapped",
            &["files-swapped", "files-swapped"],
            |it| {
                let files = it.serve(&[&it.leaf()]);
                let (chain, key) = (files.chain.clone(), files.key.clone());
                files.chain(key).key(chain).by(Server::Nobody)
            },
        ),
        row(
            "version-1",
            "leaf of X.509 version 1",
            &["certificate-unusable"],
            |it| {
                let (chain, key) = openssl::issue(&it.ca, &it.host, openssl::P256, "");
                let files = it.serve(&[&it.leaf()]).key(key);
                files.chain(chain + &it.ca.pem()).by(Server::Openssl)
            },
        ),
    ]
}
