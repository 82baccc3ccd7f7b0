//! A private folder that is removed at the end.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Names that are tried; they are taken only if somebody leaves such folders behind.
const ATTEMPTS: u32 = 1_000;

/// A new folder that only its owner may enter. Dropping it removes it with everything in it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it in `TMPDIR`, or else in `/tmp`. Its path is short, since sockets will be in it.
    ///
    /// # Errors
    /// What the kernel says, with the path.
    pub fn new() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        let pid = std::process::id();
        for attempt in 0..ATTEMPTS {
            let path = parent.join(format!("batond-{pid}-{attempt}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let path = path.display();
                    return Err(io::Error::new(error.kind(), format!("{path}: {error}")));
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
