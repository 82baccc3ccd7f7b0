//! The file of a Unix socket: what is there already, and who may remove it.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// A socket's file, known by its inode, so that a file which somebody else has put in its place
/// is never removed.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// The socket file at this path, if there is one.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok().filter(is_socket)?;
        Some(Self {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Removes it, if it is still the same file.
    pub(super) fn remove(self) {
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if !same {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            tracing::warn!("cannot remove the socket file {path}: {error}; the next start will");
        }
    }
}

/// Makes sure that nothing is at the path: removes a socket file on which nobody listens.
/// The inner error says in words what is there and must stay.
pub(super) fn clear(path: &Path) -> io::Result<Result<(), String>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(())),
        Err(error) => return Err(error),
        Ok(found) if !is_socket(&found) => {
            let what = "there is a file that is not a socket; move it away, or configure another \
                        path";
            return Ok(Err(what.to_owned()));
        }
        Ok(_) => {}
    }
    match connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path)?;
            Ok(Ok(()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ok(())),
        // EAGAIN: the queue of whoever listens is full. EPROTOTYPE: it is not a stream socket.
        Err(error)
            if error.kind() != ErrorKind::WouldBlock
                && error.raw_os_error() != Some(Errno::PROTOTYPE.raw_os_error()) =>
        {
            Ok(Err(format!(
                "cannot tell whether somebody listens on the socket there: {error}"
            )))
        }
        _ => Ok(Err(format!(
            "address in use (find who listens with `ss -lxp src {}`)",
            path.display()
        ))),
    }
}

/// One attempt to connect that never waits for a place in the queue, as std's would.
fn connect(path: &Path) -> io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(())
}

fn is_socket(found: &Metadata) -> bool {
    found.file_type().is_socket()
}
