//! Certificates with each common fault, and real clients that do not take them.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;

use batond::demo::backend::Backend;
use rcgen::ExtendedKeyUsagePurpose;

use crate::bus::Bus;
use crate::clients::Target;
use crate::crowd::{ask, recorded};
use crate::issue::{Identity, bundle, lives};
use crate::scene::failures;
use crate::support::batond::Launch;
use crate::support::sockets::Sockets;
use crate::world::World;

/// Name of the row, names of the finding that explains it, the chain, and the root that clients
/// trust.
type Row = (
    &'static str,
    &'static [&'static str],
    Vec<Identity>,
    Identity,
);

fn rows() -> Vec<Row> {
    fn row(
        name: &'static str,
        causes: &'static [&'static str],
        make: &dyn Fn(&str, &Identity) -> Vec<Identity>,
    ) -> Row {
        let root = Identity::root(&format!("{name} root"));
        let chain = make(&format!("{name}.test"), &root);
        (name, causes, chain, root)
    }
    let key = crate::issue::key;
    vec![
        row("healthy", &[], &|host, root| {
            let ca = root.authority("healthy ca");
            vec![ca.leaf(&[host]), ca]
        }),
        row("expired", &["expired"], &|host, root| {
            vec![root.leaf_with(&[host], key(), &|leaf| lives(leaf, -90.0, -1.0))]
        }),
        row("early", &["not-yet-valid"], &|host, root| {
            vec![root.leaf_with(&[host], key(), &|leaf| lives(leaf, 1.0, 90.0))]
        }),
        row("misnamed", &["name-not-covered"], &|_, root| {
            vec![root.leaf(&["elsewhere.test"])]
        }),
        row("incomplete", &["chain-incomplete"], &|host, root| {
            vec![root.authority("incomplete ca").leaf(&[host])]
        }),
        row(
            "untrusted",
            &["untrusted-root", "chain-incomplete"],
            &|host, _| vec![Identity::root("nobody's root").leaf(&[host])],
        ),
        row("purpose", &["wrong-purpose"], &|host, root| {
            vec![root.leaf_with(&[host], key(), &|leaf| {
                leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            })]
        }),
    ]
}

#[test]
fn what_clients_say_and_do_not_say_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::start().unwrap();
    let mut sockets = Sockets::new();
    let mut configuration = format!(
        "[service.echo]\nbackends = [\"{}\"]\n[limits]\nclients = 1000\nhandshake_timeout = \"5m\"\n",
        backend.address()
    );
    let rows = rows();
    let mut targets = Vec::new();
    for (name, _, chain, root) in &rows {
        let path = |what: &str| folder.path().join(format!("{name}.{what}"));
        fs::write(path("chain"), bundle(&chain.iter().collect::<Vec<_>>())).unwrap();
        fs::write(path("key"), chain[0].key_pem()).unwrap();
        fs::write(path("root"), root.pem()).unwrap();
        let address: SocketAddr = sockets.tcp(name);
        let host = format!("{name}.test");
        configuration += &format!(
            "[listener.{name}]\naddress = \"{address}\"\ncertificates = [\"{name}\"]\n\
             [certificate.{name}]\nchain = \"{}\"\nkey = \"{}\"\nroots = \"{}\"\n\
             names = [\"{host}\"]\n",
            path("chain").display(),
            path("key").display(),
            path("root").display(),
        );
        targets.push(Target {
            name,
            host,
            port: address.port(),
            roots: path("root"),
        });
    }
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

    let said = ask(&targets, folder.path());
    assert!(said.contains_key("rustls"));
    let failures = failures(&world);
    let mut table = String::new();
    for (name, causes, ..) in &rows {
        let recorded = recorded(&failures, name);
        for (client, (family, verdicts)) in &said {
            let verdict = &verdicts[*name];
            let records = recorded.get(*family).cloned().unwrap_or_default();
            let told = verdict
                .as_deref()
                .unwrap_or("(takes it)")
                .replace('\n', " ");
            let told: String = told.chars().take(60).collect();
            table += &format!("{name:<11} {client:<12} {told:<61} {records:?}\n");
            if verdict.is_none() {
                continue;
            }
            assert!(
                !records.is_empty(),
                "{name}: {client} left no trace\n{table}"
            );
            for (reason, _, cause) in &records {
                assert!(
                    causes.contains(&cause.as_str()),
                    "{name}: {client}: {reason} is put down to {cause:?}\n{table}"
                );
            }
        }
        if causes.is_empty() {
            let accused = |(reason, ..): &(String, u64, String)| reason.starts_with("certificate-");
            assert!(
                !recorded.values().flatten().any(accused),
                "{name}: {recorded:?}"
            );
        }
    }
    // For whoever wants to see it: the output of a test that passes is not shown.
    drop(writeln!(io::stderr(), "{table}"));
}
