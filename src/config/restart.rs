//! How a planned restart treats the clients: `[restart]`, and `[service.NAME.restart]` over it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::checked::{Restart, Spread};
use super::duration;
use super::findings::Findings;
use super::key::KeyPath;
use super::number;
use super::raw::RawRestart;
use super::text::quoted;
use crate::edge::close::{CloseCode, REASON_MAX};

const HOUR: Duration = Duration::from_secs(3600);
/// Longest retry delay, and longest time over which clients are sent away.
const SPREAD_MAX: Duration = HOUR;
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(100)..=HOUR;
const CLOSE_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(300);
/// Zero: newcomers are refused at once while the backend is away.
const HOLD: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const MAX_HELD: RangeInclusive<usize> = 0..=1_000_000;

/// Lays what a section sets over `base`, which is the defaults or the section `[restart]`.
pub(super) fn check(
    found: &mut Findings,
    section: &KeyPath,
    raw: &RawRestart,
    base: &Restart,
) -> Restart {
    let mut restart = base.clone();
    let mut reader = Reader { found, section };
    reader.code("close_code", raw.close_code, &mut restart.close_code);
    reader.code("lost_code", raw.lost_code, &mut restart.lost_code);
    reader.text("reason", raw.reason.as_deref(), &mut restart.reason, reason);
    reader.text("retry", raw.retry.as_deref(), &mut restart.retry, retry);
    reader.text("spread", raw.spread.as_deref(), &mut restart.spread, spread);
    reader.text(
        "deadline",
        raw.deadline.as_deref(),
        &mut restart.deadline,
        |text| duration::parse(text, DEADLINE),
    );
    reader.text(
        "close_timeout",
        raw.close_timeout.as_deref(),
        &mut restart.close_timeout,
        |text| duration::parse(text, CLOSE_TIMEOUT),
    );
    reader.text("hold", raw.hold.as_deref(), &mut restart.hold, |text| {
        duration::parse(text, HOLD)
    });
    let max_held = section.key("max_held");
    restart.max_held = number::check(found, &max_held, raw.max_held, MAX_HELD, restart.max_held);
    // A value that is wrong by itself says nothing about how the values go together.
    let defaults = KeyPath::root().key("restart");
    if found.is_whole_within(section) && found.is_whole_within(&defaults) {
        check_reason(found, section, &restart);
        check_deadline(found, section, &restart);
    }
    restart
}

struct Reader<'a> {
    found: &'a mut Findings,
    section: &'a KeyPath,
}

impl Reader<'_> {
    fn text<T>(
        &mut self,
        key: &str,
        given: Option<&str>,
        value: &mut T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) {
        match given.map(parse) {
            None => {}
            Some(Ok(given)) => *value = given,
            Some(Err(message)) => self.found.value(&self.section.key(key), message),
        }
    }

    fn code(&mut self, key: &str, given: Option<i64>, value: &mut CloseCode) {
        let Some(given) = given else { return };
        match u16::try_from(given).ok().and_then(CloseCode::new) {
            Some(code) => *value = code,
            None => {
                let why = match given {
                    1004..=1006 | 1015 => "is reserved and never sent",
                    _ => "is not a close code that may be sent",
                };
                self.found.value(
                    &self.section.key(key),
                    format!(
                        "{given} {why} (1012 tells clients to come back; 1000-1003, 1007-1014 \
                         and 3000-4999 may be sent, RFC 6455 section 7.4)"
                    ),
                );
            }
        }
    }
}

fn reason(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err(format!(
            "{} has a control character in it (write it in one line)",
            quoted(text)
        ));
    }
    Ok(text.to_owned())
}

fn retry(text: &str) -> Result<Option<RangeInclusive<Duration>>, String> {
    match text {
        "off" => Ok(None),
        range => duration::parse_range(range, SPREAD_MAX).map(Some),
    }
}

fn spread(text: &str) -> Result<Spread, String> {
    match text {
        "auto" => Ok(Spread::Auto),
        time => duration::parse(time, Duration::ZERO..=SPREAD_MAX)
            .map(Spread::Over)
            .map_err(|message| format!("{message}; or \"auto\"")),
    }
}

/// The reason with the longest delay must fit into a Close frame.
fn check_reason(found: &mut Findings, section: &KeyPath, restart: &Restart) {
    let longest = restart.retry.as_ref().map(|retry| *retry.end());
    let told = restart.reason_with(longest);
    let Some(over) = told.len().checked_sub(REASON_MAX + 1) else {
        return;
    };
    let Some(at) = set_here(found, section, &["reason", "retry"]) else {
        return;
    };
    let appended = &told[restart.reason.len()..];
    let with = match appended {
        "" => String::new(),
        appended => format!(" with {appended:?} appended"),
    };
    let message = format!(
        "makes a reason of {} bytes{with}, but a Close frame holds {REASON_MAX} (shorten it by {})",
        told.len(),
        over + 1
    );
    found.value(&at, message);
}

/// The last clients that are told must still have the time to answer.
fn check_deadline(found: &mut Findings, section: &KeyPath, restart: &Restart) {
    let spread = match restart.spread {
        Spread::Auto => Duration::ZERO,
        Spread::Over(spread) => spread,
    };
    let needed = spread + restart.close_timeout;
    if needed <= restart.deadline {
        return;
    }
    let keys = ["deadline", "spread", "close_timeout"];
    let Some(at) = set_here(found, section, &keys) else {
        return;
    };
    let spread = match spread {
        Duration::ZERO => String::new(),
        spread => format!("a spread of {} and ", duration::shown(spread)),
    };
    let message = format!(
        "the deadline of {} leaves no room for {spread}a close_timeout of {} (raise the deadline \
         to {}, or lower the others)",
        duration::shown(restart.deadline),
        duration::shown(restart.close_timeout),
        duration::shown(needed)
    );
    found.value(&at, message);
}

/// The first of these keys that the section itself sets. If it sets none, it only inherits what
/// has been reported where it is set.
fn set_here(found: &Findings, section: &KeyPath, keys: &[&str]) -> Option<KeyPath> {
    keys.iter()
        .map(|key| section.key(key))
        .find(|path| found.is_set(path))
}
