use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::certificate::admission::objections;
use crate::certificate::finding::{Fault, Finding};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// An authority with a folder for what it issues.
struct World {
    folder: TempDir,
    root: CertifiedIssuer<'static, KeyPair>,
    now: Timestamp,
    library: Library,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("roots.pem"), root.pem()).unwrap();
        Self {
            folder,
            root,
            now: Timestamp::from_second(Timestamp::now().as_second()).unwrap(),
            library: Library::default(),
        }
    }

    /// Puts one on the disk that lives so many hours from now on.
    fn write(&self, name: &str, from: i64, until: i64) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let at = |hours: i64| SystemTime::from(self.now + HOUR * i32::try_from(hours).unwrap());
        params.not_before = at(from).into();
        params.not_after = at(until).into();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.root).unwrap();
        fs::write(self.folder.path().join("x.pem"), leaf.pem()).unwrap();
        fs::write(self.folder.path().join("x.key"), key.serialize_pem()).unwrap();
    }

    /// What is on disk is served from now on.
    fn care(&mut self) -> Care {
        let at = |name: &str| self.folder.path().join(name);
        let config = CertificateConfig {
            name: "one".to_owned(),
            chain: at("x.pem"),
            key: at("x.key"),
            names: vec!["a.test".to_owned()],
            roots: Roots::File(at("roots.pem")),
            renew_unit: None,
        };
        let names = [HostPattern::Exact("a.test".to_owned())];
        let roots = self.library.roots(&config.roots);
        let examination = Arc::new(Files::read(&config).examine(&config, &names, &roots));
        let in_use = InUse::new(&config, BTreeMap::new(), examination, self.now);
        let mut care = Care::new(config, in_use, roots);
        care.names = names.to_vec();
        care.look_at_files(Instant::now());
        assert_eq!(decide(&mut care, self.now, Instant::now()), None);
        care.judge(self.now);
        care
    }
}

/// As if there were no other certificate.
fn decide(care: &mut Care, now: Timestamp, instant: Instant) -> Option<News> {
    let served = Arc::clone(&care.in_use.examination);
    care.decide(now, instant, |new| objections(new, &served, now))
}

fn faults(care: &Care) -> Vec<Fault> {
    let findings = care.in_use.verdict.findings.iter();
    let timely = findings.filter(|one| one.fault.depends_on_time());
    timely.map(|one| one.fault).collect()
}

#[test]
fn what_time_changes_is_said_at_that_very_moment() {
    let mut world = World::new();
    world.write("a.test", 0, 60);
    let mut care = world.care();
    let mut seen = Vec::new();
    while let Some(due) = care.due {
        // Not a moment earlier.
        let before = due - SignedDuration::from_millis(1);
        let was = faults(&care);
        care.judge(before);
        assert_eq!(faults(&care), was);
        care.judge(due);
        seen.push((due.duration_since(world.now).as_secs(), faults(&care)));
        assert!(care.due.is_none_or(|next| next > due));
    }
    let hour = 60 * 60;
    // The last second is still within the time.
    assert_eq!(
        seen.iter()
            .filter(|(_, faults)| !faults.is_empty())
            .cloned()
            .collect::<Vec<_>>(),
        [
            (40 * hour + 1, vec![Fault::RenewalOverdue]),
            (54 * hour + 1, vec![Fault::ExpiryNear]),
            (57 * hour + 1, vec![Fault::ExpiryImminent]),
            (60 * hour + 1, vec![Fault::Expired]),
        ]
    );
}

#[test]
fn a_clock_that_was_set_is_noticed() {
    let mut world = World::new();
    world.write("a.test", 0, 60);
    let mut care = world.care();
    assert!(!care.judge(world.now + SignedDuration::from_secs(59)));
    assert!(care.judge(world.now + HOUR * 61));
    assert_eq!(faults(&care), [Fault::Expired]);
    assert!(care.judge(world.now));
    assert_eq!(faults(&care), []);
    assert!(care.judge(world.now - HOUR));
    assert_eq!(faults(&care), [Fault::NotYetValid]);
}

#[test]
fn a_pair_whose_time_has_not_come_is_served_when_it_has() {
    let mut world = World::new();
    world.write("a.test", -10, 60);
    let mut care = world.care();
    let (now, instant) = (world.now, Instant::now());
    world.write("a.test", 1, 90);
    care.look_at_files(instant);
    assert!(care.is_in_doubt());
    assert_eq!(decide(&mut care, now, instant), None);
    let later = instant + Duration::from_secs(5);
    let name = || "one".to_owned();
    assert_eq!(
        decide(&mut care, now, later),
        Some(News::Refused { name: name() })
    );
    care.judge(now);
    // Nothing is asked again until something may have changed.
    assert_eq!(care.due, Some(now + HOUR));
    assert_eq!(decide(&mut care, now, later), None);
    assert_eq!(
        decide(&mut care, now + HOUR, later),
        Some(News::Swapped { name: name() })
    );
    assert_eq!(care.in_use.refused, None);
    assert_eq!(care.in_use.swapped, Some(now + HOUR));
}

#[test]
fn a_bad_pair_is_served_when_the_good_one_is_as_bad() {
    let mut world = World::new();
    world.write("a.test", -10, 2);
    let mut care = world.care();
    world.write("b.test", -10, 90);
    let instant = Instant::now();
    care.look_at_files(instant);
    let later = instant + Duration::from_secs(5);
    let name = || "one".to_owned();
    assert_eq!(
        decide(&mut care, world.now, later),
        Some(News::Refused { name: name() })
    );
    care.judge(world.now);
    assert_eq!(decide(&mut care, world.now + HOUR, later), None);
    care.judge(world.now + HOUR);
    assert_eq!(
        decide(&mut care, world.now + HOUR * 3, later),
        Some(News::Swapped { name: name() })
    );
}

#[test]
fn whom_clients_trust_may_change() {
    let mut world = World::new();
    world.write("a.test", -1, 900);
    let mut care = world.care();
    let findings = |care: &Care| care.in_use.verdict.findings.clone();
    let before = findings(&care);
    let instant = Instant::now();
    assert!(!care.look_at_roots(&mut world.library, instant));
    fs::write(
        world.folder.path().join("roots.pem"),
        World::new().root.pem(),
    )
    .unwrap();
    assert!(care.look_at_roots(&mut world.library, instant));
    care.judge(world.now);
    let everyone = |one: &Finding| one.breaks.is_everyone();
    assert!(findings(&care).iter().any(everyone));
    // What is on disk is what is served, so there is nothing to refuse.
    care.look_at_files(instant);
    assert_eq!(decide(&mut care, world.now, instant), None);
    fs::write(world.folder.path().join("roots.pem"), world.root.pem()).unwrap();
    assert!(care.look_at_roots(&mut world.library, instant));
    care.judge(world.now);
    assert_eq!(findings(&care), before);
    assert!(!before.iter().any(everyone));
}

#[test]
fn what_is_served_for_other_names_is_judged_for_those() {
    let mut world = World::new();
    world.write("a.test", -1, 900);
    let mut care = world.care();
    care.address(vec![HostPattern::Exact("b.test".to_owned())]);
    care.judge(world.now);
    let mut findings = care.in_use.verdict.findings.iter();
    assert!(findings.any(|one| one.fault == Fault::NameNotCovered));
}
