//! What the demo shows while it runs: a bar on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::page::page;
use super::report::Report;

/// How often the bar moves by itself.
const FRAME: Duration = Duration::from_millis(100);

/// Shows one step after the other.
#[derive(Clone, Debug)]
pub(super) struct Display {
    bar: ProgressBar,
    /// Steps are told on stderr, since stdout is for the JSON alone.
    quiet: bool,
    paint: Paint,
}

/// Colours, where they are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

impl Display {
    pub(super) fn new(json: bool) -> Self {
        let target = if json {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stdout()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.enable_steady_tick(FRAME);
        let display = Self {
            bar,
            quiet: json,
            paint: Paint::new(),
        };
        // Before the first step there is nothing to draw below the lines.
        display.style("{msg}", "");
        display
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        if self.bar.is_hidden() {
            println!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    pub(super) fn title(&self, text: &str) {
        let heading = self.paint.heading("batond demo:");
        self.say(&format!("{heading} {text}\n"));
    }

    /// A line beside the story.
    pub(super) fn note(&self, line: &str) {
        self.say(&format!("  {}", self.paint.faint(line)));
    }

    /// A step that is done.
    pub(super) fn done(&self, line: &str) {
        self.say(&format!("  {} {line}", self.paint.good("✓")));
    }

    /// A step begins that counts to `total`.
    pub(super) fn begin(&self, what: &str, total: usize) {
        let colour = if self.paint.0 { ".cyan" } else { "" };
        let bar = format!("{{bar:24{colour}}} {{pos:>5}}/{{len}}");
        self.bar.set_length(total as u64);
        self.bar.set_position(0);
        self.style(&format!("  {{spinner}} {{msg:<34}} {bar}"), what);
    }

    /// A step begins that only takes time.
    pub(super) fn wait(&self, what: &str) {
        self.style("  {spinner} {msg}", what);
    }

    fn style(&self, template: &str, what: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("━╸ "));
        }
        self.bar.set_message(what.to_owned());
    }

    pub(super) fn count(&self, position: usize) {
        self.bar.set_position(position as u64);
    }

    /// No bar any more.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Display {
    pub(super) fn report(&self, report: &Report) {
        if self.quiet {
            match serde_json::to_string_pretty(report) {
                Ok(json) => println!("{json}"),
                Err(error) => eprintln!("batond demo: cannot write the report: {error}"),
            }
        } else {
            print!("{}", page(report, self.paint));
        }
    }

    /// The end of batond's log, after a failure.
    pub(super) fn log(&self, lines: &[String]) {
        if !lines.is_empty() {
            eprintln!("\nThe last of batond's log:");
        }
        for line in lines {
            eprintln!("  {line}");
        }
    }
}

impl Paint {
    /// As the terminal and NO_COLOR have it (no-color.org).
    fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(io::stdout().is_terminal() && !unwanted)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.colour("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.colour("1;31", text)
    }

    pub(super) fn heading(self, text: &str) -> String {
        self.colour("1", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.colour("2", text)
    }

    fn colour(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
