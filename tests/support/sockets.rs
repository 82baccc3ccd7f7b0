//! Listening sockets as systemd holds them for a service: bound before it starts, kept while it is
//! down, and handed to each process that starts (sd_listen_fds(3)).

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};

/// The accept queue that systemd asks for.
const BACKLOG: i32 = 4096;

/// The first descriptor that systemd passes (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// Named listening sockets. They stay open until this is dropped, whatever becomes of the daemon:
/// drop it in a test that asks whether the daemon keeps them open by itself.
#[derive(Default)]
pub(crate) struct Sockets {
    named: Vec<(String, OwnedFd)>,
}

impl Sockets {
    /// No sockets yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Binds a free port on 127.0.0.1.
    pub(crate) fn tcp(&mut self, name: &str) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        self.add(name, listener.into());
        address
    }

    /// Binds a Unix socket.
    pub(crate) fn unix(&mut self, name: &str, path: &Path) {
        self.add(
            name,
            UnixListener::bind(path)
                .expect("bind the Unix socket")
                .into(),
        );
    }

    /// Takes over a bound socket, under the name that `FileDescriptorName=` would give it.
    pub(crate) fn add(&mut self, name: &str, socket: OwnedFd) {
        rustix::net::listen(&socket, BACKLOG).expect("listen with systemd's accept queue");
        self.named.push((name.to_owned(), socket));
    }

    /// A command that runs the program with these sockets as descriptors 3, 4, … and the variables
    /// that describe them.
    ///
    /// `LISTEN_PID` is the pid of a process that does not exist yet, so a shell sets it and then
    /// becomes the program. The descriptors go to this one child: a flag cleared in this process
    /// would leak them into every child that another test starts at the same time.
    pub(crate) fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@""#])
            .arg(program);
        let names: Vec<&str> = self.named.iter().map(|(name, _)| name.as_str()).collect();
        command
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"));
        let copies = self
            .named
            .iter()
            .zip(FIRST..)
            .map(|((_, socket), child_fd)| FdMapping {
                parent_fd: socket
                    .as_fd()
                    .try_clone_to_owned()
                    .expect("copy a listening socket"),
                child_fd,
            });
        command
            .fd_mappings(copies.collect())
            .expect("the descriptors are counted up from 3");
        command
    }
}
