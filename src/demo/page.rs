//! The report as a person reads it, on a terminal of 80 columns.

use super::display::Paint;
use super::report::Report;

/// Columns of a label, and of the number after it.
const LABEL: usize = 44;
const NUMBER: usize = 9;

/// What a number should be.
enum Should {
    Be(u64),
    /// Nothing is promised of it.
    Tell,
}

/// The whole page, ending in a newline.
pub(super) fn page(report: &Report, paint: Paint) -> String {
    let Report {
        newcomers,
        messages,
        ..
    } = report;
    let clients = report.clients as u64;
    let row = |label: &str, number: usize, should| row(paint, label, number as u64, should);
    let message_row = |label: &str, number, should| self::row(paint, label, number, should);
    let mut lines = vec![String::new(), paint.heading("Timeline")];
    lines.extend(report.timeline.to_string().lines().map(str::to_owned));
    lines.extend([
        String::new(),
        paint.heading("Clients"),
        row("took part", report.clients, Should::Tell),
        row("told 1012", report.told, Should::Be(clients)),
        row(
            "closed cleanly (Close, reply, end of TLS)",
            report.closed_cleanly,
            Should::Be(clients),
        ),
        row(
            "back within 5 s of their Close",
            report.back_in_time,
            Should::Be(clients),
        ),
        row("cut without a Close (1006)", report.cut, Should::Be(0)),
        String::new(),
        paint.heading("New connections meanwhile"),
        row("made", newcomers.connections, Should::Tell),
        row("refused", newcomers.refused, Should::Be(0)),
        row("reset", newcomers.reset, Should::Be(0)),
        row("not served", newcomers.failed, Should::Be(0)),
        format!(
            "  {:<LABEL$}{:>NUMBER$} ms",
            "longest wait for a WebSocket", newcomers.longest_wait_ms
        ),
        String::new(),
        paint.heading("Messages"),
        message_row("sent", messages.sent, Should::Tell),
        message_row("echoed", messages.echoed, Should::Tell),
        message_row(
            "not delivered to the backend",
            messages.undelivered,
            Should::Be(0),
        ),
        message_row(
            "echo owed before the Close, and lost",
            messages.lost,
            Should::Be(0),
        ),
        message_row(
            "sent so late that they crossed the Close",
            messages.crossed,
            Should::Tell,
        ),
        String::new(),
    ]);
    if report.broken.is_empty() {
        lines.push(paint.good("Every promise held."));
    } else {
        lines.push(paint.bad("Not every promise held:"));
        lines.extend(
            report
                .broken
                .iter()
                .map(|what| format!("  {} {what}", paint.bad("✗"))),
        );
    }
    lines.extend([
        String::new(),
        "Next: put batond in front of your own service. README.md has a configuration".to_owned(),
        "of five lines; `batond check --config FILE` says whether yours is right.".to_owned(),
        String::new(),
    ]);
    lines.join("\n")
}

fn row(paint: Paint, label: &str, number: u64, should: Should) -> String {
    let mark = match should {
        Should::Tell => String::new(),
        Should::Be(right) if right == number => format!("  {}", paint.good("✓")),
        Should::Be(_) => format!("  {}", paint.bad("✗")),
    };
    format!("  {label:<LABEL$}{number:>NUMBER$}{mark}")
}
