//! What a job would do.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::restart::report::Seconds;

/// What a job would do, before it does it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The service.
    pub service: String,
    /// Clients that would be told.
    pub clients: u64,
    /// Of those, who would be told first, and awaited.
    pub canary: u64,
    /// Units that would be restarted, in this order.
    pub units: Vec<String>,
    /// Whether one after the other, while the others serve.
    pub rolling: bool,
    /// Clients a second that the host takes back.
    pub reconnect_rate: u64,
    /// Whether that was seen at an earlier job, or is only assumed.
    pub rate_is_known: bool,
    /// Expected milliseconds until the last client has left.
    pub drain_ms: u64,
    /// Expected milliseconds of all restarts; none: unknown.
    pub restart_ms: Option<u64>,
    /// Expected milliseconds from the start until the last client is back.
    pub length_ms: u64,
    /// What is in the way.
    pub refusals: Vec<Refusal>,
}

/// As lines for a person, without a line end.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service, clients, ..
        } = self;
        write!(f, "{service}: {clients} clients would be told")?;
        if self.canary < self.clients {
            write!(f, ", {} of them first", self.canary)?;
        }
        let source = if self.rate_is_known {
            "as seen before"
        } else {
            "assumed until it is seen"
        };
        write!(
            f,
            "\n  takes back {} clients a second, {source}",
            self.reconnect_rate
        )?;
        match self.units.as_slice() {
            [] => {}
            [unit] => write!(f, "\n  restarts {unit}")?,
            units if self.rolling => {
                write!(f, "\n  restarts one at a time: {}", units.join(", "))?;
            }
            units => write!(f, "\n  restarts {}", units.join(", "))?,
        }
        write!(f, "\n  drain about {}", Seconds(self.drain_ms))?;
        match self.restart_ms {
            Some(ms) => write!(f, ", restart about {}", Seconds(ms))?,
            None if self.units.is_empty() => {}
            None => f.write_str(", restart of unknown length")?,
        }
        write!(f, ", all back after about {}", Seconds(self.length_ms))?;
        if self.refusals.is_empty() {
            return f.write_str("\n  nothing is in the way");
        }
        self.refusals
            .iter()
            .try_for_each(|refusal| write!(f, "\n  {refusal}"))
    }
}
