//! A connection until it is a WebSocket: TLS handshake, then mostly an [opening](super::opening)
//! without hyper. For all else hyper speaks HTTP/1.1 on both sides; what becomes a WebSocket after
//! all is taken out of it at the 101 and goes to the relay.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, UPGRADE};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::acceptor::Door;
use super::ask::{Answered, ask};
use super::begun::Begun;
use super::counters::count;
use super::forward;
use super::greet::greet;
use super::listener::Cookie;
use super::opening::{First, Opened};
use super::route::Service;
use super::socket::Socket;
use super::upgrade;
use super::wire::Wire;
use super::worker::{Presence, Slot, Worker};

/// How long a drain lets a connection that has been answered wait for a request that may be on
/// its way.
const KEEP_ALIVE_GRACE: Duration = Duration::from_secs(1);

/// How long a drain waits for the first request of a connection that was accepted before.
const NEWCOMER_GRACE: Duration = Duration::from_secs(2);

/// After how long a client that was refused may try again, in seconds.
const RETRY_SECONDS: &str = "2";

pub(super) type Body = Either<Incoming, Full<Bytes>>;

/// What the requests of one connection have in common.
pub(super) struct Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) door: Rc<Door>,
    pub(super) peer: Option<IpAddr>,
    /// The listening socket that it came through.
    pub(super) socket: Cookie,
    /// Counts it among the clients; None: there were too many already, so it gets a 503.
    pub(super) slot: RefCell<Option<Slot>>,
    pub(super) presence: RefCell<Option<Presence>>,
    /// When it was accepted, until its first request is here.
    pub(super) accepted: Cell<Option<Instant>>,
    pub(super) admitted: bool,
    /// Counts it among the handshakes until its first request is here.
    permit: RefCell<Option<OwnedSemaphorePermit>>,
    /// A request has come.
    asked: Cell<bool>,
    /// One is waiting for its answer, or the first is on its way.
    pub(super) asking: Cell<bool>,
    answered: Notify,
}

impl Connection {
    pub(super) fn new(
        worker: Rc<Worker>,
        door: Rc<Door>,
        peer: Option<IpAddr>,
        socket: Cookie,
        permit: OwnedSemaphorePermit,
    ) -> Rc<Self> {
        let slot = worker.admit();
        let presence = worker.enter();
        Rc::new(Self {
            worker,
            door,
            peer,
            socket,
            admitted: slot.is_some(),
            slot: RefCell::new(slot),
            presence: RefCell::new(Some(presence)),
            accepted: Cell::new(Some(Instant::now())),
            permit: RefCell::new(Some(permit)),
            asked: Cell::new(false),
            asking: Cell::new(false),
            answered: Notify::new(),
        })
    }

    /// Serves the connection until it ends.
    pub(super) async fn serve(self: Rc<Self>, socket: Socket) {
        let limits = self.worker.shared.limits.load_full();
        let deadline = Instant::now() + limits.handshake_timeout;
        let Some(mut wire) = greet(&self, socket, deadline).await else {
            return;
        };
        let first = tokio::select! {
            biased;
            first = timeout_at(deadline, self.first(&mut wire)) => first,
            () = self.dismissed() => return upgrade::linger(wire).await,
        };
        let Ok(first) = first else {
            count(&self.worker.shared.counters.handshake_timeouts);
            return;
        };
        let mut begun = None;
        if let First::WebSocket(asked) = first {
            self.asked.set(true);
            self.permit.take();
            match self.open(wire, asked).await {
                Opened::WebSocket => return,
                Opened::Gone(wire) => return upgrade::linger(wire).await,
                Opened::Http(client, so_far) => {
                    wire = client;
                    begun = Some(so_far);
                }
            }
        }
        // Boxed, since most connections do not need the room.
        Box::pin(self.http(wire, begun, deadline)).await;
    }

    /// Serves HTTP until the connection ends or becomes a WebSocket after all.
    async fn http(self: &Rc<Self>, wire: Wire, begun: Option<Begun<'_>>, deadline: Instant) {
        let limits = self.worker.shared.limits.load_full();
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.handshake_timeout)
            .max_buf_size(limits.header_bytes)
            .max_header_size(limits.header_bytes)
            .preserve_header_case(true)
            .auto_date_header(false)
            .half_close(false);
        // It is about the first request.
        let begun = RefCell::new(begun);
        let service = service_fn(|request| {
            let begun = begun.take();
            async { Ok::<_, Infallible>(self.answer(request, begun).await) }
        });
        let mut http = builder
            .serve_connection(TokioIo::new(wire), service)
            .with_upgrades();
        let result = tokio::select! {
            biased;
            result = &mut http => result,
            () = self.overdue(deadline) => {
                count(&self.worker.shared.counters.handshake_timeouts);
                return;
            }
            () = self.dismissed() => {
                std::pin::Pin::new(&mut http).graceful_shutdown();
                (&mut http).await
            }
        };
        if let Err(error) = result {
            tracing::debug!(
                baton_listener = self.door.name,
                "HTTP connection ended: {error}"
            );
            self.count_limit(&error);
            // An answer such as 431 may be on its way, and there may be more to read.
            if let Some(parts) = http.into_parts() {
                upgrade::linger(parts.io.into_inner()).await;
            }
        }
    }

    /// What hyper ends a connection for may be a limit of ours.
    fn count_limit(&self, error: &hyper::Error) {
        let counters = &self.worker.shared.counters;
        if error.is_parse_too_large() {
            count(&counters.headers_too_large);
        } else if is_stalled(error) {
            count(&counters.stalled);
        } else if error.is_timeout() && !self.asked.get() {
            // Afterwards it is a connection that was kept for another request and got none.
            count(&counters.handshake_timeouts);
        }
    }

    /// Resolves at the deadline if no request has come by then.
    async fn overdue(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
        if self.asked.get() {
            std::future::pending().await
        }
    }

    /// Resolves when a drain wants the connection to end. Whoever may have a request on
    /// its way is waited for, and answered. hyper is not asked to end the connection before: it
    /// would say `Connection: close` in a 101.
    pub(super) async fn dismissed(&self) {
        self.worker.farewell_begins(self.socket).await;
        let grace = if self.asked.get() {
            KEEP_ALIVE_GRACE
        } else {
            NEWCOMER_GRACE
        };
        tokio::time::sleep(grace).await;
        while self.asking.get() {
            self.answered.notified().await;
        }
    }

    async fn answer(
        self: &Rc<Self>,
        mut request: Request<Incoming>,
        begun: Option<Begun<'_>>,
    ) -> Response<Body> {
        self.asked.set(true);
        self.asking.set(true);
        self.permit.take();
        let asks = request.headers().contains_key(UPGRADE);
        let mut client = asks.then(|| hyper::upgrade::on(&mut request));
        let mut response = if self.admitted {
            self.forward(request, &mut client, begun).await
        } else {
            count(&self.worker.shared.counters.refused);
            let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "too many clients");
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
            response
        };
        if self.worker.bids_farewell(self.socket)
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(refused) = client {
            tokio::task::spawn_local(upgrade::end(Rc::clone(self), refused));
        }
        self.asking.set(false);
        self.answered.notify_waiters();
        response
    }

    /// Takes `client` if the connection becomes a WebSocket.
    async fn forward(
        self: &Rc<Self>,
        mut request: Request<Incoming>,
        client: &mut Option<OnUpgrade>,
        begun: Option<Begun<'_>>,
    ) -> Response<Body> {
        if let Err(what) = forward::settle_host(&mut request) {
            return refusal(StatusCode::BAD_REQUEST, what);
        }
        let host = request.headers().get(HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or("");
        let Some(service) = self.route(host, request.uri().path()) else {
            return refusal(
                StatusCode::NOT_FOUND,
                "no service answers to this host and path",
            );
        };
        let upgrade =
            request.version() == Version::HTTP_11 && forward::asks_for_websocket(request.headers());
        if upgrade && !request.body().is_end_stream() {
            // Many backends take what follows the header for frames, whatever it says of a body.
            return refusal(StatusCode::BAD_REQUEST, "an upgrade cannot have a body");
        }
        // A host that is full shows first in what clients wait for their handshake.
        let came = match &begun {
            Some(begun) => begun.came,
            None => self.accepted.take().unwrap_or_else(Instant::now),
        };
        if !upgrade {
            count(&self.worker.shared.counters.requests);
        } else if begun.is_none() {
            service.tally().arrived();
        }
        let answered = ask(self, service, request, upgrade, begun).await;
        let Answered {
            service,
            mut response,
            exchange,
            occupied,
            held,
        } = match answered {
            Ok(answered) => answered,
            Err(refused) => return *refused,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let switched = upgrade && forward::asks_for_websocket(response.headers());
            let Some(client) = switched.then(|| client.take()).flatten() else {
                return refusal(
                    StatusCode::BAD_GATEWAY,
                    "the backend switched to a protocol that was not asked for",
                );
            };
            let took = came.elapsed().saturating_sub(held);
            service.tally().upgraded(took);
            return upgrade::switch(self, service, occupied, client, exchange, response);
        }
        exchange.go_on();
        forward::remove_hop_by_hop(response.headers_mut());
        response.map(Either::Left)
    }

    pub(super) fn route(&self, host: &str, path: &str) -> Option<Arc<Service>> {
        let routes = self.worker.routes(self.socket);
        routes.find(&self.door.name, host, path).cloned()
    }
}

/// The kernel has given up on a client that takes nothing (`limits.stall_timeout`).
fn is_stalled(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    cause.is_some_and(|cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut)
}

/// An answer of our own: a status and a line of text.
pub(super) fn refusal(status: StatusCode, what: &str) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(format!("{what}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if status.is_server_error() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    }
    response
}
