//! Numbers of bytes as people write them: `16KiB`, `64KB`, `16384`.

use std::ops::RangeInclusive;

use super::text::quoted;

/// What may stand after the number, in any case. `K` alone means 1000 to some and 1024 to
/// others, so it is not among them.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("kib", 1 << 10),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
];

/// Reads a number of bytes, which must lie in `range`.
pub(super) fn parse(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit);
    let (Some((_, factor)), false) = (factor, number.is_empty()) else {
        return Err(format!(
            "{} is not a number of bytes (write it as \"16KiB\", \"16KB\" or 16384)",
            quoted(text)
        ));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| range.contains(bytes))
        .ok_or_else(|| {
            format!(
                "must be from {} to {}, not {}",
                shown(*range.start()),
                shown(*range.end()),
                quoted(text)
            )
        })
}

/// In the largest unit that needs no fraction.
fn shown(bytes: usize) -> String {
    match bytes {
        0 => "0B".to_owned(),
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("16KiB", 16384),
            ("64 kB", 64000),
            ("16384", 16384),
            ("16384b", 16384),
            ("1mib", 1 << 20),
        ] {
            assert_eq!(parse(text, 0..=usize::MAX), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn says_why_it_cannot() {
        let error = |text| parse(text, 8192..=1 << 20).expect_err(text);
        for text in ["", "KiB", "16K", "1.5MiB", "-1", "16 KiB KiB"] {
            assert!(error(text).contains("is not a number of bytes"), "{text}");
        }
        assert_eq!(error("1KiB"), "must be from 8KiB to 1MiB, not \"1KiB\"");
        assert!(error("99999999999999999999GiB").contains("must be from"));
        assert_eq!(shown(0), "0B");
        assert_eq!(shown(1000), "1000B");
    }
}
