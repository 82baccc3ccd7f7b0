//! The application behind every proxy: one thread that answers each whole message with its copy,
//! a Ping with a Pong, and a Close with the same Close and the end of the connection. It stands in
//! for any real one, so it is made as cheap as can be: one receive and one send per wake-up.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use slab::Slab;

use crate::websocket::{client_frame, put_header, unmask};

/// What one receive may bring. Larger than any burst of the benchmark.
const RECEIVE: usize = 1 << 18;
/// Tokens from here on are listeners, below are connections.
const LISTENERS: u64 = 1 << 32;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Ports on 127.0.0.1 to serve
    #[arg(long = "port", required = true)]
    ports: Vec<u16>,
}

struct Connection {
    stream: TcpStream,
    upgraded: bool,
    /// Received, but not a whole message yet. Without capacity while idle.
    partial: Vec<u8>,
    /// Answered, but not taken by the kernel yet.
    outgoing: Vec<u8>,
}

enum Next {
    Stay,
    Close,
}

/// Serves until it is killed.
pub(crate) fn serve(options: &Options) -> Result<()> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut listeners = Vec::new();
    for (token, &port) in (LISTENERS..).zip(&options.ports) {
        let listener =
            listen(port).with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        epoll::add(&poll, &listener, EventData::new_u64(token), EventFlags::IN)?;
        listeners.push(listener);
    }

    let mut connections: Slab<Connection> = Slab::new();
    let mut buffer = vec![0; RECEIVE];
    let mut answers = Vec::with_capacity(RECEIVE);
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    loop {
        wait(&poll, &mut events)?;
        for event in events.drain(..) {
            let (token, flags) = (event.data.u64(), event.flags);
            if let Some(at) = token.checked_sub(LISTENERS) {
                accept(&poll, &listeners[at as usize], &mut connections)?;
                continue;
            }
            let Some(connection) = connections.get_mut(token as usize) else {
                continue;
            };
            let next = if flags.contains(EventFlags::OUT) {
                connection.flush(&poll, token)
            } else {
                connection.answer(&poll, token, &mut buffer, &mut answers)
            };
            // A peer that resets its connection is ordinary; the load generator reports losses.
            if !matches!(next, Ok(Next::Stay)) {
                connections.remove(token as usize);
            }
        }
    }
}

/// Waits for events for as long as it takes.
fn wait(poll: &OwnedFd, events: &mut Vec<Event>) -> Result<()> {
    match epoll::wait(poll, rustix::buffer::spare_capacity(events), None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).context("cannot wait for events"),
    }
}

fn listen(port: u16) -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    net::listen(&socket, 4096)?;
    Ok(socket)
}

fn accept(poll: &OwnedFd, listener: &OwnedFd, connections: &mut Slab<Connection>) -> Result<()> {
    while let Ok(socket) = net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
    {
        net::sockopt::set_tcp_nodelay(&socket, true)?;
        let entry = connections.vacant_entry();
        epoll::add(
            poll,
            &socket,
            EventData::new_u64(entry.key() as u64),
            EventFlags::IN,
        )?;
        entry.insert(Connection {
            stream: TcpStream::from(socket),
            upgraded: false,
            partial: Vec::new(),
            outgoing: Vec::new(),
        });
    }
    Ok(())
}

impl Connection {
    /// Takes what has come and answers all that is whole.
    fn answer(
        &mut self,
        poll: &OwnedFd,
        token: u64,
        buffer: &mut [u8],
        answers: &mut Vec<u8>,
    ) -> Result<Next> {
        let kept = self.partial.len();
        if kept >= buffer.len() / 2 {
            // A message larger than the buffer is collected on the side.
            return self.answer_large(poll, token, answers);
        }
        buffer[..kept].copy_from_slice(&self.partial);
        let received = match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(Next::Close),
            Ok(received) => kept + received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Next::Stay),
            Err(error) => return Err(error.into()),
        };
        answers.clear();
        let (used, next) = self.respond(&mut buffer[..received], answers)?;
        if used == received {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(&buffer[used..received]);
        }
        self.send(poll, token, answers)?;
        Ok(next)
    }

    /// As [`answer`](Self::answer), for what does not fit the shared buffer.
    fn answer_large(&mut self, poll: &OwnedFd, token: u64, answers: &mut Vec<u8>) -> Result<Next> {
        let kept = self.partial.len();
        self.partial.resize(kept + RECEIVE, 0);
        let received = match self.stream.read(&mut self.partial[kept..]) {
            Ok(0) => return Ok(Next::Close),
            Ok(received) => kept + received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => kept,
            Err(error) => return Err(error.into()),
        };
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.truncate(received);
        answers.clear();
        let (used, next) = self.respond(&mut bytes, answers)?;
        bytes.drain(..used);
        self.partial = bytes;
        self.send(poll, token, answers)?;
        Ok(next)
    }

    /// Puts the answers to everything whole into `answers`; returns how many bytes that used up.
    fn respond(&mut self, bytes: &mut [u8], answers: &mut Vec<u8>) -> Result<(usize, Next)> {
        if !self.upgraded {
            let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
                return Ok((0, Next::Stay));
            };
            upgrade(&bytes[..end + 2], answers)?;
            self.upgraded = true;
            return Ok((end + 4, Next::Stay));
        }
        let mut used = 0;
        while let Some(frame) = client_frame(&bytes[used..])? {
            let opcode = frame.first_byte & 0x0f;
            let first_byte = if opcode == 9 { 0x8a } else { frame.first_byte };
            if opcode != 10 {
                put_header(answers, first_byte, frame.payload.len(), 0);
                let start = answers.len();
                answers.extend_from_slice(&bytes[used..][frame.payload.clone()]);
                unmask(&mut answers[start..], frame.mask);
            }
            used += frame.payload.end;
            if opcode == 8 {
                return Ok((used, Next::Close));
            }
        }
        Ok((used, Next::Stay))
    }

    /// Writes at once what the kernel takes, and the rest when it asks for it.
    fn send(&mut self, poll: &OwnedFd, token: u64, answers: &[u8]) -> Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        if !self.outgoing.is_empty() {
            self.outgoing.extend_from_slice(answers);
            return Ok(());
        }
        let written = match self.stream.write(answers) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        if written < answers.len() {
            self.outgoing.extend_from_slice(&answers[written..]);
            let both = EventFlags::IN | EventFlags::OUT;
            epoll::modify(poll, &self.stream, EventData::new_u64(token), both)?;
        }
        Ok(())
    }

    fn flush(&mut self, poll: &OwnedFd, token: u64) -> Result<Next> {
        match self.stream.write(&self.outgoing) {
            Ok(written) => drop(self.outgoing.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if self.outgoing.is_empty() {
            self.outgoing = Vec::new();
            epoll::modify(
                poll,
                &self.stream,
                EventData::new_u64(token),
                EventFlags::IN,
            )?;
        }
        Ok(Next::Stay)
    }
}

/// Answers the opening handshake (RFC 6455 §4.2.2).
fn upgrade(request: &[u8], answers: &mut Vec<u8>) -> Result<()> {
    let request = std::str::from_utf8(request).context("the request is not text")?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    });
    let Some(key) = key else {
        bail!("the request has no Sec-WebSocket-Key")
    };
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    write!(
        answers,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    Ok(())
}
