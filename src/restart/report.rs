//! What became of the clients.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::interlock::Refusal;

/// What a drain has done so far, or did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainReport {
    /// Clients that were connected when the drain began.
    pub clients_at_start: u64,
    /// Clients that were sent a Close frame.
    pub told: u64,
    /// Clients that answered with a Close frame of their own.
    pub closed_cleanly: u64,
    /// Clients that did not answer in time and were cut off.
    pub timed_out: u64,
    /// Clients that were told and were gone without an answer.
    pub gone: u64,
    /// Clients that could not be told, because the deadline passed inside a frame for them.
    pub cut: u64,
    /// Clients that are still connected.
    pub remaining: u64,
    /// Messages from backends that came after the Close and could not be delivered.
    pub discarded_messages: u64,
}

impl DrainReport {
    /// What was done after `before`, an earlier report of the same process.
    #[must_use]
    pub fn since(self, before: &Self) -> Self {
        Self {
            told: self.told - before.told,
            closed_cleanly: self.closed_cleanly - before.closed_cleanly,
            timed_out: self.timed_out - before.timed_out,
            gone: self.gone - before.gone,
            cut: self.cut - before.cut,
            discarded_messages: self.discarded_messages - before.discarded_messages,
            ..self
        }
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "told {}, closed cleanly {}, timed out {}, gone {}, cut {}, messages discarded {}, \
             still open {}",
            self.told,
            self.closed_cleanly,
            self.timed_out,
            self.gone,
            self.cut,
            self.discarded_messages,
            self.remaining
        )
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it was asked for.
    Done,
    /// The interlock did not let it begin; nobody was told.
    Refused,
    /// Somebody cancelled it, and the service goes on as it was.
    Canceled,
    /// The canary did not come back: the others were not told.
    CanaryLost,
    /// The unit was not restarted, or did not get healthy.
    Failed,
    /// The host goes down, which is announced to all clients by itself.
    HostShutdown,
}

impl Outcome {
    /// The sentence's end: "the restart of chat …".
    fn words(self) -> &'static str {
        match self {
            Self::Done => "is done",
            Self::Refused => "was refused",
            Self::Canceled => "was cancelled",
            Self::CanaryLost => "was stopped, since the first clients did not come back",
            Self::Failed => "failed",
            Self::HostShutdown => "ended with the host's shutdown",
        }
    }
}

/// What became of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitReport {
    /// Its name.
    pub unit: String,
    /// Milliseconds from the request to a healthy probe. None: it did not get there.
    pub restarted_ms: Option<u64>,
}

/// When the clients that were told came back. They cannot be recognised, so arrivals are counted,
/// less those that would have come in any case; and the first to come back is taken for the first
/// that was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnCurve {
    /// Clients that came back while it was watched: TLS handshake done and upgrade asked for.
    pub back: u64,
    /// Of those, within 5 s after they were told.
    pub back_within_5s: u64,
    /// Milliseconds from the first announcement until half of all who were told were back. None:
    /// they were not while it was watched.
    pub half_back_ms: Option<u64>,
    /// The same for 95 %.
    pub most_back_ms: Option<u64>,
    /// The same for all.
    pub all_back_ms: Option<u64>,
}

/// What a restart, or a drain, did to a service and its clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobReport {
    /// `restart` or `drain`.
    pub kind: String,
    /// The service.
    pub service: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where that is not plain from the outcome.
    pub why: Option<String>,
    /// Milliseconds from the request to the end.
    pub took_ms: u64,
    /// Clients that were connected at the start.
    pub clients: u64,
    /// What became of them. `remaining` are clients of the part that was drained last.
    #[serde(flatten)]
    pub drain: DrainReport,
    /// Of those told, how many were told at once at the end, since the time did not suffice for
    /// all in turn.
    pub hurried: u64,
    /// Newcomers that waited for the backend.
    pub held: u64,
    /// Of those, let in.
    pub released: u64,
    /// Of those, answered with 503.
    pub refused: u64,
    /// When they came back.
    pub returns: ReturnCurve,
    /// Clients a second that the host was seen to take back at its limit. None: it was never near.
    pub takes_back_per_second: Option<u64>,
    /// Units that were to be restarted, in order, as far as it got.
    pub units: Vec<UnitReport>,
    /// What the interlock said; with [`Outcome::Done`], what was overridden.
    pub refusals: Vec<Refusal>,
}

/// As lines for a person, without a line end.
impl fmt::Display for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, service, outcome) = (&self.kind, &self.service, self.outcome.words());
        write!(f, "the {kind} of {service} {outcome}")?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        for refusal in &self.refusals {
            write!(f, "\n  {refusal}")?;
        }
        if self.outcome == Outcome::Refused {
            return Ok(());
        }
        write!(f, "\n  took {}", Seconds(self.took_ms))?;
        for unit in &self.units {
            match unit.restarted_ms {
                Some(ms) => write!(f, "\n  {} restarted in {}", unit.unit, Seconds(ms))?,
                None => write!(f, "\n  {} not restarted", unit.unit)?,
            }
        }
        let drain = &self.drain;
        write!(
            f,
            "\n  told {} of {}: closed cleanly {}, timed out {}, gone {}, cut {}",
            drain.told, self.clients, drain.closed_cleanly, drain.timed_out, drain.gone, drain.cut
        )?;
        if self.hurried > 0 {
            write!(
                f,
                "\n  told at once at the end, out of pace: {}",
                self.hurried
            )?;
        }
        write!(f, "\n  messages discarded {}", drain.discarded_messages)?;
        write!(
            f,
            "\n  held {}, let in {}, refused {}",
            self.held, self.released, self.refused
        )?;
        if drain.told > 0 {
            write!(f, "\n  {}", self.returns)?;
        }
        Ok(())
    }
}

impl fmt::Display for ReturnCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "back {}, within 5 s {}", self.back, self.back_within_5s)?;
        let times = [
            ("50 %", self.half_back_ms),
            ("95 %", self.most_back_ms),
            ("100 %", self.all_back_ms),
        ];
        for (part, time) in times {
            match time {
                Some(ms) => write!(f, "; {part} after {}", Seconds(ms))?,
                None => write!(f, "; {part} not reached")?,
            }
        }
        Ok(())
    }
}

/// Milliseconds as seconds and tenths of one.
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1000, self.0 / 100 % 10) {
            (seconds, 0) => write!(f, "{seconds} s"),
            (seconds, tenths) => write!(f, "{seconds}.{tenths} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restart::interlock::Obstacle;

    #[test]
    fn fits_on_a_line() {
        let report = DrainReport {
            clients_at_start: 500,
            told: 500,
            closed_cleanly: 498,
            timed_out: 1,
            gone: 1,
            cut: 0,
            remaining: 0,
            discarded_messages: 0,
        };
        assert_eq!(
            report.to_string(),
            "told 500, closed cleanly 498, timed out 1, gone 1, cut 0, messages discarded 0, \
             still open 0"
        );
    }

    #[test]
    fn a_job_reads_as_lines() {
        let refusal = Refusal::of(Obstacle::HostShutdown);
        let report = JobReport {
            kind: "restart".to_owned(),
            service: "chat".to_owned(),
            outcome: Outcome::Done,
            why: None,
            took_ms: 12_345,
            clients: 2_000,
            drain: DrainReport {
                clients_at_start: 2_000,
                told: 2_000,
                closed_cleanly: 1_999,
                timed_out: 1,
                ..DrainReport::default()
            },
            hurried: 0,
            held: 1_500,
            released: 1_500,
            refused: 0,
            returns: ReturnCurve {
                back: 1_990,
                back_within_5s: 1_980,
                half_back_ms: Some(3_000),
                most_back_ms: Some(5_250),
                all_back_ms: None,
            },
            takes_back_per_second: None,
            units: vec![UnitReport {
                unit: "chat.service".to_owned(),
                restarted_ms: Some(840),
            }],
            refusals: Vec::new(),
        };
        let lines = [
            "the restart of chat is done",
            "  took 12.3 s",
            "  chat.service restarted in 0.8 s",
            "  told 2000 of 2000: closed cleanly 1999, timed out 1, gone 0, cut 0",
            "  messages discarded 0",
            "  held 1500, let in 1500, refused 0",
            "  back 1990, within 5 s 1980; 50 % after 3 s; 95 % after 5.2 s; 100 % not reached",
        ];
        assert_eq!(report.to_string(), lines.join("\n"));

        let refused = JobReport {
            outcome: Outcome::Refused,
            refusals: vec![refusal.clone()],
            ..report.clone()
        };
        assert_eq!(
            refused.to_string(),
            format!("the restart of chat was refused\n  {refusal}")
        );

        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["outcome"], "done");
        assert_eq!(json["closed_cleanly"], 1_999);
        assert_eq!(json["returns"]["all_back_ms"], serde_json::Value::Null);
        assert_eq!(
            serde_json::from_value::<JobReport>(json).expect("the same"),
            report
        );
    }
}
