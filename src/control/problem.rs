//! What is wrong and stays wrong until somebody does something about it. Each problem is told
//! once when it is raised and once when it is cleared; in between it is shown.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::message_id;
use crate::event;

/// The configuration on disk could not be put into use; cleared by the next reload that works.
pub const RELOAD_FAILED: &str = "reload-failed";

/// A successor did not come to serve; cleared by the next reload that works, and by an upgrade,
/// which is another process.
pub const UPGRADE_FAILED: &str = "upgrade-failed";

/// A service's backend was not healthy after its restart; cleared when it takes clients again.
pub const BACKEND_NOT_BACK: &str = "backend-not-back";

/// What is on disk for a certificate is worse than what is served; cleared when that is in order,
/// and in service. What is wrong with a certificate that is served has the name of the finding.
pub const CERTIFICATE_REFUSED: &str = "certificate-refused";

/// Nobody looks after the certificates any more; ends with the process.
pub const CERTIFICATES_UNWATCHED: &str = "certificates-unwatched";

/// Clients of several networks do not take a certificate; cleared when it has been quiet for a
/// while, or when another certificate is served.
pub const CERTIFICATE_REJECTED: &str = "certificate-rejected";

/// Clients of several networks ask a listener for a name that none of its certificates has;
/// cleared when one has, or when nobody has asked for a while.
pub const NAME_ASKED_FOR: &str = "name-asked-for";

/// Nobody keeps the clock of the host; cleared when somebody does.
pub const CLOCK_UNSYNCHRONISED: &str = "clock-unsynchronised";

/// A look through a listener, as clients look, has seen another certificate than the one that is
/// served there; cleared, like the next three, by a look that does not see it.
pub const SERVED_DIFFERS: &str = "served-certificate-differs";

/// What is on disk has not been taken up.
pub const SERVED_STALE: &str = "served-certificate-stale";

/// A handshake through a listener does not come about.
pub const SERVED_FAILS: &str = "served-handshake-fails";

/// What is shown would not be taken, for a reason that the checks do not find.
pub const SERVED_REJECTED: &str = "served-certificate-rejected";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nobody is harmed yet, and there is time.
    Warning,
    /// Somebody will be harmed soon, or is.
    Critical,
    /// It cannot wait.
    Emergency,
}

impl Severity {
    /// One word for the operator.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Emergency => "emergency",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// One thing that is wrong. There is one of a name and subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable, for programs: lower case and dashes.
    pub name: &'static str,
    /// What has it, for instance `certificate.example`; empty: batond as a whole.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, on one line.
    pub what: String,
    /// What to do about it, on one line.
    pub remedy: String,
    /// Since when it is known.
    pub since: Timestamp,
}

impl Problem {
    fn is(&self, name: &str, subject: &str) -> bool {
        self.name == name && self.subject == subject
    }
}

#[derive(Debug)]
struct Known {
    problem: Problem,
    /// The worst that was told since it was raised.
    told: Severity,
}

/// Everything that is wrong now.
#[derive(Debug, Default)]
pub struct Problems {
    /// The worst first; of the same severity, the oldest.
    list: Vec<Known>,
    /// The same, for whoever looks.
    shown: Arc<[Problem]>,
}

impl Problems {
    /// Something is wrong. It is told unless it was told to be at least as bad since it began,
    /// however often it gets better and worse; what is known keeps its beginning and gets the new
    /// words.
    pub fn raise(&mut self, mut problem: Problem) {
        let known = self.take(problem.name, &problem.subject);
        let mut worst = problem.severity;
        match known {
            Some(known) => {
                problem.since = known.problem.since;
                worst = worst.max(known.told);
                if known.told < worst {
                    tell(&problem);
                }
            }
            None => tell(&problem),
        }
        let order = |one: &Problem| (std::cmp::Reverse(one.severity), one.since);
        let place = self
            .list
            .partition_point(|one| order(&one.problem) <= order(&problem));
        let told = worst;
        self.list.insert(place, Known { problem, told });
        self.show();
    }

    /// It is wrong no longer, if it was.
    pub fn clear(&mut self, name: &str, subject: &str) {
        if let Some(Known { problem, .. }) = self.take(name, subject) {
            self.show();
            event!(
                INFO,
                message_id::PROBLEM_CLEARED,
                baton_problem = problem.name,
                baton_subject = problem.subject.as_str(),
                "problem {} is over{}",
                problem.name,
                of(&problem.subject)
            );
        }
    }

    /// For whoever looks: the worst first.
    pub fn shown(&self) -> Arc<[Problem]> {
        Arc::clone(&self.shown)
    }

    /// How many there are, and the worst; None, if there are none.
    pub fn summary(&self) -> Option<String> {
        let worst = &self.list.first()?.problem.what;
        Some(match self.list.len() {
            1 => format!("1 problem: {worst}"),
            count => format!("{count} problems, the worst: {worst}"),
        })
    }

    fn take(&mut self, name: &str, subject: &str) -> Option<Known> {
        let mut list = self.list.iter();
        let place = list.position(|one| one.problem.is(name, subject))?;
        Some(self.list.remove(place))
    }

    fn show(&mut self) {
        self.shown = self.list.iter().map(|one| one.problem.clone()).collect();
    }
}

fn of(subject: &str) -> String {
    if subject.is_empty() {
        String::new()
    } else {
        format!(" ({subject})")
    }
}

fn tell(problem: &Problem) {
    let Problem {
        name,
        subject,
        severity,
        what,
        remedy,
        ..
    } = problem;
    macro_rules! tell {
        ($level:ident) => {
            event!(
                $level,
                message_id::PROBLEM_RAISED,
                baton_problem = *name,
                baton_subject = subject.as_str(),
                baton_severity = %severity,
                baton_remedy = remedy.as_str(),
                "problem {name}{}: {what}",
                of(subject)
            )
        };
    }
    match severity {
        Severity::Warning => tell!(WARN),
        Severity::Critical | Severity::Emergency => tell!(ERROR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &'static str, severity: Severity, since: i64) -> Problem {
        Problem {
            name,
            subject: "certificate.one".to_owned(),
            severity,
            what: format!("{name} {since}"),
            remedy: String::new(),
            since: Timestamp::from_second(since).expect("a time"),
        }
    }

    #[test]
    fn the_worst_comes_first_and_then_the_oldest() {
        let mut problems = Problems::default();
        assert_eq!(problems.summary(), None);
        problems.raise(problem("a", Severity::Warning, 2));
        assert_eq!(problems.summary().as_deref(), Some("1 problem: a 2"));
        problems.raise(problem("b", Severity::Emergency, 3));
        problems.raise(problem("c", Severity::Warning, 1));
        let names = |problems: &Problems| -> Vec<_> {
            problems.shown().iter().map(|one| one.name).collect()
        };
        assert_eq!(names(&problems), ["b", "c", "a"]);
        let summary = problems.summary();
        assert_eq!(summary.as_deref(), Some("3 problems, the worst: b 3"));
        problems.clear("b", "another");
        assert_eq!(names(&problems).len(), 3);
        problems.clear("b", "certificate.one");
        assert_eq!(names(&problems), ["c", "a"]);
    }

    /// What is written to the log meanwhile, by level.
    fn levels(write: impl FnOnce()) -> Vec<tracing::Level> {
        #[derive(Clone, Default)]
        struct Levels(Arc<std::sync::Mutex<Vec<tracing::Level>>>);
        impl tracing::Subscriber for Levels {
            fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
                true
            }
            fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
                tracing::span::Id::from_u64(1)
            }
            fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
            fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
            fn event(&self, event: &tracing::Event<'_>) {
                self.0.lock().unwrap().push(*event.metadata().level());
            }
            fn enter(&self, _: &tracing::span::Id) {}
            fn exit(&self, _: &tracing::span::Id) {}
        }
        let levels = Levels::default();
        tracing::subscriber::with_default(levels.clone(), write);
        levels.0.lock().unwrap().clone()
    }

    #[test]
    fn what_gets_better_and_worse_is_told_once() {
        let told = levels(|| {
            let mut problems = Problems::default();
            for _ in 0..10 {
                problems.raise(problem("a", Severity::Warning, 1));
                problems.raise(problem("a", Severity::Critical, 1));
            }
            assert_eq!(problems.shown()[0].severity, Severity::Critical);
            problems.raise(problem("a", Severity::Warning, 1));
            assert_eq!(problems.shown()[0].severity, Severity::Warning);
            problems.clear("a", "certificate.one");
            problems.raise(problem("a", Severity::Warning, 2));
        });
        use tracing::Level;
        assert_eq!(told, [Level::WARN, Level::ERROR, Level::INFO, Level::WARN]);
    }

    #[test]
    fn a_known_problem_keeps_its_beginning() {
        let mut problems = Problems::default();
        problems.raise(problem("a", Severity::Warning, 1));
        problems.raise(problem("a", Severity::Critical, 5));
        let shown = problems.shown();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].what, "a 5");
        assert_eq!(shown[0].since.as_second(), 1);
        assert_eq!(shown[0].severity, Severity::Critical);
    }
}
