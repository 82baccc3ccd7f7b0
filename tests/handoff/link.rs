//! The line between a test and a process that it started. The process says what it has come to,
//! waits to be told to go on, and exits when the test is over, however that came.

use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::LONG;

/// Where a process that the test is going to start will call in.
pub(crate) struct Switchboard {
    pub(crate) name: String,
    listener: tokio::net::UnixListener,
}

impl Switchboard {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("batond-handoff-{}-{count}", std::process::id());
        let listener = UnixListener::bind_addr(&address(&name)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        Self { name, listener }
    }

    pub(crate) async fn call(&self) -> Call {
        let (stream, _) = timeout(LONG, self.listener.accept())
            .await
            .unwrap()
            .unwrap();
        let (reader, writer) = stream.into_split();
        Call {
            lines: tokio::io::BufReader::new(reader).lines(),
            writer,
        }
    }
}

/// The test's end of the line.
pub(crate) struct Call {
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::net::unix::OwnedReadHalf>>,
    writer: tokio::net::unix::OwnedWriteHalf,
}

impl Call {
    /// The next line; none when the process has ended.
    pub(crate) async fn line(&mut self) -> Option<String> {
        // A process that was killed with something unread resets the line.
        timeout(LONG, self.lines.next_line())
            .await
            .unwrap()
            .ok()
            .flatten()
    }

    /// Waits for the line that begins with this word, and returns the rest of it.
    pub(crate) async fn heard(&mut self, word: &str) -> String {
        loop {
            let line = self
                .line()
                .await
                .unwrap_or_else(|| panic!("it ended without {word:?}"));
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim_start().to_owned();
            }
        }
    }

    pub(crate) async fn go_on(&mut self) {
        self.writer.write_all(b"go on\n").await.unwrap();
    }

    /// Waits for the process to end.
    pub(crate) async fn ended(&mut self) {
        while self.line().await.is_some() {}
    }
}

/// The process's end of the line.
pub(crate) struct Link {
    stream: Mutex<UnixStream>,
    /// A byte for each time that the test said to go on.
    told: PipeReader,
}

impl Link {
    pub(crate) fn to(name: &str) -> &'static Self {
        let stream = UnixStream::connect_addr(&address(name)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let (told, mut teller) = std::io::pipe().unwrap();
        std::thread::spawn(move || {
            for _ in lines.map_while(Result::ok) {
                teller.write_all(b".").unwrap();
            }
            std::process::exit(0);
        });
        Box::leak(Box::new(Self {
            stream: Mutex::new(stream),
            told,
        }))
    }

    pub(crate) fn say(&self, line: &str) {
        if writeln!(self.stream.lock().unwrap(), "{line}").is_err() {
            // The test is over.
            std::process::exit(0);
        }
    }

    /// Says what it has come to, and waits to be told to go on.
    pub(crate) fn pause(&self, line: &str) {
        self.say(line);
        (&self.told).read_exact(&mut [0]).unwrap();
    }

    /// Readable as soon as the test has said to go on.
    pub(crate) fn told(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).unwrap()
}
