//! Bounds on the process as a whole: `workers`, `[limits]` and `[metrics]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::checked::{Address, Limits};
use super::duration;
use super::findings::Findings;
use super::key::KeyPath;
use super::listeners::{Taken, listen};
use super::number;
use super::raw::{RawConfig, RawLimits};
use super::size;

const WORKERS: RangeInclusive<usize> = 0..=1024;
const CLIENTS: RangeInclusive<usize> = 1..=10_000_000;
const HANDSHAKES: RangeInclusive<usize> = 1..=1_000_000;
const HANDSHAKE_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);
const STALL_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const HEADER_BYTES: RangeInclusive<usize> = 8 << 10..=1 << 20;

/// Worker threads: as many as given, or one for each core.
pub(super) fn workers(found: &mut Findings, raw: &RawConfig) -> usize {
    let path = KeyPath::root().key("workers");
    match number::check(found, &path, raw.workers, WORKERS, 0) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

pub(super) fn limits(found: &mut Findings, raw: &RawLimits) -> Limits {
    let section = KeyPath::root().key("limits");
    let mut limits = Limits::default();
    limits.clients = number::check(
        found,
        &section.key("clients"),
        raw.clients,
        CLIENTS,
        limits.clients,
    );
    limits.handshakes = number::check(
        found,
        &section.key("handshakes"),
        raw.handshakes,
        HANDSHAKES,
        limits.handshakes,
    );
    if let Some(text) = &raw.handshake_timeout {
        match duration::parse(text, HANDSHAKE_TIMEOUT) {
            Ok(time) => limits.handshake_timeout = time,
            Err(message) => found.value(&section.key("handshake_timeout"), message),
        }
    }
    if let Some(text) = &raw.stall_timeout {
        match duration::parse(text, STALL_TIMEOUT) {
            Ok(time) => limits.stall_timeout = time,
            Err(message) => found.value(&section.key("stall_timeout"), message),
        }
    }
    if let Some(text) = &raw.header_bytes {
        match size::parse(text, HEADER_BYTES) {
            Ok(bytes) => limits.header_bytes = bytes,
            Err(message) => found.value(&section.key("header_bytes"), message),
        }
    }
    limits
}

/// Where metrics are served.
pub(super) fn metrics(found: &mut Findings, raw: &RawConfig, taken: &mut Taken) -> Option<Address> {
    let path = KeyPath::root().key("metrics").key("listen");
    listen(found, path, raw.metrics.listen.as_ref()?, taken)
}
