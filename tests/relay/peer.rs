//! One end of a connection in a test's hands: it says what the test says, no more, and every wait
//! of it is bounded.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConnection, StreamOwned};

use crate::frame::Frame;
use crate::support::PATIENCE;

/// How long a socket that takes or gives nothing is watched before a test says that it does not.
/// A test that asks this is never wrong about a daemon that keeps its promise, however slow the
/// machine is.
pub(crate) const STILL: Duration = Duration::from_millis(500);

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A client or a backend.
pub(crate) struct Peer {
    stream: Stream,
    /// It plays the server: what it hears must be masked, and nothing else may be.
    is_backend: bool,
    ahead: Vec<u8>,
}

impl Peer {
    pub(crate) fn client(stream: Stream) -> Self {
        Self::new(stream, false)
    }

    pub(crate) fn backend(stream: Stream) -> Self {
        Self::new(stream, true)
    }

    fn new(stream: Stream, is_backend: bool) -> Self {
        let bounded = match &stream {
            Stream::Unix(socket) => bound(
                socket.set_read_timeout(Some(PATIENCE)),
                socket.set_write_timeout(Some(PATIENCE)),
            ),
            Stream::Tcp(socket) => bound_tcp(socket),
            Stream::Tls(session) => bound_tcp(&session.sock),
        };
        bounded.expect("bound the waits of a socket");
        Self {
            stream,
            is_backend,
            ahead: Vec::new(),
        }
    }

    /// The session, to ask what was negotiated.
    pub(crate) fn session(&self) -> &ClientConnection {
        match &self.stream {
            Stream::Tls(session) => &session.conn,
            _ => panic!("this connection has no TLS"),
        }
    }

    /// Has TLS go on with other keys, and the daemon's side too (RFC 8446 §4.6.3).
    #[allow(dead_code)]
    pub(crate) fn refresh_keys(&mut self) {
        match &mut self.stream {
            Stream::Tls(session) => session.conn.refresh_traffic_keys().expect("TLS 1.3"),
            _ => panic!("this connection has no TLS"),
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(socket) => socket,
            Stream::Tls(session) => &session.sock,
            Stream::Unix(_) => panic!("this connection is on a Unix socket"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket().local_addr().expect("a connected socket")
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.stream {
            Stream::Tcp(socket) => socket,
            Stream::Unix(socket) => socket,
            Stream::Tls(session) => session,
        }
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer().write_all(bytes)?;
        self.writer().flush()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("send to batond");
    }

    /// Sends frames as this side must: masked or not.
    pub(crate) fn say(&mut self, frames: &[Frame]) {
        let masked = !self.is_backend;
        let bytes: Vec<u8> = frames.iter().flat_map(|one| one.bytes(masked)).collect();
        self.send(bytes);
    }

    /// Ends this direction, with close_notify where there is TLS.
    pub(crate) fn end(&mut self) {
        if let Stream::Tls(session) = &mut self.stream {
            session.conn.send_close_notify();
            session.flush().expect("send close_notify");
        }
        let shut = match &self.stream {
            Stream::Unix(socket) => socket.shutdown(Shutdown::Write),
            _ => self.socket().shutdown(Shutdown::Write),
        };
        shut.expect("end this direction");
    }

    /// Goes without a word: the other end gets a reset.
    pub(crate) fn vanish(self) {
        let socket = socket2::SockRef::from(self.socket());
        socket
            .set_linger(Some(Duration::ZERO))
            .expect("have the close reset the connection");
    }

    /// Reads once more. False: the end, in order.
    pub(crate) fn try_fill(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; 64 * 1024];
        let stream: &mut dyn Read = match &mut self.stream {
            Stream::Tcp(socket) => socket,
            Stream::Unix(socket) => socket,
            Stream::Tls(session) => session,
        };
        let read = stream.read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..read]);
        Ok(read > 0)
    }

    fn fill(&mut self) -> bool {
        match self.try_fill() {
            Ok(more) => more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!(
                    "nothing came within {PATIENCE:?}; unread: {}",
                    self.unread()
                )
            }
            Err(error) => panic!("{error}; unread: {}", self.unread()),
        }
    }

    fn unread(&self) -> String {
        let shown = &self.ahead[..self.ahead.len().min(80)];
        format!(
            "{} bytes, {:?}",
            self.ahead.len(),
            String::from_utf8_lossy(shown)
        )
    }

    /// The next bytes, exactly as many.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            assert!(self.fill(), "the end came early; unread: {}", self.unread());
        }
        let rest = self.ahead.split_off(count);
        std::mem::replace(&mut self.ahead, rest)
    }

    /// Everything up to and with this mark.
    pub(crate) fn take_until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            let found = self.ahead.windows(mark.len()).position(|part| part == mark);
            if let Some(at) = found {
                return self.take(at + mark.len());
            }
            assert!(self.fill(), "the end came early; unread: {}", self.unread());
        }
    }

    /// What has been read and not been looked at.
    pub(crate) fn take_now(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ahead)
    }

    /// Everything up to the end, which must come in order.
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        while self.fill() {}
        self.take_now()
    }

    /// The next frame. None: the end, between two frames and in order.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, masked, size)) = Frame::decode(&self.ahead) {
                assert_eq!(masked, self.is_backend, "a client masks, a server does not");
                self.take(size);
                return Some(frame);
            }
            if !self.fill() {
                assert!(
                    self.ahead.is_empty(),
                    "ended inside a frame: {}",
                    self.unread()
                );
                return None;
            }
        }
    }

    /// The next frames must be these.
    pub(crate) fn hear(&mut self, frames: &[Frame]) {
        for expected in frames {
            assert_eq!(self.frame().as_ref(), Some(expected));
        }
    }

    /// The next frame must be a Close; its code.
    pub(crate) fn closed(&mut self) -> u16 {
        let frame = self.frame();
        let close = frame.as_ref().and_then(Frame::close_code);
        close.unwrap_or_else(|| panic!("{frame:?} is no Close")).0
    }

    /// Nothing more may come but the end, in order.
    pub(crate) fn ended(&mut self) {
        assert_eq!(self.frame(), None);
    }

    /// Sees whether anything comes within [`STILL`]: bytes, or the end.
    pub(crate) fn is_still(&self) -> bool {
        self.ahead.is_empty() && !is_ready(self.as_fd(), PollFlags::IN, STILL)
    }

    /// Sends copies of the bytes, `limit` in all at most, until nothing has been taken for
    /// [`STILL`]. How many bytes were taken.
    pub(crate) fn stuff(&mut self, bytes: &[u8], limit: usize) -> usize {
        self.socket().set_nonblocking(true).expect("do not wait");
        let mut taken = 0;
        while taken < limit {
            let rest = taken % bytes.len();
            let end = bytes.len().min(rest + limit - taken);
            match self.writer().write(&bytes[rest..end]) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !is_ready(self.as_fd(), PollFlags::OUT, STILL) {
                        break;
                    }
                }
                Err(error) => panic!("send to batond: {error}"),
            }
        }
        self.socket().set_nonblocking(false).expect("wait again");
        taken
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Unix(socket) => socket.as_fd(),
            _ => self.socket().as_fd(),
        }
    }
}

fn bound_tcp(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    bound(
        socket.set_read_timeout(Some(PATIENCE)),
        socket.set_write_timeout(Some(PATIENCE)),
    )
}

fn bound(read: io::Result<()>, write: io::Result<()>) -> io::Result<()> {
    read.and(write)
}

/// Whether the socket gets ready within this time.
pub(crate) fn is_ready(socket: BorrowedFd<'_>, flags: PollFlags, within: Duration) -> bool {
    let mut watched = [PollFd::new(&socket, flags)];
    let within = Timespec::try_from(within).expect("seconds");
    let ready = rustix::io::retry_on_intr(|| poll(&mut watched, Some(&within)));
    ready.expect("watch a socket") > 0
}
