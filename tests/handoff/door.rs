//! Accepting connections in a thread.

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, poll};

/// Answers every connection with a name, until `stop` is readable or closed at its other end.
pub(crate) fn answer(sockets: &[TcpListener], stop: BorrowedFd<'_>, name: &str) {
    sockets
        .iter()
        .for_each(|socket| socket.set_nonblocking(true).unwrap());
    loop {
        let mut fds = vec![PollFd::from_borrowed_fd(stop, PollFlags::IN)];
        fds.extend(
            sockets
                .iter()
                .map(|socket| PollFd::new(socket, PollFlags::IN)),
        );
        poll(&mut fds, None).unwrap();
        if !fds[0].revents().is_empty() {
            return;
        }
        for socket in sockets {
            match socket.accept() {
                Ok((mut client, _)) => client.write_all(name.as_bytes()).unwrap(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("accept: {error}"),
            }
        }
    }
}
