//! Which close codes clients are sent, and send. Anybody may send any of 2,000 codes, so those
//! that libraries and applications choose are counted together.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::close::CloseCode;
use super::counters::count;

/// What is counted apart, as it is shown: `none` is a Close without a code (RFC 6455 §7.1.5).
pub const CODES: [&str; 15] = [
    "none",
    "1000",
    "1001",
    "1002",
    "1003",
    "1007",
    "1008",
    "1009",
    "1010",
    "1011",
    "1012",
    "1013",
    "1014",
    "3000-3999",
    "4000-4999",
];

/// Where a code is counted in [`CODES`].
fn place(code: Option<CloseCode>) -> usize {
    match code.map(CloseCode::value) {
        None => 0,
        Some(code @ 1000..=1003) => usize::from(code - 1000) + 1,
        Some(code @ 1007..=1014) => usize::from(code - 1007) + 5,
        Some(..=3999) => 13,
        Some(_) => 14,
    }
}

/// Counts for each of [`CODES`].
pub type Codes = [u64; CODES.len()];

/// Counts Close frames of one service, over all workers.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    sent: [AtomicU64; CODES.len()],
    received: [AtomicU64; CODES.len()],
}

impl Farewells {
    /// A Close frame went to a client: a whole one, unmasked.
    pub(super) fn sent(&self, frame: &[u8]) {
        let code = match frame {
            [_, _, high, low, ..] => CloseCode::new(u16::from_be_bytes([*high, *low])),
            _ => None,
        };
        count(&self.sent[place(code)]);
    }

    /// A Close came from a client.
    pub(super) fn received(&self, code: Option<CloseCode>) {
        count(&self.received[place(code)]);
    }

    /// What was sent to clients, and what came from them.
    pub(super) fn counts(&self) -> (Codes, Codes) {
        let read = |all: &[AtomicU64; CODES.len()]| all.each_ref().map(|one| one.load(Relaxed));
        (read(&self.sent), read(&self.received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::close::CloseFrame;

    #[test]
    fn every_sendable_code_has_its_place() {
        assert_eq!(CODES[place(None)], "none");
        for code in (0..=u16::MAX).filter_map(CloseCode::new) {
            let shown = CODES[place(Some(code))];
            match shown.split_once('-') {
                None => assert_eq!(shown, code.value().to_string()),
                Some((first, last)) => {
                    let span = first.parse().expect("a code")..=last.parse().expect("a code");
                    assert!(span.contains(&code.value()), "{shown}: {code}");
                }
            }
        }
    }

    #[test]
    fn the_code_of_a_frame_is_read() {
        let farewells = Farewells::default();
        let frame = CloseFrame::to_client(CloseCode::SERVICE_RESTART, "service restart");
        farewells.sent(frame.as_bytes());
        farewells.sent(&[0x88, 0]);
        farewells.received(CloseCode::new(4001));
        let (sent, received) = farewells.counts();
        let of = |counts: Codes, code| {
            counts[CODES.iter().position(|one| *one == code).expect("a code")]
        };
        assert_eq!((of(sent, "1012"), of(sent, "none")), (1, 1));
        assert_eq!(sent.iter().sum::<u64>(), 2);
        assert_eq!(of(received, "4000-4999"), 1);
    }
}
