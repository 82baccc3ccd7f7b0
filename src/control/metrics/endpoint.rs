//! Answers scrapes on the thread of the control loop, beside it: the workers do not notice, and
//! the control loop does not wait.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::families;
use super::page::{self, Format};
use super::source::Source;
use crate::edge::listener::ListeningSocket;

/// Where metrics are, as Prometheus looks for them by default.
const PATH: &str = "/metrics";

/// Scrapes at once. There is one scraper, or there are a few; more wait in the accept queue.
const CONNECTIONS: usize = 16;

/// From accepting a connection to its end. Each carries one scrape.
const DEADLINE: Duration = Duration::from_secs(10);

/// For the request's head. Who connects and says nothing is not to keep scrapers waiting.
const HEAD_DEADLINE: Duration = Duration::from_secs(1);

/// How long to wait when descriptors or memory have run out.
const BREATHER: Duration = Duration::from_millis(500);

/// Answers scrapes until it is closed or dropped. Who is being answered then gets the answer.
#[derive(Debug)]
pub struct Endpoint {
    accepting: JoinHandle<()>,
}

impl Endpoint {
    /// Begins to answer on a socket.
    ///
    /// # Errors
    /// The event loop takes no more descriptors.
    pub fn open(socket: ListeningSocket, source: Source) -> io::Result<Self> {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let accepting = match socket {
            ListeningSocket::Tcp(socket) => {
                let listener = TcpListener::from_std(socket)?;
                let accept = async move || Ok(listener.accept().await?.0);
                tokio::task::spawn_local(serve(accept, room, source))
            }
            ListeningSocket::Unix(socket) => {
                let listener = UnixListener::from_std(socket)?;
                let accept = async move || Ok(listener.accept().await?.0);
                tokio::task::spawn_local(serve(accept, room, source))
            }
        };
        Ok(Self { accepting })
    }

    /// Ends it. When this returns, its descriptor of the socket is closed.
    pub async fn close(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve<S>(accept: impl AsyncFn() -> io::Result<S>, room: Arc<Semaphore>, source: Source)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // Never closed, so there is always a permit some time.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        match accept().await {
            Ok(stream) => {
                tokio::task::spawn_local(connection(stream, permit, source.clone()));
            }
            Err(error) => {
                tracing::debug!("metrics.listen: cannot accept a connection for now: {error}");
                drop(permit);
                sleep(BREATHER).await;
            }
        }
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    permit: OwnedSemaphorePermit,
    source: Source,
) {
    let service = service_fn(|request| {
        let answer = answer(&request, &source);
        async move { Ok::<_, Infallible>(answer) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(DEADLINE, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("metrics.listen: {error}"),
        Err(_) => tracing::debug!("metrics.listen: a scrape took longer than {DEADLINE:?}"),
    }
    drop(permit);
}

fn answer(request: &Request<Incoming>, source: &Source) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "metrics can only be read\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    let accept = request.headers().get(ACCEPT);
    let format = Format::of(accept.and_then(|value| value.to_str().ok()));
    let now = source.read();
    match page::write(format, move |page| families::write(&now, page)) {
        Ok(text) => with_type(StatusCode::OK, format.content_type(), text.into()),
        Err(error) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("metrics cannot be written: {error}\n"),
        ),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; charset=utf-8", text.into())
}

fn with_type(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
