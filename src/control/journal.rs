//! Where the log goes: to journald in full, or as readable lines to stderr. Whoever logs never waits
//! for either (`queue`), and what repeats itself is summed up (`repeats`).

mod queue;
mod repeats;

use std::env;
use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::queue::{Front, Queue};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The name of the level is unknown.
    #[error("log level {0:?} is none of error, warning, info, debug, trace")]
    Level(String),
    /// Somebody was first.
    #[error("the log is set up already: {0}")]
    Twice(#[from] TryInitError),
    /// No thread can be had that writes it.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[from] io::Error),
}

/// Changes the level while the daemon runs.
#[derive(Clone)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    to_journal: bool,
    queue: Arc<Queue>,
}

impl Log {
    /// Events below the level are dropped from now on. Names as for [`init`].
    pub fn set_level(&self, name: &str) -> Result<(), JournalError> {
        let level = level(name)?;
        // Fails only if the subscriber is gone, and then nobody listens.
        let _ = self.level.reload(level);
        Ok(())
    }

    /// The level below which events are dropped.
    pub fn level(&self) -> LevelFilter {
        self.level.clone_current().unwrap_or(LevelFilter::OFF)
    }

    /// The same, by its name of syslog(3), which knows nothing below `debug`.
    pub fn level_name(&self) -> &'static str {
        match self.level().into_level() {
            Some(Level::ERROR) => "err",
            Some(Level::WARN) => "warning",
            Some(Level::INFO) => "info",
            Some(Level::DEBUG | Level::TRACE) => "debug",
            None => "emerg",
        }
    }

    /// Waits until what was logged has been written, for a second at most: to be called at the end
    /// of the process.
    pub fn flush(&self) {
        self.queue.flush();
    }

    /// Entries since the process began that were lost, because journald or the reader of stderr
    /// took none.
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Entries since the process began that were left out, because they repeated others.
    pub fn left_out(&self) -> u64 {
        self.queue.left_out()
    }

    /// Where the log goes: `journal`, or `console` for stderr
    /// (org.freedesktop.LogControl1(5)).
    pub fn target(&self) -> &'static str {
        if self.to_journal {
            "journal"
        } else {
            "console"
        }
    }
}

/// Sends all events of the process from `level` up (default: info) to journald if stderr is
/// connected to it, else to stderr. To be called once, early in `main`. A thread writes them, and
/// nobody who logs waits for it; [`Log::flush`] does, at the end.
///
/// Of events from `info` up that come from one place in the code and concern one subject, such as a
/// service, the first 20 in 30 s are written, and the number of those that were left out.
///
/// The names of the levels are tracing's and those that `systemctl service-log-level` uses:
/// `emerg`, `alert`, `crit`, `err`, `error`, `warning`, `warn`, `notice`, `info`, `debug`,
/// `trace`.
pub fn init(level: Option<&str>) -> Result<Log, JournalError> {
    let (filter, handle) = reload::Layer::new(self::level(level.unwrap_or("info"))?);
    let to_journal = stderr_is_journal();
    let queue = match to_journal.then(journald) {
        Some(Ok(journald)) => Queue::start(Registry::default().with(journald))?,
        // Without journald's own socket (RootDirectory=) the stream to it remains.
        _ => Queue::start(Registry::default().with(lines(to_journal)))?,
    };
    let log = Registry::default().with(filter);
    log.with(Front(Arc::clone(&queue))).try_init()?;
    Ok(Log {
        level: handle,
        to_journal,
        queue,
    })
}

fn level(name: &str) -> Result<LevelFilter, JournalError> {
    match name {
        "emerg" | "alert" | "crit" | "err" | "error" => Ok(LevelFilter::ERROR),
        "warning" | "warn" => Ok(LevelFilter::WARN),
        "notice" | "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(JournalError::Level(name.to_owned())),
    }
}

/// systemd.exec(5): `JOURNAL_STREAM` is the device and inode of the stream to the journal. It is
/// inherited by programs whose stderr was redirected elsewhere, hence the comparison.
fn stderr_is_journal() -> bool {
    let Some(stream) = env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stat| stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino)))
}

fn journald() -> io::Result<tracing_journald::Layer> {
    let priorities = PriorityMappings {
        error: priority(Level::ERROR),
        warn: priority(Level::WARN),
        info: priority(Level::INFO),
        debug: priority(Level::DEBUG),
        trace: priority(Level::TRACE),
    };
    Ok(tracing_journald::layer()?
        .with_field_prefix(None)
        .with_syslog_identifier("batond".to_owned())
        .with_priority_mappings(priorities))
}

/// syslog(3) knows nothing below debug.
fn priority(level: Level) -> Priority {
    match level {
        Level::ERROR => Priority::Error,
        Level::WARN => Priority::Warning,
        Level::INFO => Priority::Informational,
        _ => Priority::Debug,
    }
}

fn lines<S>(to_journal: bool) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let color = io::stderr().is_terminal()
        && env::var_os("NO_COLOR").is_none_or(|no_color| no_color.is_empty());
    tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(color)
        .event_format(Line { to_journal })
}

/// `2026-11-22T19:33:36.123Z  INFO message service=chat clients=3`, or with the journal at the
/// other end of stderr, which keeps time and level beside the text: `<6>message service=chat
/// clients=3` (sd-daemon(3)).
struct Line {
    to_journal: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if self.to_journal {
            write!(writer, "<{}>", priority(level) as u8 as char)?;
        } else {
            let color = if writer.has_ansi_escapes() {
                color(level)
            } else {
                ("", "")
            };
            write!(
                writer,
                "{:.3} {}{level:>5}{} ",
                Timestamp::now(),
                color.0,
                color.1
            )?;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut lines = fields.message.split(LINE_END);
        write!(writer, "{}", lines.next().unwrap_or_default())?;
        for line in lines {
            // Indented, so that no text of a client's looks like an entry of its own.
            writeln!(writer)?;
            if self.to_journal {
                write!(writer, "<{}>", priority(level) as u8 as char)?;
            }
            write!(writer, "    {line}")?;
        }
        writeln!(writer, "{}", fields.others)
    }
}

/// What switches a level's color on and off.
fn color(level: Level) -> (&'static str, &'static str) {
    let on = match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    };
    (on, "\x1b[0m")
}

/// Between the lines of a message.
const LINE_END: &str = "\n";

/// The fields of an event as a person reads them.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            let lines: Vec<String> = value.lines().map(printable).collect();
            self.message = lines.join(LINE_END);
            return;
        }
        let value = printable(&value);
        match field.name() {
            // Of use only with a catalog.
            "message_id" => {}
            name => {
                let name = name.strip_prefix("baton_").unwrap_or(name);
                let quote = if value.contains(' ') && !value.starts_with('"') {
                    "\""
                } else {
                    ""
                };
                self.others
                    .push_str(&format!(" {name}={quote}{value}{quote}"));
            }
        }
    }
}

/// What clients send must not move the cursor or begin a line of its own.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default())
        } else {
            safe.push(c)
        }
    }
    safe
}
