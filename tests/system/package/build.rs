//! The packages, made from the programs under test once for each run of the tests.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// In the environment: the folder with the programs to be packaged instead of those that cargo has
/// built for the tests.
const VARIABLE: &str = "PACKAGED_PROGRAMS";

/// What is installed first, and what replaces it.
const NEWER: &str = "99.1.0";

/// A version of which the daemon does not start.
const BROKEN: &str = "99.2.0";

/// Packages of one format.
pub(super) struct Versions {
    pub(super) first: PathBuf,
    pub(super) newer: PathBuf,
    pub(super) broken: PathBuf,
}

/// Both formats. Kept locked against other runs of the tests.
pub(super) struct Packages {
    pub(super) deb: Versions,
    pub(super) rpm: Versions,
    _lock: File,
}

/// Makes the packages, unless that was done.
///
/// # Panics
///
/// If they cannot be made, with what the program that does it said.
pub(super) fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(build)
}

fn build() -> Packages {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    fs::create_dir_all(&folder).expect("make the folder for packages");
    let lock = File::create(folder.join("lock")).expect("make the lock of the packages");
    lock.lock().expect("wait for another run of the tests");

    let built = Path::new(env!("CARGO_BIN_EXE_batond"));
    let built = built.parent().expect("the programs are in a folder");
    let programs = env::var_os(VARIABLE).map_or(built.to_owned(), PathBuf::from);
    let broken = folder.join("broken");
    fs::create_dir_all(&broken).expect("make a folder for a broken version");
    fs::copy("/bin/false", broken.join("batond")).expect("make a daemon that does not start");
    fs::copy(programs.join("batonctl"), broken.join("batonctl")).expect("copy batonctl");

    let first = env!("CARGO_PKG_VERSION");
    let [deb, rpm] = [(first, &programs), (NEWER, &programs), (BROKEN, &broken)]
        .map(|(version, programs)| package(programs, &folder.join(version), version))
        .into_iter()
        .fold([vec![], vec![]], |[mut debs, mut rpms], [deb, rpm]| {
            debs.push(deb);
            rpms.push(rpm);
            [debs, rpms]
        })
        .map(|paths| {
            let [first, newer, broken] = paths.try_into().expect("three versions");
            Versions {
                first,
                newer,
                broken,
            }
        });
    Packages {
        deb,
        rpm,
        _lock: lock,
    }
}

/// The .deb and the .rpm of a version.
fn package(programs: &Path, output: &Path, version: &str) -> [PathBuf; 2] {
    if output.exists() {
        fs::remove_dir_all(output).expect("remove the packages of another run");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build");
    let built = Command::new(script)
        .args(["--version", version, "--programs"])
        .arg(programs)
        .arg("--output")
        .arg(output)
        .output()
        .expect("run packaging/build");
    assert!(
        built.status.success(),
        "packaging/build: {}\n{}",
        built.status,
        String::from_utf8_lossy(&built.stderr)
    );
    ["deb", "rpm"].map(|ending| {
        let files = fs::read_dir(output).expect("read the folder of a package");
        let mut paths = files.map(|file| file.expect("read the folder of a package").path());
        let found = paths.find(|path| path.extension().is_some_and(|found| found == ending));
        found.unwrap_or_else(|| panic!("packaging/build makes a .{ending}"))
    })
}
