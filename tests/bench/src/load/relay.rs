//! Messages in a closed loop: each client keeps `depth` messages under way and sends the next when
//! an echo has come back. One thread, one receive and one send per wake-up of a client.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll::{CreateFlags, Event, EventData, EventFlags};
use rustix::event::{Timespec, epoll};

use super::connect::{Socket, Target};
use super::latency::Latencies;
use super::record::{FRAGMENT, Records};
use super::{Outcome, Round, Until};
use crate::websocket::{BINARY, Echoes, masked, unmasked};

/// What one receive may bring, and room for what the one before left over.
const RECEIVE: usize = 1 << 18;
/// How long the slowest echo may take before the round is given up.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// Connections that are being opened at a time.
const OPENING: usize = 8;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many clients to connect
    #[arg(long)]
    clients: usize,
    /// How many messages each keeps under way
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Bytes of payload in a message
    #[arg(long, default_value_t = 64)]
    size: usize,
}

/// The bytes that go out and must come back.
struct Script {
    depth: usize,
    /// `depth` frames, one after the other.
    frames: Vec<u8>,
    frame: usize,
    echo: Vec<u8>,
}

pub(super) struct Client {
    pub(super) stream: TcpStream,
    /// None: plain TCP.
    pub(super) records: Option<Records>,
    echoes: Echoes,
    /// The beginning of a record whose rest has not come yet.
    pub(super) partial: Vec<u8>,
    /// What the kernel did not take yet.
    outgoing: Vec<u8>,
    /// When the messages under way were sent.
    sent: VecDeque<Instant>,
    /// The Close frame that the proxy sent of its own accord, or what has come of it.
    pub(super) farewell: Vec<u8>,
}

pub(crate) struct Relay {
    poll: OwnedFd,
    pub(super) clients: Vec<Client>,
    /// Whose turn it is, where clients take turns. Goes on from round to round.
    turn: usize,
    script: Script,
    /// Shared by all clients: what is received, and what is sealed.
    pub(super) received: Vec<u8>,
    sealed: Vec<u8>,
    latencies: Latencies,
}

impl Relay {
    pub(crate) fn connect(target: &Target, options: &Options) -> Result<Self> {
        let payload: Vec<u8> = (0..options.size).map(|at| (at * 31 % 253) as u8).collect();
        let frame = masked(BINARY, &payload);
        let script = Script {
            depth: options.depth,
            frames: frame.repeat(options.depth),
            frame: frame.len(),
            echo: unmasked(BINARY, &payload),
        };
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let clients = open_all(target, options.clients)?;
        for (token, client) in (0..).zip(&clients) {
            client.stream.set_nonblocking(true)?;
            epoll::add(
                &poll,
                &client.stream,
                EventData::new_u64(token),
                EventFlags::IN,
            )?;
        }
        Ok(Self {
            poll,
            clients,
            turn: 0,
            script,
            received: vec![0; RECEIVE],
            sealed: Vec::with_capacity(RECEIVE),
            latencies: Latencies::default(),
        })
    }

    pub(crate) fn round(&mut self, round: Round) -> Result<Outcome> {
        ensure!(
            round.active <= self.clients.len(),
            "there are only {} clients",
            self.clients.len()
        );
        let (deadline, limit) = match round.until {
            Until::Seconds(seconds) => (Duration::from_secs_f64(seconds), u64::MAX),
            Until::Units(units) => (Duration::MAX, units),
            Until::Told => return self.await_closes(),
        };
        self.latencies.clear();
        let start = Instant::now();
        let mut begun = 0;
        let mut completed = 0;
        for position in 0..round.active {
            let at = if round.rotate {
                self.next_in_turn()
            } else {
                position
            };
            let count = (self.script.depth as u64).min(limit - begun);
            self.clients[at].send(
                &self.poll,
                at,
                count as usize,
                &self.script,
                &mut self.sealed,
                start,
            )?;
            begun += count;
        }
        let mut last = start;
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        while completed < begun {
            self.wait(&mut events, begun - completed)?;
            for event in events.drain(..) {
                let (at, flags) = (event.data.u64() as usize, event.flags);
                if flags.contains(EventFlags::OUT) {
                    self.clients[at].flush(&self.poll, at)?;
                }
                if !flags.contains(EventFlags::IN) {
                    continue;
                }
                let (count, now) = self.receive(at)?;
                completed += count as u64;
                last = now;
                if count == 0 || now - start >= deadline {
                    continue;
                }
                let count = (count as u64).min(limit - begun);
                let sender = if round.rotate {
                    self.next_in_turn()
                } else {
                    at
                };
                self.clients[sender].send(
                    &self.poll,
                    sender,
                    count as usize,
                    &self.script,
                    &mut self.sealed,
                    now,
                )?;
                begun += count;
            }
        }
        Ok(Outcome {
            units: completed,
            seconds: (last - start).as_secs_f64(),
            p50_us: self.latencies.quantile_us(0.5),
            p99_us: self.latencies.quantile_us(0.99),
            ..Outcome::default()
        })
    }

    fn next_in_turn(&mut self) -> usize {
        let at = self.turn;
        self.turn = (at + 1) % self.clients.len();
        at
    }

    pub(super) fn wait(&self, events: &mut Vec<Event>, missing: u64) -> Result<()> {
        let spare = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.poll, spare, Some(&PATIENCE)) {
            Ok(0) => bail!("no echo for {} s, {missing} are missing", PATIENCE.tv_sec),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for events"),
        }
    }

    /// Receives once from a client; returns how many echoes that completed, and when.
    fn receive(&mut self, at: usize) -> Result<(usize, Instant)> {
        let completed = self.clients[at].receive(&mut self.received, &self.script.echo)?;
        let now = Instant::now();
        for _ in 0..completed {
            let Some(sent) = self.clients[at].sent.pop_front() else {
                bail!("an echo came that nobody had asked for");
            };
            self.latencies.record(now - sent);
        }
        Ok((completed, now))
    }
}

impl Client {
    fn receive(&mut self, buffer: &mut [u8], echo: &[u8]) -> Result<usize> {
        let kept = self.partial.len();
        buffer[..kept].copy_from_slice(&self.partial);
        let end = match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => bail!("the proxy closed a connection"),
            Ok(received) => kept + received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error).context("cannot receive"),
        };
        let Some(records) = &mut self.records else {
            return self.echoes.take(&buffer[..end], echo);
        };
        let mut completed = 0;
        let mut at = 0;
        while let Some((length, data)) = records.open(&mut buffer[at..end])? {
            completed += self.echoes.take(data, echo)?;
            at += length;
        }
        self.partial.clear();
        self.partial.extend_from_slice(&buffer[at..end]);
        Ok(completed)
    }

    /// Sends `count` messages, in as few records as they fit, with one write.
    fn send(
        &mut self,
        poll: &OwnedFd,
        token: usize,
        count: usize,
        script: &Script,
        sealed: &mut Vec<u8>,
        now: Instant,
    ) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.sent.extend(std::iter::repeat_n(now, count));
        let data = &script.frames[..count * script.frame];
        let bytes = match &mut self.records {
            None => data,
            Some(records) => {
                sealed.clear();
                for fragment in data.chunks(FRAGMENT) {
                    records.seal(fragment, sealed)?;
                }
                sealed
            }
        };
        if !self.outgoing.is_empty() {
            self.outgoing.extend_from_slice(bytes);
            return Ok(());
        }
        let written = match self.stream.write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error).context("cannot send"),
        };
        if written < bytes.len() {
            self.outgoing.extend_from_slice(&bytes[written..]);
            let both = EventFlags::IN | EventFlags::OUT;
            epoll::modify(poll, &self.stream, EventData::new_u64(token as u64), both)?;
        }
        Ok(())
    }

    fn flush(&mut self, poll: &OwnedFd, token: usize) -> Result<()> {
        match self.stream.write(&self.outgoing) {
            Ok(written) => drop(self.outgoing.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("cannot send"),
        }
        if self.outgoing.is_empty() {
            epoll::modify(
                poll,
                &self.stream,
                EventData::new_u64(token as u64),
                EventFlags::IN,
            )?;
        }
        Ok(())
    }
}

/// Opens all connections, a few at a time, each with a full handshake.
fn open_all(target: &Target, count: usize) -> Result<Vec<Client>> {
    let tls = target.tls(false)?;
    let remaining = Mutex::new(0..count);
    let take = || remaining.lock().ok()?.next();
    let opened = std::thread::scope(|scope| {
        let open_some = || {
            let mut clients = Vec::new();
            while let Some(at) = take() {
                let socket = Socket::open(target.address, tls.as_ref())
                    .with_context(|| format!("client {at} of {count}"))?;
                clients.push(Client::new(socket)?);
            }
            Ok::<_, anyhow::Error>(clients)
        };
        let threads: Vec<_> = (0..OPENING).map(|_| scope.spawn(open_some)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join())
            .collect::<Vec<_>>()
    });
    let mut clients = Vec::with_capacity(count);
    for some in opened {
        let Ok(some) = some else {
            bail!("a thread of the load generator panicked")
        };
        clients.extend(some?);
    }
    Ok(clients)
}

impl Client {
    /// Takes the connection over from rustls.
    fn new(socket: Socket) -> Result<Self> {
        let records = match socket.tls {
            Some(tls) => {
                ensure!(
                    !tls.wants_write(),
                    "the TLS library has something left to send"
                );
                Some(Records::new(tls.dangerous_extract_secrets()?)?)
            }
            None => None,
        };
        Ok(Self {
            stream: socket.stream,
            records,
            echoes: Echoes::default(),
            partial: Vec::new(),
            outgoing: Vec::new(),
            sent: VecDeque::new(),
            farewell: Vec::new(),
        })
    }
}
