//! Files that cannot be read: who would have to change what.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use batond::certificate::check::{Subject, examine};
use batond::certificate::file::File;
use batond::certificate::finding::Finding;
use batond::certificate::roots::TrustedRoots;
use jiff::Timestamp;

use super::issue::{Identity, bundle};

const BATOND: &str = env!("CARGO_BIN_EXE_batond");

/// A user that owns nothing here.
const NOBODY: &str = "65534";

/// What is said of the two files, with paths as seen from the folder.
fn told(folder: &Path, chain: &str, key: &str) -> Vec<String> {
    let findings = examine(Subject {
        chain: &File::read(&folder.join(chain)),
        key: &File::read(&folder.join(key)),
        names: &[],
        roots: &TrustedRoots::public(),
        renew_unit: None,
    })
    .verdict(Timestamp::now())
    .findings;
    let short = |one: &Finding| {
        let folder = format!("{}/", folder.display());
        format!("{}: {}", one.fault, one.what.replace(&folder, ""))
    };
    findings.iter().map(short).collect()
}

fn pair() -> (String, String) {
    let root = Identity::root("root");
    let leaf = root.leaf(&["files.test"]);
    (bundle(&[&leaf]), leaf.key_pem())
}

#[test]
fn what_is_not_there_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    symlink("../archive/key1.pem", folder.path().join("key.pem")).expect("a link");
    assert_eq!(
        told(folder.path(), "chain.pem", "key.pem"),
        [
            "file-not-found: chain.pem does not exist",
            "broken-link: cannot read key.pem: key.pem is a symbolic link to \
             ../archive/key1.pem, which does not exist",
        ]
    );
}

#[test]
fn links_to_different_renewals_are_noticed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    fs::create_dir_all(at.join("archive")).expect("a folder");
    let (chain, key) = pair();
    let (_, other) = pair();
    for (name, text) in [
        ("fullchain2.pem", &chain),
        ("fullchain3.pem", &chain),
        ("privkey2.pem", &other),
        ("privkey3.pem", &key),
    ] {
        fs::write(at.join("archive").join(name), text).expect("a file");
    }
    symlink("archive/fullchain3.pem", at.join("fullchain.pem")).expect("a link");
    symlink("archive/privkey2.pem", at.join("privkey.pem")).expect("a link");
    let said = told(at, "fullchain.pem", "privkey.pem");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("key-mismatch: privkey.pem"), "{said:?}");
    assert!(
        said[1].starts_with("generation-mismatch: ")
            && said[1].contains("fullchain3.pem of renewal 3")
            && said[1].contains("privkey2.pem of renewal 2"),
        "{said:?}"
    );
    // The key was used again: it works, and is told all the same.
    fs::write(at.join("archive/privkey2.pem"), &key).expect("a file");
    let said = told(at, "fullchain.pem", "privkey.pem");
    assert!(
        said.iter().any(|it| it.starts_with("generation-mismatch")),
        "{said:?}"
    );
    assert!(
        !said.iter().any(|it| it.starts_with("key-mismatch")),
        "{said:?}"
    );

    fs::remove_file(at.join("privkey.pem")).expect("remove the link");
    symlink("archive/privkey3.pem", at.join("privkey.pem")).expect("a link");
    let said = told(at, "fullchain.pem", "privkey.pem");
    assert!(!said.iter().any(|it| it.contains("mismatch")), "{said:?}");
}

/// As another user, since nothing is closed to root; without root, as this one.
#[test]
fn who_bars_the_way_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set the mode");
    };
    open(at, 0o755);
    let (chain, key) = pair();
    fs::create_dir(at.join("archive")).expect("a folder");
    fs::write(at.join("archive/chain.pem"), chain).expect("a file");
    symlink("archive/chain.pem", at.join("chain.pem")).expect("a link");
    fs::write(at.join("key.pem"), key).expect("a file");
    fs::write(
        at.join("batond.toml"),
        "[certificate.x]\nchain = \"chain.pem\"\nkey = \"key.pem\"\n",
    )
    .expect("the configuration");
    // Where the program lies may be closed to others.
    let program = at.join("batond");
    fs::copy(BATOND, &program).expect("copy the program");
    open(&program, 0o755);
    open(&at.join("key.pem"), 0o000);
    open(&at.join("archive"), 0o000);

    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        command.arg(&program);
        command
    } else {
        Command::new(&program)
    };
    command
        .arg("check")
        .arg("--config")
        .arg(at.join("batond.toml"));
    let output = command.output().expect("run batond check");
    // So that the folder can be removed again.
    open(&at.join("archive"), 0o755);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(78), "{said}");
    let archive = at.join("archive");
    let key = at.join("key.pem");
    assert!(
        said.contains(&format!("directory {} (owner ", archive.display())),
        "{said}"
    );
    assert!(
        said.contains(&format!("file {} (owner ", key.display())) && said.contains("mode 0000"),
        "{said}"
    );
    if rustix::process::geteuid().is_root() {
        assert!(
            said.contains("is closed to this process (user 65534, group 65534)"),
            "{said}"
        );
    }
}
