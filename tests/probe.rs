//! A backend is healthy if it does what a client needs, and only then.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use batond::config::BackendAddress;
use batond::restart::probe::{Unhealthy, probe};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Long enough for the slowest machine; a test that comes near it has failed.
const LONG: Duration = Duration::from_secs(60);

/// Where nobody answers, only the end of the waiting matters.
const SHORT: Duration = Duration::from_millis(50);

/// Serves one client: its Host, its path, and its Close.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
) -> (String, String, Option<CloseFrame>) {
    let mut asked = None;
    #[allow(clippy::result_large_err, reason = "the signature is the library's")]
    let look = |request: &Request, response: Response| {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        asked = Some((host, request.uri().to_string()));
        Ok(response)
    };
    let mut socket = accept_hdr_async(socket, look).await.unwrap();
    // Many servers greet their clients.
    socket.send(Message::text("welcome")).await.unwrap();
    let mut close = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            close = frame;
        }
    }
    let (host, path) = asked.unwrap();
    (host, path, close)
}

async fn listen() -> (TcpListener, BackendAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, BackendAddress::Tcp(address))
}

/// Probes a backend that does this with the connection.
async fn probe_one<F: Future>(within: Duration, serve: impl FnOnce(TcpStream) -> F) -> String {
    let (listener, address) = listen().await;
    let serving = async {
        let (socket, _) = listener.accept().await.unwrap();
        serve(socket).await;
    };
    let probing = probe(&address, "chat.example", "/", within);
    let (_, result) = tokio::join!(serving, probing);
    let BackendAddress::Tcp(address) = address else {
        unreachable!("made above");
    };
    result.unwrap_err().to_string().replace(&address, "ADDRESS")
}

/// Reads the request, then answers so.
async fn answer(mut socket: TcpStream, answer: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    socket.write_all(answer.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    let _ = socket.read_to_end(&mut request).await;
}

#[tokio::test]
async fn a_backend_that_shakes_hands_is_healthy_and_gets_a_proper_farewell() {
    let (listener, address) = listen().await;
    let serving = async { serve(listener.accept().await.unwrap().0).await };
    let probing = probe(&address, "chat.example", "/chat?x=1", LONG);
    let ((host, path, close), result) = tokio::join!(serving, probing);
    result.unwrap();
    assert_eq!(
        (host.as_str(), path.as_str()),
        ("chat.example", "/chat?x=1")
    );
    assert_eq!(u16::from(close.unwrap().code), 1000);
}

#[tokio::test]
async fn so_is_one_behind_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ws.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = async { serve(listener.accept().await.unwrap().0).await };
    let address = BackendAddress::Unix(path);
    let probing = probe(&address, "localhost", "/", LONG);
    let ((host, _, close), result) = tokio::join!(serving, probing);
    result.unwrap();
    assert_eq!(host, "localhost");
    assert_eq!(u16::from(close.unwrap().code), 1000);
}

#[tokio::test]
async fn nobody_there_is_not() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = probe(&address, "h", "/", LONG).await.unwrap_err();
    assert!(matches!(error, Unhealthy::Connect { .. }), "{error}");
    let gone = BackendAddress::Unix("/nonexistent/ws.sock".into());
    let error = probe(&gone, "h", "/", LONG).await.unwrap_err().to_string();
    let start = "cannot connect to unix:/nonexistent/ws.sock: ";
    assert!(error.starts_with(start), "{error}");
}

#[tokio::test]
async fn one_that_is_still_loading_is_not() {
    let starting = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        probe_one(LONG, |socket| answer(socket, starting)).await,
        "ADDRESS answered the WebSocket handshake for / with 503"
    );
}

#[tokio::test]
async fn one_that_is_no_websocket_server_is_not() {
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: bm90IGEgaGFzaCBvZiB0aGUga2V5\r\n\r\n";
    for (said, part) in [
        ("", "closed the connection"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "failed the WebSocket handshake"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "with 200"),
        (wrong, "Sec-WebSocket-Accept"),
    ] {
        let error = probe_one(LONG, |socket| answer(socket, said)).await;
        assert!(error.contains(part), "{said:?}: {error}");
    }
}

#[tokio::test]
async fn one_that_accepts_and_is_silent_is_not() {
    let error = probe_one(SHORT, |mut socket| async move {
        let mut request = Vec::new();
        let _ = socket.read_to_end(&mut request).await;
    });
    assert_eq!(
        error.await,
        "ADDRESS did not answer the WebSocket handshake within 50ms"
    );
}

#[tokio::test]
async fn one_that_never_says_goodbye_is_healthy_still() {
    let (listener, address) = listen().await;
    let serving = async {
        let (socket, _) = listener.accept().await.unwrap();
        let socket = tokio_tungstenite::accept_async(socket).await.unwrap();
        // Reads nothing from now on, and hears the end of the connection only.
        let mut socket = socket.into_inner();
        socket.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let (_, result) = tokio::join!(serving, probe(&address, "h", "/", LONG));
    result.unwrap();
}
