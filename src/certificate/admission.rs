//! Never worse: whether a pair from disk may take the place of the one in service, and how long it
//! is waited for, since renewals do not write all at once: certbot replaces one symbolic link after
//! the other, lego and acme.sh truncate a file before they write it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::check::{Audience, Examination};
use super::dialled::{Choice, chosen, hosts};
use super::examine::Library;
use super::finding::Finding;
use super::in_use::InUse;
use super::load::LoadError;
use super::roots::TrustedRoots;
use crate::config::{Config, HostPattern, Roots};

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

/// The first certificate that is worse than what its clients are given now, with what makes it so.
pub fn worse(
    config: &Config,
    new: &[InUse],
    served: &[InUse],
    now: Timestamp,
) -> Option<(String, LoadError)> {
    let mut library = Library::default();
    let roots: Vec<Arc<TrustedRoots>> = new
        .iter()
        .map(|one| {
            let mut all = config.certificates.iter();
            let configured = all.find(|it| it.name == one.name);
            library.roots(configured.map_or(&Roots::Public, |it| &it.roots))
        })
        .collect();
    let mut all = exchanges(config, new, served).into_iter();
    all.find_map(|one| {
        let objections = one.objections(&roots[one.new], new, served, now);
        let name = || new[one.new].name.clone();
        (!objections.is_empty()).then(|| (name(), LoadError::of(objections)))
    })
}

/// What makes it worse to serve this one in its place, for any client of the listeners that it is
/// on: also for those who are given another certificate then. `roots`: whom the clients of each
/// certificate trust.
pub fn objections_in_place(
    config: &Config,
    place: usize,
    candidate: &Arc<Examination>,
    served: &[InUse],
    roots: &[Arc<TrustedRoots>],
    now: Timestamp,
) -> Vec<Finding> {
    if let Err(error) = candidate.usable() {
        return error.findings().to_vec();
    }
    let mut new = served.to_vec();
    new[place].examination = Arc::clone(candidate);
    exchanges(config, &new, served)
        .into_iter()
        .flat_map(|one| one.objections(&roots[one.new], &new, served, now))
        .collect()
}

/// Clients who are given one certificate now are given another one then.
struct Exchange {
    served: usize,
    new: usize,
    /// The names that they dial; empty: not known.
    names: Vec<HostPattern>,
}

impl Exchange {
    /// Both are held against what the new configuration wants: a name that it adds is no fault of
    /// the new certificate alone.
    fn objections(
        &self,
        roots: &TrustedRoots,
        new: &[InUse],
        served: &[InUse],
        now: Timestamp,
    ) -> Vec<Finding> {
        let (new, served) = (&new[self.new], &served[self.served]);
        if new.examination.serves_same_as(&served.examination) {
            return Vec::new();
        }
        let audience = Audience {
            names: &self.names,
            roots,
            renew_unit: new.renew_unit.as_deref(),
        };
        let before = |one: &InUse| one.examination.before(audience);
        match (before(new), before(served)) {
            (Some(new), Some(served)) => objections(&new, &served, now),
            _ => Vec::new(),
        }
    }
}

/// Who is given what, on each listener and for each name. A listener that is new serves what its
/// certificates' namesakes serve; what has none has nothing to be held against.
fn exchanges(config: &Config, new: &[InUse], served: &[InUse]) -> Vec<Exchange> {
    let mut all: Vec<Exchange> = Vec::new();
    let mut note = |served: usize, new: usize, host: Option<&HostPattern>| {
        let same = |one: &Exchange| (one.served, one.new) == (served, new);
        let place = all.iter().position(same).unwrap_or_else(|| {
            let names = Vec::new();
            all.push(Exchange { served, new, names });
            all.len() - 1
        });
        let names = &mut all[place].names;
        let is_news = |host: &&HostPattern| !names.contains(host);
        let host = host.filter(is_news).cloned();
        names.extend(host);
    };
    for listener in &config.listeners {
        let after = on(new, &listener.name);
        let mut before = on(served, &listener.name);
        if before.is_empty() {
            let namesake = |one: &usize| served.iter().position(|it| it.name == new[*one].name);
            before = after.iter().filter_map(namesake).collect();
        }
        let (Some(&old_first), Some(&new_first)) = (before.first(), after.first()) else {
            continue;
        };
        // Who asks for a name that is not there, or for none.
        note(old_first, new_first, None);
        let (old, now) = (choices(served, &before), choices(new, &after));
        let names = after.iter().flat_map(|one| &new[*one].names);
        let names = names.cloned().map(HostPattern::Exact);
        for host in hosts(config, listener).cloned().chain(names) {
            let (old, now) = (chosen(&old, &host), chosen(&now, &host));
            let old = old.map_or(old_first, |place| before[place]);
            note(
                old,
                now.map_or(new_first, |place| after[place]),
                Some(&host),
            );
        }
        // Which names of the leaves are dialled besides is not known: not that they must be there.
        for name in now
            .iter()
            .flat_map(|one| one.in_leaf)
            .flat_map(|it| &it.dns)
        {
            let has = |one: &Choice<'_>| one.has(name);
            if let (Some(old), Some(now)) = (old.iter().position(has), now.iter().position(has)) {
                note(before[old], after[now], None);
            }
        }
    }
    all
}

/// Those of a listener, in its order.
fn on(all: &[InUse], listener: &str) -> Vec<usize> {
    let place = |number: &usize| all[*number].listeners.get(listener).copied();
    let mut these: Vec<usize> = (0..all.len()).filter(|one| place(one).is_some()).collect();
    these.sort_by_key(place);
    these
}

fn choices<'a>(all: &'a [InUse], these: &[usize]) -> Vec<Choice<'a>> {
    let choice = |number: &usize| Choice {
        configured: &all[*number].names,
        in_leaf: all[*number].examination.leaf_names(),
    };
    these.iter().map(choice).collect()
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
    use std::fs;
    use std::time::SystemTime;

    use jiff::SignedDuration;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tempfile::TempDir;

    use super::super::examine::examine_all;
    use super::super::finding::Fault;
    use super::super::in_use::listeners;
    use super::*;
    use crate::config::{self, CertificateConfig, Source};

    /// What an authority issues, on the disk, and configurations of it.
    struct World {
        folder: TempDir,
        root: CertifiedIssuer<'static, KeyPair>,
    }

    impl World {
        fn new() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("roots.pem"), root.pem()).unwrap();
            Self { folder, root }
        }

        /// A pair of this name with these hosts that ends after so many hours.
        fn issue(&self, name: &str, hosts: &[&str], hours: i64) {
            let hosts: Vec<String> = hosts.iter().map(|it| (*it).to_owned()).collect();
            let mut params = CertificateParams::new(hosts).unwrap();
            let at = |hours| SystemTime::from(Timestamp::now() + SignedDuration::from_hours(hours));
            params.not_before = at(-100).into();
            params.not_after = at(hours).into();
            let key = KeyPair::generate().unwrap();
            let leaf = params.signed_by(&key, &self.root).unwrap();
            let at = |end: &str| self.folder.path().join(format!("{name}.{end}"));
            fs::write(at("pem"), leaf.pem()).unwrap();
            fs::write(at("key"), key.serialize_pem()).unwrap();
        }

        /// Of one listener with these certificates, for these hosts.
        fn config(&self, certificates: &[&str], hosts: &[&str]) -> Config {
            let at = |name: String| self.folder.path().join(name).display().to_string();
            let mut text = format!(
                "[listener.wss]\naddress = \"127.0.0.1:9\"\ncertificates = {certificates:?}\n\
                 [service.echo]\nbackends = [\"127.0.0.1:8\"]\n"
            );
            if !hosts.is_empty() {
                text += &format!("hosts = {hosts:?}\n");
            }
            for name in certificates {
                text += &format!(
                    "[certificate.{name}]\nchain = {:?}\nkey = {:?}\nroots = {:?}\n",
                    at(format!("{name}.pem")),
                    at(format!("{name}.key")),
                    at("roots.pem".to_owned())
                );
            }
            let path = self.folder.path().join("batond.toml");
            fs::write(&path, text).unwrap();
            config::load(&Source::at(&path)).unwrap()
        }
    }

    fn read(config: &Config) -> Vec<InUse> {
        let all = config.certificates.iter().zip(examine_all(config));
        let in_use = |(one, examination): (&CertificateConfig, _)| {
            let listeners = listeners(config, &one.name);
            InUse::new(one, listeners, Arc::new(examination), Timestamp::now())
        };
        all.map(in_use).collect()
    }

    /// The first that is worse, and the faults.
    fn told(config: &Config, served: &[InUse]) -> Option<(String, Vec<Fault>)> {
        let (name, error) = worse(config, &read(config), served, Timestamp::now())?;
        let faults = error.findings().iter().map(|one| one.fault);
        Some((name, faults.collect()))
    }

    #[test]
    fn names_may_go_over_to_another_certificate_but_not_to_a_worse_one() {
        let world = World::new();
        let hosts = ["x.test", "y.test"];
        world.issue("one", &hosts, 900);
        let served = read(&world.config(&["one"], &hosts));

        world.issue("one", &["y.test"], 900);
        let lost = told(&world.config(&["one"], &hosts), &served);
        assert_eq!(lost, Some(("one".to_owned(), vec![Fault::NameNotCovered])));
        world.issue("second", &["x.test"], 900);
        let split = world.config(&["one", "second"], &hosts);
        assert_eq!(told(&split, &served), None);
        world.issue("second", &["x.test"], -1);
        let expired = told(&split, &served);
        assert_eq!(expired, Some(("second".to_owned(), vec![Fault::Expired])));
    }

    #[test]
    fn another_name_in_the_configuration_does_not_excuse_a_worse_pair() {
        let world = World::new();
        for hosts in [&["x.test"][..], &[]] {
            world.issue("one", &["x.test"], 900);
            let served = read(&world.config(&["one"], hosts));
            world.issue("uno", &["x.test"], -1);
            let renamed = world.config(&["uno"], hosts);
            let expired = Some(("uno".to_owned(), vec![Fault::Expired]));
            assert_eq!(told(&renamed, &served), expired, "{hosts:?}");
            // Nobody was given this one before.
            world.issue("two", &["z.test"], -1);
            let more = world.config(&["one", "two"], hosts);
            assert_eq!(told(&more, &served), None, "{hosts:?}");
            world.issue("uno", &["x.test"], 900);
            assert_eq!(told(&renamed, &served), None, "{hosts:?}");
        }
    }

    #[test]
    fn a_name_may_move_between_pairs_on_disk() {
        let world = World::new();
        let hosts = ["x.test", "y.test", "z.test"];
        world.issue("one", &["x.test", "y.test"], 900);
        world.issue("second", &["z.test"], 900);
        let config = world.config(&["one", "second"], &hosts);
        let mut served = read(&config);
        let roots: Vec<_> = config
            .certificates
            .iter()
            .map(|one| Library::default().roots(&one.roots))
            .collect();
        world.issue("one", &["y.test"], 900);
        world.issue("second", &["x.test", "z.test"], 900);
        let new = read(&config);
        let faults = |place: usize, served: &[InUse]| -> Vec<Fault> {
            let candidate = &new[place].examination;
            let now = Timestamp::now();
            let all = objections_in_place(&config, place, candidate, served, &roots, now);
            all.iter().map(|one| one.fault).collect()
        };
        // Not before the other one has it.
        assert_eq!(faults(0, &served), [Fault::NameNotCovered]);
        assert_eq!(faults(1, &served), []);
        served[1] = new[1].clone();
        assert_eq!(faults(0, &served), []);
    }

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
