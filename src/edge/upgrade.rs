//! The moment at which a connection stops being HTTP, and a relay gets both sockets. Where hyper has
//! them they are taken out of it, with what it has read beyond the header.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::SEC_WEBSOCKET_EXTENSIONS;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::ask::Exchange;
use super::backend::Occupied;
use super::clients::Client;
use super::counters::count;
use super::forward;
use super::http::{Body, Connection};
use super::relay::Relay;
use super::route::Service;
use super::wire::Wire;
use super::worker::{Presence, Slot, Worker};

/// How long a client may take to end its side of a connection whose last word was ours.
const LINGER: Duration = Duration::from_secs(2);

/// Answers the client with the backend's 101, and starts the relay once that is on its way.
pub(super) fn switch(
    connection: &Rc<Connection>,
    service: Arc<Service>,
    occupied: Occupied,
    client: OnUpgrade,
    backend: Exchange,
    mut response: Response<Incoming>,
) -> Response<Body> {
    let extensions = response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS);
    forward::remove_hop_by_hop(response.headers_mut());
    forward::set_websocket_upgrade(response.headers_mut());

    let member = Member::new(connection, service, occupied);
    tokio::task::spawn_local(async move {
        if let Some((client, backend)) = take_out(client, backend).await {
            member.relay(client, backend, extensions).await;
        }
    });

    let mut answer = Response::new(Either::Right(Full::default()));
    *answer.status_mut() = response.status();
    // The spelling of the backend's field names goes along as an extension.
    std::mem::swap(answer.extensions_mut(), response.extensions_mut());
    std::mem::swap(answer.headers_mut(), response.headers_mut());
    answer
}

/// A client that becomes a WebSocket, counted until it is dropped.
pub(super) struct Member {
    worker: Rc<Worker>,
    entry: Rc<Client>,
    _counted: (Option<Slot>, Option<Presence>, Occupied),
}

impl Member {
    pub(super) fn new(connection: &Connection, service: Arc<Service>, occupied: Occupied) -> Self {
        let worker = Rc::clone(&connection.worker);
        let entry = Rc::new(Client::new(
            connection.peer,
            connection.socket,
            service,
            Arc::clone(occupied.backend()),
            &worker,
        ));
        let (slot, presence) = (connection.slot.take(), connection.presence.take());
        Self {
            worker,
            entry,
            _counted: (slot, presence, occupied),
        }
    }

    /// Passes bytes until both connections have ended. `extensions`: the 101 carried
    /// Sec-WebSocket-Extensions.
    pub(super) fn relay(self, client: Wire, backend: Wire, extensions: bool) -> Relayed {
        count(&self.worker.shared.counters.upgraded);
        Relayed {
            key: self.worker.joined(&self.entry),
            relay: Relay::new(client, backend, extensions, Rc::clone(&self.entry)),
            member: self,
        }
    }
}

/// A client's relay, and who has to know when it has ended. Not an async function: in a crowd of
/// idle clients this is most of what each holds, and that would hold the relay twice.
pub(super) struct Relayed {
    member: Member,
    key: usize,
    relay: Relay,
}

impl Future for Relayed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { member, key, relay } = self.get_mut();
        let ending = ready!(Pin::new(relay).poll(cx));
        member.worker.left(*key, &member.entry, &ending);
        Poll::Ready(())
    }
}

/// Ends a connection in order that asked for an upgrade and got none: hyper just lets go of it,
/// without close_notify, and with a reset if the client had sent more.
pub(super) async fn end(connection: Rc<Connection>, refused: OnUpgrade) {
    // The error: the connection has ended already, or another request came on it.
    if let Some(wire) = refused.await.ok().and_then(wire) {
        linger(wire).await;
    }
    drop(connection);
}

/// Ends our direction, and reads the other to its end: what is left unread would reset the
/// connection, and destroy what was written last.
pub(super) async fn linger(mut wire: Wire) {
    let ending = async {
        wire.shutdown().await?;
        tokio::io::copy(&mut wire, &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER, ending).await;
}

/// None: the client or the backend was gone between the 101 and the first frame.
async fn take_out(client: OnUpgrade, backend: Exchange) -> Option<(Wire, Wire)> {
    let (client, backend) = tokio::join!(client, backend.into_wire());
    match client {
        Ok(client) => Some((wire(client)?, backend?)),
        Err(error) => {
            tracing::debug!("a connection ended at its upgrade: {error}");
            None
        }
    }
}

fn wire(upgraded: Upgraded) -> Option<Wire> {
    let parts = upgraded.downcast::<TokioIo<Wire>>().ok()?;
    let mut wire = parts.io.into_inner();
    wire.unread(&parts.read_buf);
    Some(wire)
}
