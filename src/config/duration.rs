//! Lengths of time as people write them: `30s`, `500ms`, `1m 30s`, `1s-5s`.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::fmt::friendly::{SpanParser, SpanPrinter};

use super::text::quoted;

/// Reads one length of time, which must lie in `range`.
pub(super) fn parse(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let time = parse_any(text)?;
    if range.contains(&time) {
        return Ok(time);
    }
    Err(format!(
        "must be from {} to {}, not {}",
        shown(*range.start()),
        shown(*range.end()),
        shown(time)
    ))
}

/// Reads `low-high`, where low must not be longer than high, nor high longer than `most`.
pub(super) fn parse_range(text: &str, most: Duration) -> Result<RangeInclusive<Duration>, String> {
    let Some((low, high)) = text.split_once('-') else {
        return Err(format!(
            "{} is not a range of time (write the shortest and the longest, such as \"1s-5s\")",
            quoted(text)
        ));
    };
    let (low, high) = (parse_any(low)?, parse(high, Duration::ZERO..=most)?);
    if low > high {
        return Err(format!(
            "begins at {} and ends at {} (write the shorter time first)",
            shown(low),
            shown(high)
        ));
    }
    Ok(low..=high)
}

/// As a message or a comment says it: `1m 30s`.
pub(super) fn shown(time: Duration) -> String {
    SpanPrinter::new().unsigned_duration_to_string(&time)
}

fn parse_any(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (1..=9).contains(&text.len()) {
        return Err(format!(
            "{} has no unit (write \"{text}s\" for seconds, \"{text}ms\" for milliseconds)",
            quoted(text)
        ));
    }
    SpanParser::new()
        .parse_unsigned_duration(text)
        .map_err(|_| {
            format!(
                "{} is not a length of time (write it as \"30s\", \"500ms\" or \"1m 30s\")",
                quoted(text)
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("30s", 30_000),
            ("500ms", 500),
            (" 1.5s ", 1_500),
            ("1m 30s", 90_000),
            ("1 minute", 60_000),
            ("0s", 0),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse(text, Duration::ZERO..=HOUR),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        let seconds = |low, high| Duration::from_secs(low)..=Duration::from_secs(high);
        assert_eq!(parse_range("1s-5s", HOUR), Ok(seconds(1, 5)));
        assert_eq!(parse_range("2s - 1m", HOUR), Ok(seconds(2, 60)));
        assert_eq!(parse_range("3s-3s", HOUR), Ok(seconds(3, 3)));
    }

    #[test]
    fn says_why_it_cannot() {
        let error = |text| parse(text, Duration::from_millis(100)..=HOUR).expect_err(text);
        assert_eq!(
            error("30"),
            "\"30\" has no unit (write \"30s\" for seconds, \"30ms\" for milliseconds)"
        );
        for text in [
            "",
            "soon",
            "-5s",
            "5 parsecs",
            "5s ago",
            "99999999999999999999h",
        ] {
            assert!(error(text).contains("is not a length of time"), "{text}");
        }
        assert_eq!(error("0s"), "must be from 100ms to 1h, not 0s");
        assert_eq!(error("90m"), "must be from 100ms to 1h, not 1h 30m");
        let error = |text| parse_range(text, HOUR).expect_err(text);
        assert_eq!(
            error("5s-1s"),
            "begins at 5s and ends at 1s (write the shorter time first)"
        );
        assert!(error("5s").contains("is not a range of time"));
        assert!(error("1s-2h").contains("to 1h, not 2h"));
    }
}
