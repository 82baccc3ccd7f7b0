//! A certificate ends while clients come.

use std::fs;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use batond::demo::backend::Backend;
use jiff::Timestamp;

use crate::bus::Bus;
use crate::clients::Target;
use crate::crowd::{ask, recorded};
use crate::issue::Identity;
use crate::scene::{HOST, failures};
use crate::support::batond::Launch;
use crate::support::sockets::Sockets;
use crate::world::{World, succeeded};

/// What is raised on the way to the end, and how much of the lifetime is left by then.
const WARNINGS: [(&str, f64); 4] = [
    ("renewal-overdue", 1.0 / 3.0),
    ("expiry-near", 1.0 / 10.0),
    ("expiry-imminent", 1.0 / 20.0),
    ("expired", 0.0),
];

/// Since when each of them has been a problem, as the journal has it.
fn raised(log: &str) -> Vec<(&'static str, Timestamp)> {
    let all = log.lines().filter_map(|line| {
        let (name, _) = WARNINGS
            .iter()
            .find(|(name, _)| line.contains(&format!(" problem {name} (certificate.main)")))?;
        Some((*name, line.split(' ').next()?.parse().unwrap()))
    });
    all.collect()
}

#[test]
fn clients_that_do_not_say_why_are_explained_when_a_certificate_ends() {
    // A machine that is too slow to ask all clients within the life gets more of it.
    let lives = [60, 120, 240, 480];
    assert!(
        lives
            .into_iter()
            .any(|life| ends_live(Duration::from_secs(life)))
    );
}

/// False: it was over too soon.
fn ends_live(life: Duration) -> bool {
    let root = Identity::root("expiry root");
    let from = SystemTime::now();
    let leaf = root.leaf_with(&[HOST], crate::issue::key(), &|leaf| {
        leaf.not_before = from.into();
        leaf.not_after = (from + life).into();
    });
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("chain"), leaf.pem()).unwrap();
    fs::write(path("key"), leaf.key_pem()).unwrap();
    fs::write(path("root"), root.pem()).unwrap();
    let backend = Backend::start().unwrap();
    let mut sockets = Sockets::new();
    let address = sockets.tcp("wss");
    let configuration = format!(
        "[listener.wss]\naddress = \"{address}\"\ncertificates = [\"main\"]\n\
         [certificate.main]\nchain = \"{}\"\nkey = \"{}\"\nroots = \"{}\"\nnames = [\"{HOST}\"]\n\
         [service.echo]\nbackends = [\"{}\"]\n\
         [limits]\nclients = 1000\nhandshake_timeout = \"5m\"\n",
        path("chain").display(),
        path("key").display(),
        path("root").display(),
        backend.address()
    );
    let bus = Bus::start().expect("dbus-daemon (tests/run installs it)");
    let batond = Launch::new(&configuration)
        .sockets(&sockets)
        .variable(
            "DBUS_SYSTEM_BUS_ADDRESS",
            bus.address.split(',').next().unwrap(),
        )
        .start();
    let world = World {
        backend,
        batond,
        bus,
    };
    let targets = [Target {
        name: "before",
        host: HOST.to_owned(),
        port: address.port(),
        roots: path("root"),
    }];
    let before = ask(&targets, &path(""));
    if SystemTime::now() >= from + life {
        return false;
    }
    for (client, (_, verdicts)) in &before {
        assert_eq!(verdicts["before"], None, "{client} before the end");
    }
    let accused = |failures: &serde_json::Value| {
        let all = recorded(failures, "wss");
        let causes = all.into_values().flatten().map(|(.., cause)| cause);
        causes.filter(|cause| !cause.is_empty()).count()
    };
    assert_eq!(accused(&failures(&world)), 0);

    // It is told when the last warning is.
    world
        .batond
        .wait_for_log(" problem expired (certificate.main)", 1);
    let end: Timestamp = (from + life).try_into().unwrap();
    let end = Timestamp::from_second(end.as_second()).unwrap();
    let mut table = String::new();
    let warnings = raised(&world.batond.log());
    let names: Vec<_> = warnings.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, WARNINGS.map(|(name, _)| name));
    for ((name, at), (_, left)) in warnings.iter().zip(WARNINGS) {
        let due = end - life.mul_f64(left);
        table += &format!(
            "{name:<17} due {:>6.1} s before the end, told {:>6.1} s before it\n",
            life.as_secs_f64() * left,
            end.duration_since(*at).as_secs_f64()
        );
        let early = due.duration_since(*at);
        assert!(
            early.as_secs() < 1,
            "{name} was told {early:#} too early\n{table}"
        );
    }

    let targets = [Target {
        name: "after",
        ..targets[0].clone()
    }];
    let again = folder.path().join("again");
    fs::create_dir(&again).unwrap();
    let after = ask(&targets, &again);
    let all = failures(&world);
    let recorded = recorded(&all, "wss");
    for (client, (family, verdicts)) in &after {
        let told = verdicts["after"]
            .as_deref()
            .unwrap_or("(takes it)")
            .replace('\n', " ");
        let told: String = told.chars().take(60).collect();
        let records = recorded.get(*family).cloned().unwrap_or_default();
        let explained = records.iter().filter(|(.., cause)| cause == "expired");
        let explained: Vec<_> = explained.collect();
        table += &format!("{client:<12} {told:<61} {explained:?}\n");
        assert!(verdicts["after"].is_some(), "{client} takes it\n{table}");
        assert!(!explained.is_empty(), "{client}: {records:?}\n{table}");
    }
    for family in ["chromium", "node"] {
        let latest = all["latest"].as_array().unwrap();
        let one = latest
            .iter()
            .find(|one| one["family"] == family && one["cause"] == "expired");
        if let Some(one) = one {
            table += &format!("{}\n", one["what"].as_str().unwrap());
        }
    }
    let output = world.ctl(&["failures", "--limit", "3"]);
    succeeded(&output);
    table += &String::from_utf8(output.stdout).unwrap();
    // For whoever wants to see it: the output of a test that passes is not shown.
    drop(writeln!(io::stderr(), "{table}"));
    true
}
