//! The root file systems that the machines stand on: one for each Debian release, built once and
//! kept, never written to by a machine.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Release, tell};

/// Builds a root file system; part of the key, so that a change of the recipe makes a new one.
const RECIPE: &str = include_str!("base");

/// Seconds that a build may take: about 40 with a near mirror and an idle machine.
const BUILD_SECONDS: &str = "900";

/// The root file system of a release, built now if it is not in the cache.
///
/// The cache is `$TEST_SYSTEM_CACHE`, else `target/system`. Of several callers, in whatever
/// process, one builds and the others wait for it.
///
/// # Panics
///
/// If it cannot be built; the message ends with the last words of the build's log.
pub(super) fn base(release: Release) -> PathBuf {
    let cache = cache();
    fs::create_dir_all(&cache).expect("make the folder for root file systems");
    let root = cache.join(key(release));
    let lock = File::create(root.with_extension("lock")).expect("make the lock of a build");
    // Released with the file, so also when this process dies.
    lock.lock().expect("wait for another build");
    if !root.exists() {
        build(release, &cache, &root);
    }
    root
}

fn cache() -> PathBuf {
    match env::var_os("TEST_SYSTEM_CACHE") {
        Some(folder) => PathBuf::from(folder),
        // Beside the folder that cargo makes for integration tests, target/tmp.
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("system"),
    }
}

fn key(release: Release) -> String {
    let mut hasher = DefaultHasher::new();
    RECIPE.hash(&mut hasher);
    format!("{}-{:016x}", release.suite(), hasher.finish())
}

fn build(release: Release, cache: &Path, root: &Path) {
    tell(&format!(
        "building {}, which takes about a minute",
        root.display()
    ));
    let partial = root.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).expect("remove what an interrupted build left");
    }
    let log_path = root.with_extension("log");
    let log = File::create(&log_path).expect("make the log of a build");
    // A mount namespace takes the build's mounts with it, a PID namespace its processes. Each
    // step dies with the one before, and the first with this process.
    let status = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "timeout",
            "--kill-after=5",
            BUILD_SECONDS,
        ])
        .args(["setpriv", "--pdeathsig", "KILL"])
        .args(["unshare", "--mount", "--propagation=private"])
        .args(["--pid", "--fork", "--kill-child"])
        .args(["sh", "-c", RECIPE, "base", release.suite()])
        .args([
            &partial,
            &cache.join(format!("{}-archives", release.suite())),
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("share the log of a build"))
        .stderr(log)
        .status()
        .expect("run unshare");
    if !status.success() {
        let log = fs::read_to_string(&log_path).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(15).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        panic!(
            "building {} failed ({status}):\n{}",
            root.display(),
            tail.join("\n")
        );
    }
    fs::rename(&partial, root).expect("put a finished root file system in its place");
}
