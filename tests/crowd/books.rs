//! What the clients saw.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::way_in::Arrival;

/// What happened since the books were opened. All in the order in which it ended.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Steady clients that are connected now and have had a message echoed.
    pub(crate) present: usize,
    /// Newcomers that have begun to connect, and have not ended.
    pub(crate) under_way: usize,
    /// Newcomers that have ended.
    pub(crate) newcomers: Vec<Newcomer>,
    /// Attempts of steady clients to come in, those included that failed.
    pub(crate) returns: Vec<Return>,
    /// Connections of steady clients that have ended.
    pub(crate) departures: Vec<Departure>,
}

/// Someone who connects for one message, and closes.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) arrival: Arrival,
    /// None: it did not come in.
    pub(crate) end: Option<End>,
}

/// An attempt of a steady client to come in.
#[derive(Debug)]
pub(crate) struct Return {
    /// Which one.
    pub(crate) client: usize,
    pub(crate) arrival: Arrival,
}

/// The end of a steady client's connection.
#[derive(Debug)]
pub(crate) struct Departure {
    /// Which one.
    pub(crate) client: usize,
    /// The client's own port.
    pub(crate) port: Option<u16>,
    pub(crate) end: End,
}

/// How a WebSocket ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client closed, after its message had come back, and the server replied.
    Left,
    /// The server closed. 1005: without a code (RFC 6455 §7.1.5).
    Told {
        /// See RFC 6455 §7.4.
        code: u16,
        /// Goes with the code.
        reason: String,
    },
    /// Without a Close frame from the server.
    Cut(String),
}

impl Newcomer {
    /// It had its WebSocket, and a Close with it.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.end, Some(End::Left | End::Told { .. }))
    }
}

impl Books {
    /// How many of the steady clients' connections ended with which code.
    pub(crate) fn codes(&self) -> BTreeMap<u16, usize> {
        let mut codes = BTreeMap::new();
        for departure in &self.departures {
            if let End::Told { code, .. } = departure.end {
                *codes.entry(code).or_default() += 1;
            }
        }
        codes
    }

    /// How many of the steady clients' connections ended without a Close.
    pub(crate) fn cuts(&self) -> usize {
        let cut = |one: &&Departure| matches!(one.end, End::Cut(_));
        self.departures.iter().filter(cut).count()
    }

    /// Every attempt to come in.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = &Arrival> {
        let newcomers = self.newcomers.iter().map(|one| &one.arrival);
        newcomers.chain(self.returns.iter().map(|one| &one.arrival))
    }
}

/// The books, as the crowd writes them and a test reads them.
#[derive(Default)]
pub(super) struct Ledger {
    books: Mutex<Books>,
    changed: Condvar,
}

impl Ledger {
    pub(super) fn note(&self, write: impl FnOnce(&mut Books)) {
        write(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    pub(super) fn wait(&self, what: &str, patience: Duration, so: impl Fn(&Books) -> bool) {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let (books, waited) = self
            .changed
            .wait_timeout_while(books, patience, |books| !so(books))
            .unwrap_or_else(PoisonError::into_inner);
        let arrived = |one: &&Return| one.arrival.failure.is_none();
        assert!(
            !waited.timed_out(),
            "{what} takes longer than {patience:?}: {} are present, {} under way; {} newcomers \
             ended, {} of {} attempts of steady clients succeeded, {} left",
            books.present,
            books.under_way,
            books.newcomers.len(),
            books.returns.iter().filter(arrived).count(),
            books.returns.len(),
            books.departures.len(),
        );
    }

    pub(super) fn take(&self) -> Books {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let open = Books {
            present: books.present,
            under_way: books.under_way,
            ..Books::default()
        };
        mem::replace(&mut books, open)
    }
}
