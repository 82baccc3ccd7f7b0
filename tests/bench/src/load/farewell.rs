//! A broadcast, as the clients see it: each waits for the Close frame that the proxy sends of its
//! own accord.

use std::io::{ErrorKind, Read};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::event::epoll::Event;

use super::Outcome;
use super::relay::{Client, Relay};
use crate::websocket::CLOSE;

impl Relay {
    /// Returns when every client has a whole Close frame. None is answered.
    pub(super) fn await_closes(&mut self) -> Result<Outcome> {
        let start = Instant::now();
        let mut missing = self.clients.len();
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        while missing > 0 {
            self.wait(&mut events, missing as u64)?;
            for event in events.drain(..) {
                let client = &mut self.clients[event.data.u64() as usize];
                let had = client.has_close();
                client.take_in(&mut self.received)?;
                missing -= usize::from(!had && client.has_close());
            }
        }
        Ok(Outcome {
            units: self.clients.len() as u64,
            seconds: start.elapsed().as_secs_f64(),
            ..Outcome::default()
        })
    }
}

impl Client {
    /// A whole Close frame with a code, and nothing else, has come.
    fn has_close(&self) -> bool {
        matches!(*self.farewell, [CLOSE, length, _, _, ..] if self.farewell.len() == 2 + usize::from(length))
    }

    /// Adds what has come to the farewell. Nothing else is expected any more.
    fn take_in(&mut self, buffer: &mut [u8]) -> Result<()> {
        let kept = self.partial.len();
        buffer[..kept].copy_from_slice(&self.partial);
        let end = match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => bail!("the proxy closed a connection without a Close frame"),
            Ok(received) => kept + received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("cannot receive"),
        };
        let Some(records) = &mut self.records else {
            self.farewell.extend_from_slice(&buffer[..end]);
            return Ok(());
        };
        let mut at = 0;
        while let Some((length, data)) = records.open(&mut buffer[at..end])? {
            self.farewell.extend_from_slice(data);
            at += length;
        }
        self.partial = buffer[at..end].to_vec();
        Ok(())
    }
}
