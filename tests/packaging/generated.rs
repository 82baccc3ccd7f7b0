//! Files that are made from the programs' command lines and kept in the repository.
//!
//! `BATOND_GENERATE=1 cargo test --test packaging` writes them anew.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// In the environment: write the files instead of comparing them.
const VARIABLE: &str = "BATOND_GENERATE";

/// The folder with all that is packaged.
pub(crate) fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

/// Compares a file of the packaging folder with what it must be, or writes it.
///
/// # Panics
///
/// If it is not up to date.
pub(crate) fn compare(file: &str, wanted: &str) {
    let path = packaging().join(file);
    if env::var_os(VARIABLE).is_some() {
        let folder = path.parent().expect("a file in the packaging folder");
        fs::create_dir_all(folder).expect("make the folder of a generated file");
        fs::write(&path, wanted).expect("write a generated file");
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found == wanted {
        return;
    }
    let same = found
        .lines()
        .zip(wanted.lines())
        .take_while(|(a, b)| a == b);
    let line = same.count();
    panic!(
        "packaging/{file} is not what the command line says, from line {} on:\n- {}\n+ {}\nTo \
         write it anew: {VARIABLE}=1 cargo test --test packaging",
        line + 1,
        found.lines().nth(line).unwrap_or("(end)"),
        wanted.lines().nth(line).unwrap_or("(end)"),
    );
}
