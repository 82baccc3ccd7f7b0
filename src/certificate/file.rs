//! A file on disk: its bytes, or why they cannot be had and who would have to change what.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File as OpenFile, FileType};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::Context;
use rustix::fs::OFlags;
use rustix::process::{getegid, geteuid};
use zeroize::Zeroizing;

/// Largest PEM file, in bytes: room for a whole store of roots, which is some 250 KiB.
pub const FILE_MAX: u64 = 1 << 20;

/// Symbolic links that are followed on one way, as the kernel does (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// One of the files of a certificate, as it was found on disk.
pub struct File {
    /// As the configuration has it.
    pub path: PathBuf,
    /// Where the symbolic links lead; none if they lead nowhere.
    pub target: Option<PathBuf>,
    /// At most [`FILE_MAX`] bytes and one more. Zeroised when dropped, since it may be a key.
    pub content: Result<Zeroizing<Vec<u8>>, Unreadable>,
}

/// Without the content, which may be a key.
impl fmt::Debug for File {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("File")
            .field("path", &self.path)
            .field("target", &self.target)
            .field("bytes", &self.content.as_ref().map(|content| content.len()))
            .finish()
    }
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Nothing of this name, and no link that should lead to it.
    #[error("{missing} does not exist")]
    NotFound {
        /// What is missing: the file, or a directory on the way.
        missing: PathBuf,
    },
    /// A symbolic link leads nowhere.
    #[error("{link} is a symbolic link to {target}, which does not exist")]
    BrokenLink {
        /// The link.
        link: PathBuf,
        /// What it holds.
        target: PathBuf,
    },
    /// This user may not pass a directory on the way, or not read the file.
    #[error(
        "{kind} {path} (owner {owner}:{group}, mode {mode:04o}) is closed to this process (user \
         {uid}, group {gid})"
    )]
    Denied {
        /// `directory` or `file`
        kind: &'static str,
        /// What bars the way.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its group.
        group: u32,
        /// Its permission bits.
        mode: u32,
        /// Effective user of this process.
        uid: u32,
        /// Effective group of this process.
        gid: u32,
    },
    /// It is a pipe, a device or a directory.
    #[error("it is {0}, not a file")]
    NoFile(&'static str),
    /// Another reason.
    #[error("{0}")]
    Other(io::Error),
}

impl File {
    /// Reads it. What goes wrong is kept, not returned.
    pub fn read(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            target: fs::canonicalize(path).ok(),
            content: content(path),
        }
    }

    /// Adds what tells it from another state of the file: where it is, and its content or why it
    /// cannot be had.
    pub(super) fn digest(&self, all: &mut Context) {
        let mut part = |bytes: &[u8]| {
            all.update(&bytes.len().to_ne_bytes());
            all.update(bytes);
        };
        part(match &self.target {
            Some(target) => target.as_os_str().as_bytes(),
            None => b"",
        });
        match &self.content {
            Ok(content) => part(content),
            Err(error) => part(error.to_string().as_bytes()),
        }
    }

    /// A file with this content that is nowhere on disk.
    pub fn in_memory(path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        let path = path.into();
        Self {
            target: Some(path.clone()),
            path,
            content: Ok(Zeroizing::new(content.into())),
        }
    }
}

fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    // A pipe without a writer would hold the reader up for ever (open(2)).
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = OpenFile::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path);
    let (file, found) = opened
        .and_then(|file| file.metadata().map(|found| (file, found)))
        .map_err(|error| explain(path, error))?;
    if !found.is_file() {
        return Err(Unreadable::NoFile(kind(found.file_type())));
    }
    bytes(file, found.len()).map_err(|error| explain(path, error))
}

fn bytes(file: OpenFile, length: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // With all its room from the start: growing would leave copies of a key behind.
    let room = length.min(FILE_MAX) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn kind(of: FileType) -> &'static str {
    if of.is_dir() {
        "a directory"
    } else if of.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }
}

/// Goes the way to the file step by step to find what bars it.
fn explain(path: &Path, error: io::Error) -> Unreadable {
    let wanted = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    );
    if !wanted {
        return Unreadable::Other(error);
    }
    let Ok(path) = std::path::absolute(path) else {
        return Unreadable::Other(error);
    };
    let mut here = PathBuf::new();
    let mut ahead: VecDeque<OsString> = path.components().map(as_step).collect();
    let mut link = None;
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            here.pop();
            continue;
        }
        let there = here.join(&step);
        let found = match fs::symlink_metadata(&there) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return denied("directory", &here, error);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match link {
                    Some((link, target)) => Unreadable::BrokenLink { link, target },
                    None => Unreadable::NotFound { missing: there },
                };
            }
            Err(error) => return Unreadable::Other(error),
        };
        if !found.is_symlink() {
            here = there;
            continue;
        }
        links += 1;
        let Ok(target) = fs::read_link(&there) else {
            return Unreadable::Other(error);
        };
        if links > LINKS_MAX {
            return Unreadable::Other(error);
        }
        for step in target.components().rev().map(as_step) {
            ahead.push_front(step);
        }
        if target.is_absolute() {
            here = PathBuf::new();
        }
        link = Some((there, target));
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return denied("file", &here, error);
    }
    // It has come into being meanwhile.
    Unreadable::Other(error)
}

fn as_step(component: Component<'_>) -> OsString {
    component.as_os_str().to_owned()
}

fn denied(kind: &'static str, path: &Path, error: io::Error) -> Unreadable {
    let Ok(found) = fs::metadata(path) else {
        return Unreadable::Other(error);
    };
    Unreadable::Denied {
        kind,
        path: path.to_owned(),
        owner: found.uid(),
        group: found.gid(),
        mode: found.mode() & 0o7777,
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn told(path: &Path) -> String {
        File::read(path)
            .content
            .expect_err("it is not there")
            .to_string()
    }

    #[test]
    fn what_is_missing_on_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(
            told(&at("x.pem")),
            format!("{} does not exist", at("x.pem").display())
        );
        assert_eq!(
            told(&at("a/x.pem")),
            format!("{} does not exist", at("a").display())
        );
        symlink("gone/x.pem", at("link.pem")).unwrap();
        symlink("link.pem", at("outer.pem")).unwrap();
        assert_eq!(
            told(&at("outer.pem")),
            format!(
                "{} is a symbolic link to gone/x.pem, which does not exist",
                at("link.pem").display()
            )
        );
        symlink("round.pem", at("round.pem")).unwrap();
        assert!(matches!(
            File::read(&at("round.pem")).content,
            Err(Unreadable::Other(_))
        ));
    }

    #[test]
    fn what_is_no_file_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        // Who blocked here would wait for a writer for ever.
        let path = pipe.clone();
        let (done, read) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(told(&path)));
        let told_of_pipe = read.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(
            told_of_pipe.expect("the pipe holds the reader up"),
            "it is a pipe, not a file"
        );
        assert_eq!(told(folder.path()), "it is a directory, not a file");
        assert_eq!(told(Path::new("/dev/zero")), "it is a device, not a file");
    }

    #[test]
    fn what_may_be_a_key_is_not_shown() {
        let file = File::in_memory("x.key", "secret");
        assert_eq!(
            format!("{file:?}"),
            "File { path: \"x.key\", target: Some(\"x.key\"), bytes: Ok(6) }"
        );
    }

    #[test]
    fn a_link_is_followed_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(folder.join("archive/x")).unwrap();
        fs::create_dir_all(folder.join("live/x")).unwrap();
        fs::write(folder.join("archive/x/key3.pem"), "text").unwrap();
        symlink("../../archive/x/key3.pem", folder.join("live/x/key.pem")).unwrap();
        let file = File::read(&folder.join("live/x/key.pem"));
        assert_eq!(file.target, Some(folder.join("archive/x/key3.pem")));
        assert_eq!(file.content.unwrap().as_slice(), b"text");
    }

    #[test]
    fn who_bars_the_way_is_told_with_its_mode() {
        let denied = Unreadable::Denied {
            kind: "directory",
            path: "/etc/letsencrypt/archive".into(),
            owner: 0,
            group: 0,
            mode: 0o700,
            uid: 990,
            gid: 991,
        };
        assert_eq!(
            denied.to_string(),
            "directory /etc/letsencrypt/archive (owner 0:0, mode 0700) is closed to this process \
             (user 990, group 991)"
        );
    }
}
