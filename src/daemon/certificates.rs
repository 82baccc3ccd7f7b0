//! What the keeper of the certificates finds becomes entries in the journal and problems.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use jiff::Timestamp;

use super::life::Daemon;
use super::renew::{Attempt, Renewals};
use crate::certificate::finding::{self, Fault, Finding};
use crate::certificate::in_use::InUse;
use crate::certificate::keeper::{Charge, Keeper, News, Update};
use crate::certificate::leaf::Leaf;
use crate::certificate::renewal::is_overdue;
use crate::control::command::{Answer, Refusal};
use crate::control::message_id;
use crate::control::problem::{self, Problem, Severity};
use crate::event;

/// What becomes of certificates.
pub(super) enum Happened {
    /// The keeper has found something.
    Found(Update),
    /// Nobody looks after them any more.
    Died,
    /// An attempt to have one renewed is over.
    Renewed(Attempt),
}

/// What looks after the certificates, and what was raised because of it.
pub(super) struct Certificates {
    /// None: the thread has died, or is not needed any more.
    keeper: Option<Keeper>,
    /// It does not come round.
    is_stuck: bool,
    pub(super) renewals: Renewals,
    /// Names of problems and what has them.
    raised: Vec<(&'static str, String)>,
}

impl Certificates {
    pub(super) fn keep(charge: Charge) -> io::Result<Self> {
        Ok(Self {
            keeper: Some(Keeper::start(charge)?),
            is_stuck: false,
            renewals: Renewals::default(),
            raised: Vec::new(),
        })
    }

    pub(super) async fn next(&mut self) -> Happened {
        let found = async {
            match &mut self.keeper {
                Some(keeper) => keeper.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            found = found => match found {
                Some(update) => Happened::Found(update),
                None => {
                    self.keeper = None;
                    Happened::Died
                }
            },
            Some(attempt) = self.renewals.ended.recv() => Happened::Renewed(attempt),
        }
    }

    /// Whether the thread has begun to hang, or does so no longer; none: it is as it was.
    fn turn(&mut self, now: Instant) -> Option<bool> {
        let is_stuck = self.keeper.as_ref()?.is_stuck(now);
        let was_stuck = std::mem::replace(&mut self.is_stuck, is_stuck);
        (is_stuck != was_stuck).then_some(is_stuck)
    }

    /// Nobody comes to this process any more.
    pub(super) fn let_go(&mut self) {
        self.keeper = None;
    }
}

impl Daemon {
    /// Other certificates are in use.
    pub(super) fn look_after(&mut self, charge: Charge) {
        if let Some(keeper) = &mut self.certificates.keeper {
            keeper.adopt(charge);
        }
    }

    /// What is known of those that stay the same goes over to another configuration.
    pub(super) fn carry_over(&self, in_use: &mut [InUse]) {
        for new in in_use {
            let Some(old) = self.in_use.iter().find(|one| one.name == new.name) else {
                continue;
            };
            new.swapped = if new.examination.serves_same_as(&old.examination) {
                old.swapped
            } else {
                Some(new.verdict.at)
            };
        }
    }

    /// A reload has put these into use.
    pub(super) fn certify(&mut self, in_use: Vec<InUse>) {
        let before = std::mem::replace(&mut self.in_use, in_use.into());
        for new in self.in_use.iter() {
            let old = before.iter().find(|one| one.name == new.name);
            if old.is_some_and(|old| !new.examination.serves_same_as(&old.examination)) {
                let name = new.name.clone();
                tell(&News::Swapped { name }, &before, &self.in_use);
            }
        }
    }

    /// The keeper has found something.
    pub(super) fn note_certificates(&mut self, update: Update) {
        let before = std::mem::replace(&mut self.in_use, update.in_use);
        if !update.news.is_empty() {
            self.probes.soon();
        }
        for news in update.news {
            if let News::Swapped { name } = &news {
                self.probes.renewed(name);
            }
            tell(&news, &before, &self.in_use);
        }
        self.shown.certify(&self.in_use);
        self.judge_certificates();
        self.show();
    }

    pub(super) fn note_unwatched(&mut self) {
        tracing::error!("certificates are not looked after any more: their thread has died");
        self.problems.raise(Problem {
            name: problem::CERTIFICATES_UNWATCHED,
            subject: String::new(),
            severity: Severity::Critical,
            what: "renewed certificates are not put into service any more".to_owned(),
            remedy: "`batonctl upgrade` starts another process in the place of this one".to_owned(),
            since: Timestamp::now(),
        });
        self.show();
    }

    /// Comes every half second.
    pub(super) fn look_at_keeper(&mut self) {
        match self.certificates.turn(Instant::now()) {
            None => return,
            Some(true) => {
                tracing::error!(
                    "certificates are not looked after: a file of theirs has not been read for a \
                     minute"
                );
                self.problems.raise(Problem {
                    name: problem::CERTIFICATES_UNWATCHED,
                    subject: String::new(),
                    severity: Severity::Critical,
                    what: "renewed certificates are not put into service, since reading one of \
                           their files hangs"
                        .to_owned(),
                    remedy: "look at the file systems that chain, key and roots are on; what is \
                             served stays as it is until they answer"
                        .to_owned(),
                    since: Timestamp::now(),
                });
            }
            Some(false) => self.problems.clear(problem::CERTIFICATES_UNWATCHED, ""),
        }
        self.show();
    }

    /// Raises what is wrong, and clears what was.
    pub(super) fn judge_certificates(&mut self) {
        let renewals = &self.certificates.renewals;
        let of = |one| problems_of(one, renewals);
        let problems: Vec<Problem> = self.in_use.iter().flat_map(of).collect();
        let raised = problems
            .iter()
            .map(|one| (one.name, one.subject.clone()))
            .collect();
        for (name, subject) in std::mem::replace(&mut self.certificates.raised, raised) {
            if !self.certificates.raised.contains(&(name, subject.clone())) {
                self.problems.clear(name, &subject);
            }
        }
        for problem in problems {
            self.problems.raise(problem);
        }
    }

    /// Why a successor, which serves what is on disk, would be worse than this process.
    pub(super) fn worse_on_disk(&self) -> Option<String> {
        self.in_use.iter().find_map(|one| {
            let why = one.worse_on_disk()?;
            Some(format!(
                "certificate.{}: what is on disk is worse than what is served: {why} (correct the \
                 files; `batond check` shows everything that is wrong)",
                one.name
            ))
        })
    }

    pub(super) fn refuse_for_certificate(&mut self, answer: Option<Answer>) {
        let Some(why) = self.worse_on_disk() else {
            return;
        };
        tracing::warn!("no handoff: {why}");
        if let Some(answer) = answer {
            // Who has gone away meanwhile finds it in the log.
            let _ = answer.send(Err(Refusal::Interlock(why)));
        }
        self.show();
    }
}

fn tell(news: &News, before: &[InUse], now: &[InUse]) {
    let of = |all: &[InUse], name: &str| {
        let one = all.iter().find(|one| one.name == *name)?;
        Leaf::of(one.examination.pair()?)
    };
    match news {
        News::Swapped { name } => {
            let Some(leaf) = of(now, name) else { return };
            let old = of(before, name).map(|old| old.fingerprint);
            event!(
                INFO,
                message_id::CERTIFICATE_SWAPPED,
                baton_certificate = name.as_str(),
                baton_fingerprint = leaf.fingerprint.as_str(),
                baton_old_fingerprint = old.unwrap_or_default(),
                baton_not_after = %leaf.not_after,
                "certificate.{name}: a renewed certificate is in service, valid until {}",
                leaf.not_after
            );
        }
        News::Refused { name } => {
            let one = now.iter().find(|one| one.name == *name);
            let why = one.and_then(InUse::worse_on_disk).unwrap_or_default();
            event!(
                ERROR,
                message_id::CERTIFICATE_REFUSED,
                baton_certificate = name.as_str(),
                "certificate.{name}: what is on disk is not put into service, since it is worse \
                 than what is served: {why}"
            );
        }
    }
}

fn problems_of(one: &InUse, renewals: &Renewals) -> Vec<Problem> {
    let subject = format!("certificate.{}", one.name);
    let mut problems = Vec::new();
    if let Some(refused) = &one.refused {
        problems.push(Problem {
            name: problem::CERTIFICATE_REFUSED,
            subject: subject.clone(),
            severity: Severity::Critical,
            what: format!(
                "not put into service: {}",
                joined(&refused.objections, |one| &one.what)
            ),
            remedy: joined(&refused.objections, |one| &one.remedy),
            since: refused.since,
        });
    }
    // There is one problem of a name, but there may be several findings.
    let mut by_fault: BTreeMap<Fault, Vec<Finding>> = BTreeMap::new();
    for finding in &one.verdict.findings {
        if finding.severity > finding::Severity::Info {
            by_fault
                .entry(finding.fault)
                .or_default()
                .push(finding.clone());
        }
    }
    for (fault, findings) in by_fault {
        let (mut what, mut remedy) = (
            joined(&findings, |one| &one.what),
            joined(&findings, |one| &one.remedy),
        );
        if is_overdue(&findings) {
            let (why, also) = renewals.explain(one);
            for (text, clauses) in [(&mut what, why), (&mut remedy, also)] {
                for clause in clauses {
                    text.push_str("; ");
                    text.push_str(&clause);
                }
            }
        }
        problems.push(Problem {
            name: fault.name(),
            subject: subject.clone(),
            severity: severity(fault, &findings),
            what,
            remedy,
            since: one.verdict.at,
        });
    }
    problems
}

/// Each sentence once.
fn joined(findings: &[Finding], sentence: impl Fn(&Finding) -> &String) -> String {
    let mut sentences: Vec<&str> = findings.iter().map(|one| sentence(one).as_str()).collect();
    sentences.dedup();
    sentences.join("; ")
}

fn severity(fault: Fault, findings: &[Finding]) -> Severity {
    let worst = findings.iter().map(|one| one.severity).max();
    match (fault, worst) {
        (Fault::ExpiryImminent | Fault::Expired, _) => Severity::Emergency,
        (_, Some(finding::Severity::Critical)) => Severity::Critical,
        _ => Severity::Warning,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::{self, Source};

    #[test]
    fn a_keeper_that_hangs_is_told_once_and_so_is_its_return() {
        let nothing = tempfile::NamedTempFile::new().expect("a file");
        let config = config::load(&Source::at(nothing.path())).expect("an empty one");
        let charge = Charge {
            config: Arc::new(config),
            in_use: Vec::new(),
            resolvers: Vec::new(),
        };
        let mut certificates = Certificates::keep(charge).expect("a thread");
        let now = Instant::now();
        let late = now + Duration::from_secs(3600);
        let turns = [now, late, late, now, now].map(|at| certificates.turn(at));
        assert_eq!(turns, [None, Some(true), None, Some(false), None]);
        certificates.let_go();
        assert_eq!(certificates.turn(late), None);
    }
}
