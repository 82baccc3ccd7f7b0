//! The report as a person reads it, on a terminal of 80 columns.

use super::display::Paint;
use super::report::Report;

/// Columns of a label, and of the number after it.
const LABEL: usize = 44;
const NUMBER: usize = 9;

/// Lines of the page as they are made.
struct Page {
    paint: Paint,
    text: String,
}

/// The whole page, ending in a newline.
pub(super) fn page(report: &Report, paint: Paint) -> String {
    let mut page = Page {
        paint,
        text: String::new(),
    };
    let all = report.clients;
    page.heading("Timeline");
    page.text.push_str(&report.timeline.to_string());

    page.heading("Clients");
    page.tell("took part", report.clients);
    page.promise("told 1012", report.told, all);
    let closed = "closed cleanly: Close, reply, end of TLS";
    page.promise(closed, report.closed_cleanly, all);
    page.promise("cut without a Close (1006)", report.cut, 0);
    page.promise("back", report.back, all);
    page.tell("back within 5 s of their Close", report.back_in_time);

    let newcomers = &report.newcomers;
    page.heading("New connections meanwhile");
    page.tell("made", newcomers.connections);
    page.promise("refused", newcomers.refused, 0);
    page.promise("reset", newcomers.reset, 0);
    page.promise("not served", newcomers.failed, 0);
    page.tell(
        "longest wait for a WebSocket, ms",
        newcomers.longest_wait_ms,
    );

    let messages = &report.messages;
    page.heading("Messages");
    page.tell("sent", messages.sent);
    page.tell("echoed", messages.echoed);
    page.promise("not delivered to the backend", messages.undelivered, 0);
    page.promise(
        "echo at batond before the Close, and lost",
        messages.lost,
        0,
    );
    page.tell(
        "echo at batond only after the Close",
        messages.answered_late,
    );
    page.tell(
        "sent when the Close had arrived already",
        messages.sent_late,
    );

    page.verdict(report);
    page.line("");
    page.line("Next: put batond in front of your own service. README.md has a configuration");
    page.line("of a few lines; `batond check --config FILE` says whether yours is right.");
    page.text
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.line("");
        self.line(&self.paint.heading(heading));
    }

    /// A number of which nothing is promised.
    fn tell(&mut self, label: &str, number: impl TryInto<u64>) {
        let number = number.try_into().unwrap_or(u64::MAX);
        self.line(&format!("  {label:<LABEL$}{number:>NUMBER$}"));
    }

    /// A number that is promised to be `right`.
    fn promise<N: TryInto<u64> + PartialEq>(&mut self, label: &str, number: N, right: N) {
        let mark = if number == right {
            self.paint.good("✓")
        } else {
            self.paint.bad("✗")
        };
        let number = number.try_into().unwrap_or(u64::MAX);
        self.line(&format!("  {label:<LABEL$}{number:>NUMBER$}  {mark}"));
    }

    fn verdict(&mut self, report: &Report) {
        self.line("");
        if report.broken.is_empty() {
            self.line(&self.paint.good("Every promise held."));
            return;
        }
        self.line(&self.paint.bad("Not every promise held:"));
        for what in &report.broken {
            self.line(&format!("  {} {what}", self.paint.bad("✗")));
        }
        for what in &report.examples {
            self.line(&format!("    {}", self.paint.faint(what)));
        }
    }
}
