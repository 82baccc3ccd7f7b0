//! One certificate that is looked after.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::News;
use crate::certificate::admission::Doubt;
use crate::certificate::check::{Audience, Examination};
use crate::certificate::examine::{Files, Library};
use crate::certificate::finding::Finding;
use crate::certificate::in_use::{InUse, Refused};
use crate::certificate::roots::TrustedRoots;
use crate::config::{CertificateConfig, HostPattern, Roots};

/// How old a verdict may become: what it says of the time that is left is to be true.
const JUDGE_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// How often the roots of the system are read.
const SYSTEM_ROOTS: Duration = Duration::from_secs(60 * 60);

pub(super) struct Care {
    pub(super) config: CertificateConfig,
    pub(super) in_use: InUse,
    /// What clients dial.
    pub(super) names: Vec<HostPattern>,
    /// When the verdict changes by itself.
    pub(super) due: Option<Timestamp>,
    roots: Arc<TrustedRoots>,
    roots_read: Option<Instant>,
    /// Of the files, as they were looked at last; none: not yet, or before another audience.
    digest: Option<[u8; 32]>,
    /// What is on disk and not served.
    candidate: Option<Arc<Examination>>,
    /// About the candidate, until it is served or refused.
    doubt: Option<Doubt>,
    /// [`InUse::examination`] is not what the verdict is about.
    is_stale: bool,
}

impl Care {
    /// Without names yet.
    pub(super) fn new(config: CertificateConfig, in_use: InUse, roots: Arc<TrustedRoots>) -> Self {
        Self {
            config,
            in_use,
            names: Vec::new(),
            due: None,
            roots,
            roots_read: None,
            digest: None,
            candidate: None,
            doubt: None,
            is_stale: true,
        }
    }

    /// What may change.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let roots = match &self.config.roots {
            Roots::File(path) => Some(path.as_path()),
            Roots::Public | Roots::System => None,
        };
        let own = [self.config.chain.as_path(), self.config.key.as_path()];
        own.into_iter().chain(roots)
    }

    /// Whom clients trust.
    pub(super) fn roots(&self) -> &Arc<TrustedRoots> {
        &self.roots
    }

    /// Another certificate is served than before, which may change what there is against this one.
    pub(super) fn reconsider(&mut self) {
        self.is_stale |= self.candidate.is_some();
    }

    /// What is on disk may be being written.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// It is shown to those who dial these names from now on.
    pub(super) fn address(&mut self, names: Vec<HostPattern>) {
        if names != self.names {
            self.names = names;
            self.examine_anew();
        }
    }

    /// Whether clients trust others than before.
    pub(super) fn look_at_roots(&mut self, library: &mut Library, now: Instant) -> bool {
        let is_due = match self.config.roots {
            Roots::Public => false,
            Roots::System => self
                .roots_read
                .is_none_or(|read| now.duration_since(read) >= SYSTEM_ROOTS),
            Roots::File(_) => true,
        };
        if !is_due {
            return false;
        }
        self.roots_read = Some(now);
        let roots = library.roots(&self.config.roots);
        if roots.digest() == self.roots.digest() {
            return false;
        }
        self.roots = roots;
        self.examine_anew();
        true
    }

    /// Reads the files. Whether what is served is known to be what is on disk, and was not before,
    /// or the other way round.
    pub(super) fn look_at_files(&mut self, now: Instant) -> bool {
        let files = Files::read(&self.config);
        let digest = files.digest();
        if self.digest == Some(digest) {
            return false;
        }
        self.digest = Some(digest);
        let found = files.examine(&self.config, &self.names, &self.roots);
        if found.serves_same_as(&self.in_use.examination) {
            self.in_use.examination = Arc::new(found);
            self.is_stale = true;
            self.candidate = None;
            self.doubt = None;
            return self.in_use.refused.take().is_some();
        }
        self.candidate = Some(Arc::new(found));
        match &mut self.doubt {
            Some(doubt) => doubt.changed(now),
            None => self.doubt = Some(Doubt::new(now)),
        }
        false
    }

    /// What becomes of what is on disk, if anything.
    /// `objections` says what there is against serving it.
    pub(super) fn decide(
        &mut self,
        now: Timestamp,
        instant: Instant,
        objections: impl FnOnce(&Arc<Examination>) -> Vec<Finding>,
    ) -> Option<News> {
        let candidate = self.candidate.as_ref()?;
        if self.doubt.is_none() && !self.is_due(now) {
            return None;
        }
        let name = self.config.name.clone();
        let objections = objections(candidate);
        if objections.is_empty() {
            self.in_use.examination = Arc::clone(candidate);
            self.in_use.swapped = Some(now);
            self.in_use.refused = None;
            self.candidate = None;
            self.doubt = None;
            self.is_stale = true;
            return Some(News::Swapped { name });
        }
        if !self.doubt.as_ref()?.is_settled(instant) {
            return None;
        }
        self.doubt = None;
        self.is_stale = true;
        let refused = self.in_use.refused.as_ref();
        if refused.is_some_and(|known| known.objections == objections) {
            return None;
        }
        self.in_use.refused = Some(Arc::new(Refused {
            objections,
            since: now,
        }));
        Some(News::Refused { name })
    }

    /// Says anew what is wrong, if that may have changed; whether it has.
    pub(super) fn judge(&mut self, now: Timestamp) -> bool {
        if !self.is_due(now) {
            return false;
        }
        let is_another = std::mem::take(&mut self.is_stale);
        let verdict = self.in_use.examination.verdict(now);
        let looked_at = [Some(&self.in_use.examination), self.candidate.as_ref()];
        self.due = looked_at
            .into_iter()
            .flatten()
            .filter_map(|one| one.turning_points(now).first().copied())
            .min();
        let before = std::mem::replace(&mut self.in_use.verdict, Arc::new(verdict));
        is_another || before.findings != self.in_use.verdict.findings
    }

    /// The verdict is not that of this moment: also after the clock was set back.
    fn is_due(&self, now: Timestamp) -> bool {
        let judged = self.in_use.verdict.at;
        let is_old = now.duration_since(judged) >= JUDGE_AGAIN || now < judged;
        self.is_stale || is_old || self.due.is_some_and(|due| now >= due)
    }

    /// What is served, and with the next look what is on disk.
    fn examine_anew(&mut self) {
        let audience = Audience {
            names: &self.names,
            roots: &self.roots,
            renew_unit: self.config.renew_unit.as_deref(),
        };
        if let Some(examination) = self.in_use.examination.before(audience) {
            self.in_use.examination = Arc::new(examination);
        }
        self.digest = None;
        self.is_stale = true;
    }
}

#[cfg(test)]
mod tests;
