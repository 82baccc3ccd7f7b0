//! Never worse: whether a pair from disk may take the place of the one in service, and how long it
//! is waited for, since renewals do not write all at once: certbot replaces one symbolic link after
//! the other, lego and acme.sh truncate a file before they write it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::check::{Audience, Examination};
use super::dialled::dialled;
use super::examine::Library;
use super::finding::Finding;
use super::in_use::InUse;
use super::load::LoadError;
use crate::config::Config;

/// A pair that stays as it is for so long is not being written any more.
pub const SETTLED: Duration = Duration::from_secs(5);

/// Nor is one that keeps changing, after so long.
pub const LONGEST: Duration = Duration::from_secs(30);

/// What makes the new pair worse than the one in service: it cannot be used, or clients fail who do
/// not fail now. Both must have been looked at for the same audience. Empty: it may be served.
pub fn objections(new: &Examination, served: &Examination, now: Timestamp) -> Vec<Finding> {
    let verdict = new.verdict(now);
    if let Err(error) = new.usable() {
        return error.findings().to_vec();
    }
    let worse = verdict.worse_than(&served.verdict(now));
    worse.into_iter().cloned().collect()
}

/// The first certificate that is worse than the one of its name that is served, with what makes it
/// so. Both are held against what the new configuration wants of them: a name that it adds is no
/// fault of the new certificate alone. One that comes with the configuration has nothing to be
/// held against.
pub fn worse(
    config: &Config,
    new: &[InUse],
    served: &[InUse],
    now: Timestamp,
) -> Option<(String, LoadError)> {
    let mut library = Library::default();
    // Clients ask for what they are given now.
    let in_leaf = |name: &str| {
        let mut both = served.iter().chain(new);
        both.find(|one| one.name == name)?.examination.leaf_names()
    };
    new.iter().find_map(|new| {
        let served = served.iter().find(|one| one.name == new.name)?;
        if new.examination.serves_same_as(&served.examination) {
            return None;
        }
        let mut all = config.certificates.iter();
        let configured = all.find(|one| one.name == new.name)?;
        let names = dialled(config, configured, in_leaf);
        let roots = library.roots(&configured.roots);
        let audience = Audience {
            names: &names,
            roots: &roots,
            renew_unit: configured.renew_unit.as_deref(),
        };
        let new_one = new.examination.before(audience)?;
        let objections = objections(&new_one, &served.examination.before(audience)?, now);
        (!objections.is_empty()).then(|| (new.name.clone(), LoadError::of(objections)))
    })
}

/// A pair on disk that may not be served, or not yet.
#[derive(Clone, Copy, Debug)]
pub struct Doubt {
    began: Instant,
    changed: Instant,
}

impl Doubt {
    /// Something that may not be served has been seen.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            changed: now,
        }
    }

    /// It has changed, and may still not be served.
    pub fn changed(&mut self, now: Instant) {
        self.changed = now;
    }

    /// It is final: nobody is writing any more.
    pub fn is_settled(&self, now: Instant) -> bool {
        now.duration_since(self.changed) >= SETTLED || now.duration_since(self.began) >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_is_waited_for_but_not_for_ever() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut doubt = Doubt::new(start);
        assert!(!doubt.is_settled(at(4)));
        assert!(doubt.is_settled(at(5)));
        for second in (4..=28).step_by(4) {
            doubt.changed(at(second));
            assert!(!doubt.is_settled(at(second + 1)), "{second}");
        }
        assert!(doubt.is_settled(at(30)));
    }
}
