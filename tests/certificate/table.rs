//! The table: every row, what batond says, and which clients are content.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use batond::certificate::check::{Subject, examine};
use batond::certificate::client::Client;
use batond::certificate::file::File;
use batond::certificate::finding::{Finding, Severity};
use batond::certificate::roots::TrustedRoots;
use batond::config::{HostPattern, Roots};
use jiff::Timestamp;

use super::clients::{Target, Verdicts, ask_all};
use super::row::{Row, Server};
use super::{faulty, healthy, server, unfit, unusable};

/// Findings of critical severity that no client minds, each for its reason.
const CRITICAL_AND_HARMLESS: &[(&str, &str)] = &[
    ("expiry-near", "clients fail soon, not yet"),
    ("expiry-imminent", "clients fail soon, not yet"),
];

/// The row on disk.
struct OnDisk {
    target: Target,
    findings: Vec<Finding>,
    server: Option<server::Running>,
}

#[test]
fn nothing_is_missed_and_no_alarm_is_false() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rows = healthy::rows();
    rows.extend(faulty::rows());
    rows.extend(unfit::rows());
    rows.extend(unusable::rows());
    let on_disk: Vec<OnDisk> = rows.iter().map(|row| prepare(row, folder.path())).collect();
    let is_served = |one: &&OnDisk| one.server.is_some();
    let targets: Vec<Target> = on_disk
        .iter()
        .filter(is_served)
        .map(|one| one.target.clone())
        .collect();
    let asked = ask_all(&targets, folder.path());

    let (mut table, mut wrong) = (String::new(), String::new());
    for (row, one) in rows.iter().zip(&on_disk) {
        line(&mut table, row, one, &asked);
        judge(&mut wrong, row, one, &asked);
    }
    println!("{} rows\n{table}", rows.len());
    assert!(wrong.is_empty(), "{wrong}");
}

fn prepare(row: &Row, folder: &Path) -> OnDisk {
    let at = |ending: &str| folder.join(format!("{}.{ending}", row.name));
    let (chain, key, roots) = (at("chain"), at("key"), at("roots"));
    fs::write(&chain, &row.chain).expect("write the chain");
    fs::write(&key, &row.key).expect("write the key");
    fs::write(&roots, &row.roots).expect("write the roots");
    let findings = examine(Subject {
        chain: &File::read(&chain),
        key: &File::read(&key),
        names: &[HostPattern::Exact(row.host.clone())],
        roots: &TrustedRoots::read(&Roots::File(roots.clone())),
        renew_unit: None,
    })
    .verdict(Timestamp::now())
    .findings;
    let server = match row.server {
        Server::Batond => Some(server::batond(&chain, &key)),
        Server::Openssl => Some(server::openssl(&chain, &key)),
        Server::Nobody => None,
    };
    let target = Target {
        name: row.name,
        host: row.host.clone(),
        port: server.as_ref().map_or(0, |server| server.port),
        roots,
    };
    OnDisk {
        target,
        findings,
        server,
    }
}

type Asked = [(&'static str, Client, Verdicts)];

/// One line for the row, and one for each finding.
fn line(table: &mut String, row: &Row, one: &OnDisk, asked: &Asked) {
    let of = |(client, _, verdicts): &(&str, Client, Verdicts)| match verdicts.get(row.name) {
        Some(None) => format!("{client} ok"),
        Some(Some(_)) => format!("{client} FAILS"),
        None => format!("{client} -"),
    };
    let clients: Vec<String> = asked.iter().map(of).collect();
    let _ = writeln!(table, "{} ({}): {}", row.name, row.made, clients.join(", "));
    for finding in &one.findings {
        let _ = writeln!(table, "    {finding}");
    }
}

fn judge(wrong: &mut String, row: &Row, one: &OnDisk, asked: &Asked) {
    let mut said: Vec<String> = one.findings.iter().map(|it| it.fault.to_string()).collect();
    said.sort();
    if said != row.expected {
        let expected = row.expected;
        let _ = writeln!(
            wrong,
            "{}: {said:?} is said, expected is {expected:?}",
            row.name
        );
    }
    let verdicts: BTreeMap<_, _> = asked
        .iter()
        .filter_map(|(client, family, all)| Some((*client, (*family, all.get(row.name)?))))
        .collect();
    for (client, (family, verdict)) in &verdicts {
        let told = one.findings.iter().any(|it| it.breaks.contains(*family));
        if let Some(error) = verdict
            && !told
        {
            let _ = writeln!(wrong, "{}: missed that {client} fails: {error}", row.name);
        }
    }
    if verdicts.is_empty() {
        return;
    }
    for finding in one
        .findings
        .iter()
        .filter(|it| it.severity == Severity::Critical)
    {
        let name = finding.fault.to_string();
        let excused = CRITICAL_AND_HARMLESS
            .iter()
            .any(|(harmless, _)| *harmless == name);
        let fails = verdicts
            .values()
            .any(|(family, verdict)| verdict.is_some() && finding.breaks.contains(*family));
        if !fails && !excused {
            let _ = writeln!(wrong, "{}: {name}, but all clients are content", row.name);
        }
    }
    // What batond refuses nobody gets from it, whatever they would say.
    for finding in one.findings.iter().filter(|it| !it.fault.prevents_use()) {
        for family in finding.breaks.iter() {
            let mut of_it = verdicts.values().filter(|(of, _)| *of == family).peekable();
            if of_it.peek().is_some() && of_it.all(|(_, verdict)| verdict.is_none()) {
                let fault = finding.fault;
                let _ = writeln!(wrong, "{}: {family:?} does not fail of {fault}", row.name);
            }
        }
    }
}
