//! Where the configuration comes from: the main file, `conf.d`, and the environment.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::text::Text;

/// Largest configuration file, in bytes. Far more than anyone writes, and little enough that a
/// wrong path such as `/dev/zero` does no harm.
const FILE_MAX: u64 = 1 << 20;

/// What the layers are read from. Later layers override earlier ones key by key; tables are
/// merged, lists are replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The main file, which must exist.
    pub path: PathBuf,
    /// A folder: its `*.toml` files are read in the order of their names' bytes, hidden ones not.
    /// It need not exist.
    pub conf_d: PathBuf,
    /// Variables whose names begin with `BATOND_`; others are passed over. Levels are separated
    /// by two underscores and lists by commas: `BATOND_LIMITS__CLIENTS=5000`,
    /// `BATOND_SERVICE__CHAT__PATHS=/chat,/news`. Keys are found in any case; so are the names
    /// of listeners, certificates and services, with `_` for their `-` and `.`.
    pub env: Vec<(String, String)>,
}

impl Source {
    /// The main file where none is named.
    pub const DEFAULT_PATH: &str = "/etc/batond/batond.toml";

    /// This main file with `conf.d` beside it, and no variables.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let conf_d = path.with_file_name("conf.d");
        Self {
            path,
            conf_d,
            env: Vec::new(),
        }
    }

    /// This main file, or else [`Source::DEFAULT_PATH`], with `conf.d` beside it and the
    /// variables of this process.
    pub fn from_process(path: Option<PathBuf>) -> Self {
        // What is not UTF-8 becomes U+FFFD here, which is reported later on.
        let env = env::vars_os()
            .map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            })
            .filter(|(name, _)| name.starts_with(super::variables::PREFIX))
            .collect();
        Self {
            env,
            ..Self::at(path.unwrap_or_else(|| Self::DEFAULT_PATH.into()))
        }
    }

    /// Reads every file, and returns the numbers of those that could be read.
    pub(super) fn read_files(&self, found: &mut Findings) -> Vec<usize> {
        let mut paths = vec![self.path.clone()];
        match fragments(&self.conf_d) {
            Ok(more) => paths.extend(more),
            Err(error) => {
                found.file(&self.conf_d, format!("cannot list the folder: {error}"));
                found.damage(super::key::KeyPath::root());
            }
        }
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match read(&path, found) {
                Some(file) => files.push(file),
                // Any key may be in there.
                None => found.damage(super::key::KeyPath::root()),
            }
        }
        files
    }
}

/// The files of `conf.d` in their order; none if there is no such folder.
fn fragments(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        // Editors keep their locks and backups in hidden files.
        if name.ends_with(b".toml") && !name.starts_with(b".") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads one file into `found`. None if that failed, which has been reported then.
fn read(path: &Path, found: &mut Findings) -> Option<usize> {
    let mut bytes = Vec::new();
    let outcome = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = outcome {
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound => " (create it, or name another with --config)",
            std::io::ErrorKind::PermissionDenied => " (the user that runs batond must be able to)",
            _ => "",
        };
        found.file(path, format!("cannot read it: {error}{advice}"));
        return None;
    }
    if bytes.len() as u64 > FILE_MAX {
        found.file(path, "is larger than 1 MiB, so it is not a configuration");
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(content) => Some(found.add_text(Text::new(path.to_owned(), content.to_owned()))),
        Err(error) => {
            let content = String::from_utf8_lossy(bytes).into_owned();
            let file = found.add_text(Text::new(path.to_owned(), content));
            let at = error.valid_up_to();
            found.text(file, &(at..at), None, "is not UTF-8 from here on");
            None
        }
    }
}
