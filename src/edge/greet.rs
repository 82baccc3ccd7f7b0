//! The beginning of a connection on a listener that speaks TLS, up to the client's first bytes
//! behind the handshake. Whatever keeps it from getting there is written down.

use std::future::poll_fn;
use std::io;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::counters::count;
use super::http::Connection;
use super::socket::Socket;
use super::tls::{Broken, Session};
use super::upgrade;
use super::wire::Wire;
use crate::certificate::ledger::family::Family;
use crate::certificate::ledger::hello::Hello;
use crate::certificate::ledger::network::Network;
use crate::certificate::ledger::opening::Opening;
use crate::certificate::ledger::reason::{End, Reason, Stage};
use crate::certificate::ledger::{Asked, Failure};
use crate::certificate::resolver::Shown;

/// How long a peer may take to read the alert that says why its handshake failed.
const ALERT_LINGER: Duration = Duration::from_secs(1);

/// What a client reads that speaks HTTP where TLS is spoken.
const PLAIN_HTTP: &str = "HTTP/1.1 400 Bad Request\r\n\
    connection: close\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 51\r\n\r\n\
    this port speaks TLS: ask with https:// or wss://\r\n";

/// The first bytes behind the handshake are here; at once without TLS. None: they do not come.
pub(super) async fn greet(
    connection: &Connection,
    socket: Socket,
    deadline: Instant,
) -> Option<Wire> {
    let Some(tls) = &connection.door.tls else {
        return Some(Wire::plain(socket));
    };
    let shared = &connection.worker.shared;
    let (config, resolver) = (tls.config.clone(), tls.resolver.clone());
    let mut wire = match Wire::tls(socket, config, resolver, shared.ledger.clone()) {
        Ok(wire) => wire,
        Err(error) => {
            let listener = &connection.door.name;
            tracing::error!(baton_listener = listener, "cannot begin TLS: {error}");
            return None;
        }
    };
    let shaken = tokio::select! {
        result = timeout_at(deadline, poll_fn(|cx| wire.poll_handshake(cx))) => result,
        () = connection.dismissed() => return None,
    };
    let greeted = wire.session().and_then(Session::take_greeted);
    let unfinished = Unfinished {
        connection,
        hello: greeted.as_deref().map(|greeted| &greeted.hello),
        shown: greeted.as_deref().map(|greeted| &greeted.shown),
    };
    if !unfinished.is_probe() {
        unfinished.note_name();
    }
    let ended = match shaken {
        Err(_) => {
            count(&shared.counters.handshake_timeouts);
            unfinished.note(&mut wire, None);
            return None;
        }
        Ok(Err(error)) => {
            unfinished.note(&mut wire, Some(&error));
            answer(wire, &error).await;
            return None;
        }
        Ok(Ok(())) if unfinished.is_probe() => {
            let _ = timeout(ALERT_LINGER, wire.shutdown()).await;
            return None;
        }
        Ok(Ok(())) => {
            let is_resumed = wire.session().is_some_and(|session| session.is_resumed());
            count(if is_resumed {
                &shared.counters.handshakes_resumed
            } else {
                &shared.counters.handshakes_full
            });
            // What does not take the certificate may say so only now, or say nothing.
            tokio::select! {
                first = timeout_at(deadline, poll_fn(|cx| wire.poll_first(cx))) => first,
                () = connection.dismissed() => {
                    let _ = timeout(ALERT_LINGER, wire.shutdown()).await;
                    return None;
                }
            }
        }
    };
    let error = match ended {
        Ok(Ok(true)) => return Some(wire),
        Ok(Ok(false)) => io::ErrorKind::UnexpectedEof.into(),
        Ok(Err(error)) => error,
        // Connected in advance, and not needed: nothing has failed.
        Err(_) => {
            count(&shared.counters.handshake_timeouts);
            return None;
        }
    };
    unfinished.note(&mut wire, Some(&error));
    let _ = timeout(ALERT_LINGER, wire.shutdown()).await;
    None
}

/// The last word to a client whose handshake failed.
async fn answer(mut wire: Wire, error: &io::Error) {
    if let Some(Broken::NotTls(opening)) = broken(error) {
        wire.drop_tls();
        if *opening != Opening::Http {
            return;
        }
        let _ = timeout(ALERT_LINGER, wire.write_all(PLAIN_HTTP.as_bytes())).await;
        // What is left unread would reset the connection, and the answer with it.
        upgrade::linger(wire).await;
        return;
    }
    let _ = timeout(ALERT_LINGER, wire.shutdown()).await;
}

fn broken(error: &io::Error) -> Option<&Broken> {
    error.get_ref()?.downcast_ref()
}

/// A connection that does not become one that HTTP is spoken on.
struct Unfinished<'a> {
    connection: &'a Connection,
    hello: Option<&'a Hello>,
    /// What it was shown for its hello, unless it was resumed.
    shown: Option<&'a Shown>,
}

impl Unfinished<'_> {
    fn is_probe(&self) -> bool {
        self.hello.is_some_and(|hello| hello.is_probe)
    }

    /// Writes down that the client asks for a name that it is not shown a certificate for.
    fn note_name(&self) {
        let name = self.hello.and_then(|hello| hello.name.as_deref());
        let (Some(name), Some(tls)) = (name, &self.connection.door.tls) else {
            return;
        };
        if !tls.resolver.covers(name) {
            self.connection.worker.shared.ledger.note_asked(Asked {
                listener: self.connection.door.name.clone(),
                name: name.into(),
                network: Network::of(self.connection.peer),
            });
        }
    }

    /// Writes it down. No error: it took too long.
    fn note(&self, wire: &mut Wire, error: Option<&io::Error>) {
        if self.is_probe() {
            return;
        }
        let Some(session) = wire.session() else {
            return;
        };
        let shared = &self.connection.worker.shared;
        let broken = error.map(broken);
        let end = match broken {
            None => End::TooLong,
            Some(Some(Broken::NotTls(opening))) => End::NotTls(*opening),
            Some(Some(Broken::Tls(error))) => End::Failed(error),
            Some(None) => End::Gone,
        };
        let stage = session.stage();
        let name = self.hello.and_then(|hello| hello.name.as_deref());
        if session.is_resumed() && stage == Stage::Established {
            // It was not shown a certificate: it has come, and does not stay.
            return;
        }
        let shown = self
            .shown
            .filter(|_| stage >= Stage::Answered && !session.is_resumed());
        let covers = shown.is_none_or(Shown::covers);
        let alert = match end {
            End::Failed(rustls::Error::AlertReceived(alert)) => Some(u8::from(*alert)),
            _ => None,
        };
        if stage < Stage::Established {
            count(&shared.counters.handshakes_failed);
        }
        let reason = Reason::of(end, stage, self.hello, covers);
        let listener = &self.connection.door.name;
        let what = match end {
            End::Failed(error) => error.to_string(),
            _ => String::new(),
        };
        tracing::debug!(
            baton_listener = listener,
            baton_reason = reason.word(),
            "TLS handshake failed: {what}"
        );
        shared.ledger.note(Failure {
            at: Timestamp::now(),
            listener: listener.clone(),
            network: Network::of(self.connection.peer),
            family: self.hello.map_or(Family::Unknown, |hello| hello.family),
            name: name.map(Into::into),
            reason,
            alert,
            version: session.version().or(self.hello.map(|hello| hello.highest)),
            served: shown.and_then(Shown::fingerprint),
            error: what,
        });
    }
}
