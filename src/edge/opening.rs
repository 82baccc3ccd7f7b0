//! The opening handshake of a WebSocket (RFC 6455 §4), for those who ask for one with the first
//! words of a connection, as nearly all do. Both [headers](super::head) are read and passed on
//! here, without a map of fields and a task for each connection.
//!
//! What is not a request for a WebSocket, and what is not answered with one, is HTTP: hyper gets
//! the connection as if nothing had been read of it, and with it what was [begun](super::begun).

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

use super::ahead::Ahead;
use super::arrival::{Arrival, Reached};
use super::ask::{TRIES, UPGRADE_TIMEOUT, goes_on};
use super::begun::{Begun, Outcome, Sent};
use super::head::{Look, Request, is_worth_a_look};
use super::http::Connection;
use super::line::{Reply, Switch};
use super::route::Service;
use super::upgrade::Member;
use super::wire::Wire;

/// What a client has said first.
pub(super) enum First {
    WebSocket(Asked),
    /// hyper finds out what it is, or that nothing more comes.
    Http,
}

/// A request for a WebSocket that has a service.
pub(super) struct Asked {
    service: Arc<Service>,
    /// As the client sent it.
    original: Vec<u8>,
    /// As the backend gets it.
    request: Vec<u8>,
}

/// What has become of a request for a WebSocket.
pub(super) enum Opened<'a> {
    /// It has become one, whose relay runs.
    WebSocket,
    /// It is answered as HTTP.
    Http(Wire, Begun<'a>),
    /// The client is gone.
    Gone(Wire),
}

impl Connection {
    /// Reads what the client says first. Whatever has been read and has no use here is put back.
    pub(super) async fn first(&self, wire: &mut Wire) -> First {
        let mut bytes = Vec::new();
        let first = loop {
            let before = bytes.len();
            match poll_fn(|cx| wire.poll_receive_into(cx, &mut bytes)).await {
                Ok(n) if n > 0 => {}
                _ => break First::Http,
            }
            self.asking.set(true);
            let limit = self.worker.shared.limits.load().header_bytes;
            if !is_worth_a_look(&bytes, before, limit) {
                continue;
            }
            match Request::look(&bytes, limit) {
                Look::Partial => {}
                Look::Other => break First::Http,
                Look::Whole(request, length) => {
                    let Some((service, request)) = self.prepare(request) else {
                        break First::Http;
                    };
                    wire.unread(&bytes[length..]);
                    bytes.truncate(length);
                    return First::WebSocket(Asked {
                        service,
                        original: bytes,
                        request,
                    });
                }
            }
        };
        self.asking.set(false);
        wire.unread(&bytes);
        first
    }

    /// The service that is asked, and what it is to see. None: the answer is an error.
    fn prepare(&self, request: Request<'_>) -> Option<(Arc<Service>, Vec<u8>)> {
        if !self.admitted {
            return None;
        }
        let service = self.route(request.host(), request.path())?;
        let door = &self.door;
        let request = request.for_backend(self.peer, door.tls.is_some(), &door.trusted);
        Some((service, request))
    }

    /// Leads a client to a backend.
    pub(super) async fn open(&self, mut client: Wire, asked: Asked) -> Opened<'_> {
        // A host that is full shows first in what clients wait for their handshake.
        let came = self.accepted.take().unwrap_or_else(Instant::now);
        asked.service.tally().arrived();
        let leading = self.lead(asked.service, &asked.request);
        let led = tokio::select! {
            biased;
            led = leading => led,
            () = poll_fn(|cx| client.poll_gone(cx)) => return Opened::Gone(client),
        };
        let (reached, switch) = match led {
            Ok(led) => led,
            Err(outcome) => {
                client.unread(&asked.original);
                return Opened::Http(client, Begun { came, outcome });
            }
        };
        let sending = poll_fn(|cx| Poll::Ready(client.send_alone(cx, &switch.answer)));
        if sending.await.is_err() {
            return Opened::Gone(client);
        }
        let took = came.elapsed().saturating_sub(reached.held);
        reached.service.tally().upgraded(took);
        let member = Member::new(self, reached.service, reached.occupied);
        let backend = reached.line.into_wire();
        tokio::task::spawn_local(member.relay(client, backend, switch.extensions));
        Opened::WebSocket
    }

    /// Asks a backend, as soon as one takes the request; another, if it is dropped.
    async fn lead(
        &self,
        service: Arc<Service>,
        request: &[u8],
    ) -> Result<(Reached, Switch), Outcome<'_>> {
        let mut arrival = Arrival::new(self, service);
        let mut tried = 0;
        loop {
            tried += 1;
            let reached = arrival.reach(&mut Ahead::default()).await;
            let mut reached = reached.map_err(Outcome::Refused)?;
            let since = Instant::now();
            let asking = reached.line.ask(request);
            match timeout_at(since + UPGRADE_TIMEOUT, asking).await {
                Ok(Reply::Switch(switch)) => return Ok((reached, switch)),
                Ok(Reply::Silence) if tried < TRIES => {
                    goes_on(&reached.service, &"it ended the connection");
                    let dropped = arrival.dropped(reached.occupied);
                    dropped.map_err(Outcome::Refused)?;
                }
                _ => {
                    return Err(Outcome::Sent(Box::new(Sent {
                        arrival,
                        reached,
                        since,
                        tried,
                    })));
                }
            }
        }
    }
}
