//! Certificates that only the `openssl` program still makes.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::issue::Identity;

/// Extensions of a server's certificate.
pub(crate) const SERVER: &str = "basicConstraints=critical,CA:FALSE\n\
     keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n\
     subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n";
const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\n\
     keyUsage=critical,keyCertSign,cRLSign\n\
     subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n";

/// How `openssl req` is told to make a key, and then how to sign.
pub(crate) const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub(crate) const P256_SHA1: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "--", "-sha1"];

/// A leaf under this authority: certificate and key. What follows `--` says how it is signed.
pub(crate) fn issue(
    issuer: &Identity,
    host: &str,
    key: &[&str],
    extensions: &str,
) -> (String, String) {
    let (key, signing) = match key.split(|one| *one == "--").collect::<Vec<_>>()[..] {
        [key, signing] => (key, signing),
        _ => (key, &["-sha256"][..]),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    write(at, "ca.pem", &issuer.pem());
    write(at, "ca.key", &issuer.key_pem());
    let extensions = match extensions {
        "" => String::new(),
        some => format!("{some}subjectAltName=DNS:{host}\n"),
    };
    sign(at, "leaf", host, key, signing, &extensions);
    (read(at, "leaf.pem"), read(at, "leaf.key"))
}

/// A leaf under an authority with such a key, certified with such options: certificate, key, and
/// the certificate of the authority.
pub(crate) fn issue_under(
    root: &Identity,
    authority: &str,
    host: &str,
    key: &[&str],
    signing: &[&str],
) -> (String, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    write(at, "ca.pem", &root.pem());
    write(at, "ca.key", &root.key_pem());
    sign(at, "odd", authority, key, signing, AUTHORITY);
    let ca = read(at, "odd.pem");
    write(at, "ca.pem", &ca);
    write(at, "ca.key", &read(at, "odd.key"));
    let extensions = format!("{SERVER}subjectAltName=DNS:{host}\n");
    sign(at, "leaf", host, P256, &["-sha256"], &extensions);
    (read(at, "leaf.pem"), read(at, "leaf.key"), ca)
}

/// The key, encrypted.
pub(crate) fn encrypted(key: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    write(at, "plain.key", key);
    run(
        at,
        &[
            "pkcs8",
            "-topk8",
            "-in",
            "plain.key",
            "-out",
            "locked.key",
            "-passout",
            "pass:word",
        ],
    );
    read(at, "locked.key")
}

fn sign(at: &Path, name: &str, subject: &str, key: &[&str], signing: &[&str], extensions: &str) {
    let (request, key_file) = (format!("{name}.csr"), format!("{name}.key"));
    let (certificate, settings) = (format!("{name}.pem"), format!("{name}.ext"));
    // An authority outlives what it issues.
    let days = if extensions == AUTHORITY { "600" } else { "60" };
    let subject = format!("/CN={subject}");
    let mut make = vec!["req", "-new", "-nodes", "-newkey"];
    make.extend(key);
    make.extend(["-subj", &subject, "-keyout", &key_file, "-out", &request]);
    run(at, &make);
    let mut issue = vec![
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-days",
        days,
        "-set_serial",
        "77",
        "-out",
        &certificate,
    ];
    issue.extend(signing);
    if !extensions.is_empty() {
        write(at, &settings, extensions);
        issue.extend(["-extfile", &settings]);
    }
    run(at, &issue);
}

fn run(at: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    let output = command.current_dir(at).args(arguments).output();
    let output = output.expect("start openssl (run tests/certificate/install)");
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write(at: &Path, name: &str, text: &str) {
    fs::write(at.join(name), text).expect("write a file");
}

fn read(at: &Path, name: &str) -> String {
    fs::read_to_string(at.join(name)).expect("read a file that openssl wrote")
}
