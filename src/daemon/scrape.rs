//! The endpoint of `[metrics]`. Its socket is one of the listeners, under a name that no other has:
//! so it is bound, kept, passed on to a successor and closed as they are, and a scrape is never
//! refused. No door leads through it, so the workers leave it alone.

use super::life::Daemon;
use super::setup::StartError;
use crate::config::METRICS_SOCKET;
use crate::control::metrics::endpoint::Endpoint;
use crate::control::metrics::source::Source;
use crate::edge::listener::Listener;

impl Daemon {
    /// Begins to answer scrapes on the socket among these listeners; None: there is none. It
    /// does no harm to anybody who answers there already.
    ///
    /// # Errors
    /// The limit on open descriptors.
    pub(super) fn endpoint(&self, listeners: &[Listener]) -> Result<Option<Endpoint>, StartError> {
        let Some(listener) = listeners.iter().find(|one| one.name() == METRICS_SOCKET) else {
            return Ok(None);
        };
        let source = Source {
            edge: self.edge.clone(),
            outlet: self.outlet.clone(),
            log: self.log.clone(),
        };
        let open = || Endpoint::open(listener.try_clone()?, source);
        open().map(Some).map_err(|source| StartError::System {
            doing: "serve metrics",
            source,
        })
    }

    /// Answers here from now on, or nowhere.
    pub(super) async fn scrape_at(&mut self, endpoint: Option<Endpoint>) {
        if let Some(before) = std::mem::replace(&mut self.metrics, endpoint) {
            before.close().await;
        }
    }

    /// Listeners that clients come through.
    pub(super) fn doors_open(&self) -> usize {
        let others = |one: &&Listener| one.name() != METRICS_SOCKET;
        self.listeners.iter().filter(others).count()
    }
}
