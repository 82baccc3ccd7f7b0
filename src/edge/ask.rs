//! Asking a backend: the request goes out on a connection of its own, and the header of the answer
//! comes back. A backend that goes away without a word is asked again, if the request allows it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::ahead::Ahead;
use super::arrival::{Arrival, Reached};
use super::backend::Occupied;
use super::begun::{Begun, Outcome, Sent};
use super::counters::count;
use super::forward;
use super::http::{Body, Connection, refusal};
use super::line::Line;
use super::route::Service;
use super::wire::Wire;

/// How long a backend may take from the request for a WebSocket to its answer.
pub(super) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(60);

/// The same for other requests, whose bodies may be long in coming, and whose answers may wait
/// for an event.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How many backends may drop one request. It may be the request that kills them, and systemd gives
/// up on a unit that it has to start more than five times in ten seconds (systemd.unit(5)).
pub(super) const TRIES: usize = 4;

/// The header of a backend's answer.
pub(super) struct Answered {
    pub(super) service: Arc<Service>,
    pub(super) response: Response<Incoming>,
    pub(super) exchange: Exchange,
    pub(super) occupied: Occupied,
    /// How long the request was held, and what was in vain.
    pub(super) held: Duration,
}

/// Sends the request to a backend and returns the header of its answer. Every request has a
/// connection of its own: a kept one may be closed by the backend just when a request is on its
/// way, and not every request can be sent twice. What has begun goes on.
///
/// # Errors
/// The answer for the client.
pub(super) async fn ask(
    connection: &Connection,
    service: Arc<Service>,
    request: Request<Incoming>,
    upgrade: bool,
    begun: Option<Begun<'_>>,
) -> Result<Answered, Box<Response<Body>>> {
    let refused = |status, what: &str| {
        count(&connection.worker.shared.counters.backend_failures);
        Box::new(refusal(status, what))
    };
    let away = |what: &str| refused(StatusCode::SERVICE_UNAVAILABLE, what);
    let patience = if upgrade {
        UPGRADE_TIMEOUT
    } else {
        ANSWER_TIMEOUT
    };
    let tries = if may_be_repeated(&request) { TRIES } else { 1 };
    let (head, body) = request.into_parts();
    let mut body = Ahead::new(body);
    let (mut arrival, mut tried, mut sent) = match begun.map(|begun| begun.outcome) {
        None => (Arrival::new(connection, service), 0, None),
        Some(Outcome::Refused(what)) => return Err(away(what)),
        Some(Outcome::Sent(sent)) => {
            let Sent {
                arrival,
                reached,
                since,
                tried,
            } = *sent;
            (arrival, tried - 1, Some((reached, since)))
        }
    };
    loop {
        let (reached, since) = match sent.take() {
            Some(sent) => sent,
            None => (
                arrival.reach(&mut body).await.map_err(away)?,
                Instant::now(),
            ),
        };
        let Reached {
            service,
            line,
            occupied,
            held,
        } = reached;
        // Who asks again has no body.
        let mut request = Request::from_parts(head.clone(), std::mem::take(&mut body));
        prepare(&mut request, connection, &occupied, upgrade);
        tried += 1;
        let (status, what, log) = match timeout_at(since + patience, exchange(line, request)).await
        {
            Ok(Ok((response, exchange))) => {
                return Ok(Answered {
                    service,
                    response,
                    exchange,
                    occupied,
                    held,
                });
            }
            Ok(Err(failure)) if failure.is_silent && tried < tries => {
                goes_on(&service, &failure.error);
                arrival.dropped(occupied).map_err(away)?;
                continue;
            }
            Ok(Err(failure)) if failure.error.is_user() => {
                // Of the request nothing but its body can be wrong by now.
                let what = "the body of the request is broken";
                return Err(Box::new(refusal(StatusCode::BAD_REQUEST, what)));
            }
            Ok(Err(failure)) => (
                StatusCode::BAD_GATEWAY,
                "the service did not answer as expected",
                format!("the backend did not answer: {}", failure.error),
            ),
            Err(_) => (
                StatusCode::GATEWAY_TIMEOUT,
                "the service did not answer in time",
                format!("the backend did not answer within {} s", patience.as_secs()),
            ),
        };
        tracing::warn!(
            baton_service = service.name,
            "service.{}: {log}",
            service.name
        );
        return Err(refused(status, what));
    }
}

/// Says that a request was dropped, and that another backend is asked.
pub(super) fn goes_on(service: &Service, why: &dyn std::fmt::Display) {
    let name = &service.name;
    tracing::debug!(
        baton_service = name,
        "service.{name}: the backend dropped a request, which goes on: {why}"
    );
}

/// A backend that has gone away without an answer may or may not have acted on the request: these
/// are safe all the same (RFC 9110 §9.2.2). A request for a WebSocket is among them
/// (RFC 6455 §4.1).
fn may_be_repeated(request: &Request<Incoming>) -> bool {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS];
    safe.contains(request.method()) && request.body().is_end_stream()
}

/// Makes it what the backend is to see.
fn prepare(
    request: &mut Request<Ahead>,
    connection: &Connection,
    backend: &Occupied,
    upgrade: bool,
) {
    let headers = request.headers_mut();
    forward::remove_hop_by_hop(headers);
    forward::set_host(headers, backend.host());
    let door = &connection.door;
    forward::set_forwarded(headers, connection.peer, door.tls.is_some(), &door.trusted);
    if upgrade {
        forward::set_websocket_upgrade(headers);
    }
    *request.uri_mut() = origin_form(request.uri());
    *request.version_mut() = Version::HTTP_11;
}

/// What a server expects in the request line (RFC 9112 §3.2.1).
fn origin_form(uri: &Uri) -> Uri {
    match uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    }
}

/// Why a backend has not answered.
struct Failure {
    error: hyper::Error,
    /// It has ended the connection, and sent nothing before.
    is_silent: bool,
}

/// A connection to a backend that has begun to answer.
pub(super) struct Exchange {
    connection: http1::Connection<TokioIo<Line>, Ahead>,
    has_ended: bool,
}

async fn exchange(
    line: Line,
    request: Request<Ahead>,
) -> Result<(Response<Incoming>, Exchange), Failure> {
    let handshake = http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(line));
    let (mut sender, connection) = handshake.await.map_err(|error| Failure {
        error,
        is_silent: false,
    })?;
    let mut exchange = Exchange {
        connection,
        has_ended: false,
    };
    let mut answer = pin!(sender.send_request(request));
    let answered = std::future::poll_fn(|cx| {
        exchange.poll(cx);
        answer.as_mut().poll(cx)
    });
    match answered.await {
        Ok(response) => Ok((response, exchange)),
        Err(error) => Err(Failure {
            is_silent: !error.is_user() && exchange.connection.into_parts().read_buf.is_empty(),
            error,
        }),
    }
}

impl Exchange {
    /// Once it has ended it is not to be polled any more.
    fn poll(&mut self, cx: &mut std::task::Context<'_>) {
        if !self.has_ended {
            // An error comes with the answer.
            self.has_ended = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
    }

    /// The body of the answer is still to come.
    pub(super) fn go_on(self) {
        if !self.has_ended {
            tokio::task::spawn_local(self.connection);
        }
    }

    /// The backend has switched protocols: its connection, with what has come after the answer.
    /// None: it has ended.
    pub(super) async fn into_wire(self) -> Option<Wire> {
        let Self {
            mut connection,
            has_ended,
        } = self;
        if !has_ended && let Err(error) = Pin::new(&mut connection).await {
            tracing::debug!("a backend's connection ended at its upgrade: {error}");
            return None;
        }
        let parts = connection.into_parts();
        let mut wire = parts.io.into_inner().into_wire();
        wire.unread(&parts.read_buf);
        Some(wire)
    }
}
