//! What is said about certificate files.

use batond::config::Roots;
use insta::assert_snapshot;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};

use crate::folder::Folder;

fn pair() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["example.org".to_owned()]).expect("a certificate")
}

/// A configuration with one certificate, made of these two files.
fn with(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Folder {
    Folder::with("[certificate.example]\nchain = \"chain.pem\"\nkey = \"key.pem\"\n")
        .and("chain.pem", chain)
        .and("key.pem", key)
}

#[test]
fn a_chain_and_its_key_are_taken() {
    let (pair, issuer) = (pair(), pair());
    // What stands around the blocks does not matter, nor do other blocks.
    let chain = format!("Subject: x\n{}\n{}", pair.cert.pem(), issuer.cert.pem());
    let key = pair.signing_key.serialize_pem();
    let folder = with(&chain, format!("{key}\n{chain}"));
    let certificate = &folder.good().certificates[0];
    assert_eq!(certificate.chain, folder.path("chain.pem"));
    assert_eq!(certificate.key, folder.path("key.pem"));
    assert_eq!(certificate.roots, Roots::Public);
}

/// It is better to serve it than nothing: some clients do not look, and the rest is told.
#[test]
fn a_certificate_that_clients_reject_is_taken() {
    let mut params = rcgen::CertificateParams::new(["example.org".to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let expired = params.self_signed(&key).expect("a certificate");
    with(expired.pem(), key.serialize_pem()).good();
}

#[test]
fn everything_about_a_certificate_can_be_set() {
    let pair = pair();
    let folder = with(pair.cert.pem(), pair.signing_key.serialize_pem()).and(
        "conf.d/a.toml",
        "[certificate.example]\nnames = [\"Example.ORG\"]\nroots = \"../chain.pem\"\n\
             renew_unit = \"certbot.service\"\n",
    );
    let certificate = &folder.good().certificates[0];
    assert_eq!(certificate.names, ["example.org"]);
    // Relative to the file that says so.
    assert_eq!(
        certificate.roots,
        Roots::File(folder.path("conf.d/../chain.pem"))
    );
    assert_eq!(certificate.renew_unit.as_deref(), Some("certbot.service"));
    let folder = folder.variable("BATOND_CERTIFICATE__EXAMPLE__ROOTS", "system");
    assert_eq!(folder.good().certificates[0].roots, Roots::System);
    // In a variable, relative to the main file.
    let folder = folder.variable("BATOND_CERTIFICATE__EXAMPLE__CHAIN", "chain.pem");
    assert_eq!(
        folder.good().certificates[0].chain,
        folder.path("chain.pem")
    );
}

#[test]
fn names_roots_and_units_are_checked() {
    let pair = pair();
    let folder = with(pair.cert.pem(), pair.signing_key.serialize_pem()).and(
        "conf.d/a.toml",
        "[certificate.example]\nnames = [\"*.example.org\", \"a b\"]\nroots = \"publik\"\n\
         renew_unit = \"certbot.timer\"\n",
    );
    assert_snapshot!(folder.told(), @r#"
    conf.d/a.toml:2:10: certificate.example.names[0]: is a pattern (write the names that clients dial)
        names = ["*.example.org", "a b"]
                 ^^^^^^^^^^^^^^^
    conf.d/a.toml:2:27: certificate.example.names[1]: "a b" is not a host name (look at its part "a b")
        names = ["*.example.org", "a b"]
                                  ^^^^^
    conf.d/a.toml:3:9: certificate.example.roots: conf.d/publik does not exist (write the path of a file that exists); or write "public" or "system"
        roots = "publik"
                ^^^^^^^^
    conf.d/a.toml:4:14: certificate.example.renew_unit: "certbot.timer" is not a service unit (name the one that runs the program: "certbot.service"?)
        renew_unit = "certbot.timer"
                     ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn files_must_be_readable() {
    let folder = Folder::with("[certificate.example]\nchain = \"none.pem\"\nkey = \"folder\"\n")
        .and("folder/x", "");
    assert_snapshot!(folder.told(), @r#"
    batond.toml:2:9: certificate.example.chain: none.pem does not exist (write the path of a file that exists)
        chain = "none.pem"
                ^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: cannot read folder: it is a directory, not a file (write the path of a file that can be read)
        key = "folder"
              ^^^^^^^^
    "#);
}

#[test]
fn the_key_must_be_that_of_the_certificate() {
    assert_snapshot!(with(pair().cert.pem(), pair().signing_key.serialize_pem()).told(), @r#"
    batond.toml:3:7: certificate.example.key: key.pem does not belong to the first certificate of chain.pem (the server's own certificate must come first, and be issued for this key)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn the_own_certificate_comes_first() {
    let (pair, issuer) = (pair(), pair());
    let chain = format!("{}{}", issuer.cert.pem(), pair.cert.pem());
    assert_snapshot!(with(chain, pair.signing_key.serialize_pem()).told(), @r#"
    batond.toml:3:7: certificate.example.key: key.pem does not belong to the first certificate of chain.pem (the server's own certificate must come first, and be issued for this key)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn files_must_be_pem() {
    let pair = pair();
    assert_snapshot!(with("nonsense", "nonsense").told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem holds no certificate: it is not PEM (write the path of a PEM file)
        chain = "chain.pem"
                ^^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: key.pem holds no private key: it is not PEM (write the path of a PEM file)
        key = "key.pem"
              ^^^^^^^^^
    "#);
    assert_snapshot!(with("", "").told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem holds no certificate: it is empty (let it be written again, or write the path of another file)
        chain = "chain.pem"
                ^^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: key.pem holds no private key: it is empty (let it be written again, or write the path of another file)
        key = "key.pem"
              ^^^^^^^^^
    "#);
    assert_snapshot!(with(pair.cert.der(), pair.signing_key.serialize_der()).told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem holds no certificate: it looks like DER (convert it with `openssl x509 -inform der`)
        chain = "chain.pem"
                ^^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: key.pem holds no private key: it looks like DER (convert it with `openssl pkey -inform der`)
        key = "key.pem"
              ^^^^^^^^^
    "#);
    assert_snapshot!(with(pair.signing_key.public_key_pem(), pair.signing_key.public_key_pem()).told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem holds no certificate: it holds PEM blocks of other kinds (write the path of a PEM file)
        chain = "chain.pem"
                ^^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: key.pem holds no private key: it holds PEM blocks of other kinds (write the path of a PEM file)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn chain_and_key_may_not_be_swapped() {
    let pair = pair();
    assert_snapshot!(with(pair.signing_key.serialize_pem(), pair.cert.pem()).told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem holds no certificate: it holds a private key (are `chain` and `key` swapped?)
        chain = "chain.pem"
                ^^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: key.pem holds no private key: it holds certificates (are `chain` and `key` swapped?)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn an_encrypted_key_is_of_no_use() {
    let pkcs8 =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIH0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_snapshot!(with(pair().cert.pem(), pkcs8).told(), @r#"
    batond.toml:3:7: certificate.example.key: key.pem is encrypted, and nobody is there to type its passphrase when batond starts (write it in clear with `openssl pkey -in FILE -out KEY`, readable by batond alone)
        key = "key.pem"
              ^^^^^^^^^
    "#);
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIH0\n-----END RSA PRIVATE KEY-----\n";
    assert_snapshot!(with(pair().cert.pem(), traditional).told(), @r#"
    batond.toml:3:7: certificate.example.key: key.pem is encrypted, and nobody is there to type its passphrase when batond starts (write it in clear with `openssl pkey -in FILE -out KEY`, readable by batond alone)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn a_file_that_is_cut_off_is_noticed() {
    let pair = pair();
    let chain = pair.cert.pem() + "-----BEGIN CERTIFICATE-----\nMIIB\n";
    let key = pair.signing_key.serialize_pem();
    assert_snapshot!(with(chain, key.replace("-----END", "----- END")).told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem ends within a block: it is cut off (let the program that wrote it write it again)
        chain = "chain.pem"
                ^^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: key.pem ends within a block: it is cut off (let the program that wrote it write it again)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn broken_blocks_are_noticed_and_not_shown() {
    let told = with(
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----c2VjcmV0\n-----END PRIVATE KEY-----\n",
    )
    .told();
    assert!(!told.contains("c2VjcmV0"), "{told}");
    assert_snapshot!(told, @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem has a block that is not base64 (let the program that wrote it write it again)
        chain = "chain.pem"
                ^^^^^^^^^^^
    batond.toml:3:7: certificate.example.key: key.pem has a broken BEGIN line (let the program that wrote it write it again)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn blocks_must_hold_what_they_say() {
    let pair = pair();
    let nothing = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_snapshot!(with(nothing, pair.signing_key.serialize_pem()).told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem begins with a certificate that cannot be used: BadEncoding (have it issued again)
        chain = "chain.pem"
                ^^^^^^^^^^^
    "#);
    let nothing = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_snapshot!(with(pair.cert.pem(), nothing).told(), @r#"
    batond.toml:3:7: certificate.example.key: key.pem holds a key that cannot be used: unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA (RSA from 2048 bits, ECDSA on P-256, P-384 or P-521, and Ed25519 can be)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn there_is_one_key() {
    let pair = pair();
    let key = pair.signing_key.serialize_pem();
    assert_snapshot!(with(pair.cert.pem(), key.clone() + &key).told(), @r#"
    batond.toml:3:7: certificate.example.key: key.pem holds more than one private key (leave the one that is meant)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn a_byte_order_mark_would_hide_a_block() {
    let pair = pair();
    let chain = format!("\u{feff}{}", pair.cert.pem());
    assert_snapshot!(with(chain, pair.signing_key.serialize_pem()).told(), @r#"
    batond.toml:2:9: certificate.example.chain: chain.pem begins with a byte order mark, which hides the first block (save it without one)
        chain = "chain.pem"
                ^^^^^^^^^^^
    "#);
}

#[test]
fn a_file_without_end_is_not_read_to_the_end() {
    assert_snapshot!(with(pair().cert.pem(), "x".repeat((1 << 20) + 1)).told(), @r#"
    batond.toml:3:7: certificate.example.key: key.pem is larger than 1 MiB, so it is not a PEM file for this (write the path of the right file)
        key = "key.pem"
              ^^^^^^^^^
    "#);
}

#[test]
fn pem_is_not_a_path() {
    let key = pair().signing_key.serialize_pem();
    let folder = Folder::with(format!(
        "[certificate.example]\nchain = \"\"\nkey = '''\n{key}'''\n"
    ));
    let told = folder.told();
    let body = key.lines().nth(1).expect("base64");
    assert!(!told.contains(&body[..8]), "{told}");
    assert_snapshot!(told, @r#"
    batond.toml:2:9: certificate.example.chain: is empty (write the path of a file)
    batond.toml:3:7: certificate.example.key: holds PEM text (put that into a file, and write the path of the file here)
    "#);
}
