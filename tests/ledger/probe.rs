//! What batond sees when it looks through its own listeners.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use batond::certificate::leaf;
use batond::certificate::load;
use batond::certificate::probe::{Candidate, Job, Kind, Report, Way, look};
use batond::certificate::resolver::Resolver;
use batond::config::{Address, Roots};
use batond::demo::backend::Backend;
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::bus::Bus;
use crate::issue::Identity;
use crate::scene::{HOST, Scene, failures};
use crate::scrape::samples;
use crate::support::PATIENCE;
use crate::support::batond::Launch;
use crate::support::sockets::Sockets;
use crate::world::{World, succeeded};

/// What `batonctl certificates` knows of the look, once there was one that saw this.
fn seen(world: &World, what: &str) -> String {
    let begun = Instant::now();
    loop {
        let output = world.ctl(&["certificates", "--json"]);
        succeeded(&output);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let probe = all[0]["probe"].as_str().unwrap().to_owned();
        if probe.starts_with(what) {
            return probe;
        }
        assert!(begun.elapsed() < PATIENCE, "{probe:?} instead of {what:?}");
    }
}

fn problems(world: &World) -> Vec<String> {
    let output = world.ctl(&["problems", "--json"]);
    succeeded(&output);
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    all.iter().map(name).collect()
}

#[test]
fn a_look_of_its_own_is_neither_a_client_nor_a_failure() {
    let (scene, _) = Scene::healthy("");
    assert_eq!(seen(&scene.world, "good"), "good");
    let counts = failures(&scene.world)["counts"].clone();
    let counts = counts.as_object().unwrap();
    assert!(counts.values().all(|count| *count == 0), "{counts:?}");
    let samples = samples(scene.metrics);
    assert_eq!(samples["batond_tls_handshakes_total{result=\"full\"}"], 0.0);
    assert_eq!(
        samples["batond_tls_handshakes_total{result=\"failed\"}"],
        0.0
    );
    // Two versions, and nobody else came.
    assert_eq!(samples["batond_accepted_total"], 2.0);
}

/// A daemon that listens on a Unix socket, whose name is not its own any more.
fn behind(path: &Path, root: &Identity, leaf: &Identity, folder: &Path) -> World {
    fs::write(folder.join("chain"), leaf.pem()).unwrap();
    fs::write(folder.join("key"), leaf.key_pem()).unwrap();
    fs::write(folder.join("root"), root.pem()).unwrap();
    let mut sockets = Sockets::new();
    sockets.unix("wss", path);
    let backend = Backend::start().unwrap();
    let configuration = format!(
        "[listener.wss]\naddress = \"unix:{}\"\ncertificates = [\"main\"]\n\
         [certificate.main]\nchain = \"{}\"\nkey = \"{}\"\nroots = \"{}\"\nnames = [\"{HOST}\"]\n\
         [service.echo]\nbackends = [\"{}\"]\n[limits]\nclients = 1000\n",
        path.display(),
        folder.join("chain").display(),
        folder.join("key").display(),
        folder.join("root").display(),
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
    World {
        backend,
        batond,
        bus,
    }
}

#[test]
fn somebody_else_on_the_same_address_is_seen_and_nobody_is_no_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wss.sock");
    let root = Identity::root("batond test root");
    let world = behind(&path, &root, &root.leaf(&[HOST]), folder.path());

    // Nobody can get there, which says nothing about anybody else.
    let own = folder.path().join("own.sock");
    fs::rename(&path, &own).unwrap();
    world.reload();
    let why = seen(&world, "not possible: ");
    assert!(
        why.contains("chat.test on listener wss with TLS 1"),
        "{why}"
    );
    assert!(why.contains("cannot connect to unix:"), "{why}");
    assert_eq!(problems(&world), [""; 0]);
    world
        .batond
        .wait_for_log("(nothing is wrong because of that)", 1);

    // Somebody whose certificate is as good.
    let other = server(UnixListener::bind(&path).unwrap(), &root.leaf(&[HOST]));
    world.reload();
    let why = seen(&world, "bad: ");
    assert!(why.contains("is shown another certificate"), "{why}");
    assert_eq!(problems(&world), ["served-certificate-differs"]);

    fs::rename(&own, &path).unwrap();
    world.reload();
    assert_eq!(seen(&world, "good"), "good");
    assert_eq!(problems(&world), [""; 0]);
    drop(other);
}

/// Serves this certificate to everybody, for as long as there is somebody.
fn server(listener: UnixListener, leaf: &Identity) -> std::thread::JoinHandle<()> {
    let key = leaf.key_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().into()], key)
        .unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, socket.unwrap());
            let _ = stream.read(&mut [0]);
        }
    })
}

/// One certificate on one Unix socket, and what there is to see of it.
struct View {
    folder: tempfile::TempDir,
    job: Job,
}

impl View {
    fn of(leaf: &Identity, root: &Identity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("chain"), leaf.pem()).unwrap();
        fs::write(path("key"), leaf.key_pem()).unwrap();
        fs::write(path("root"), root.pem()).unwrap();
        let pair = load::load(&path("chain"), &path("key")).unwrap();
        let fingerprint = leaf::fingerprint(&pair).unwrap();
        let resolver = Arc::new(Resolver::new(&[(pair, Vec::new())]).unwrap());
        let job = Job {
            protocol: "nobody".to_owned(),
            ways: vec![Way {
                listener: "wss".to_owned(),
                address: Address::Unix(path("socket")),
                resolver,
                name: HOST.to_owned(),
            }],
            certificates: vec![Candidate {
                name: "main".to_owned(),
                fingerprint,
                chain: path("chain"),
                roots: Roots::File(path("root")),
                is_known_bad: false,
                is_refused: false,
            }],
        };
        Self { folder, job }
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(self.folder.path().join("socket")).unwrap()
    }

    fn report(&self) -> Report {
        let mut reports = look(&self.job);
        assert_eq!(reports.len(), 1);
        reports.remove(0).1
    }

    fn kinds(&self) -> Vec<Kind> {
        let troubles = self.report().troubles;
        troubles.iter().map(|trouble| trouble.kind).collect()
    }
}

#[test]
fn every_kind_of_trouble_is_told_apart() {
    let root = Identity::root("batond test root");
    let leaf = root.leaf(&[HOST]);
    let good = View::of(&leaf, &root);
    server(good.listen(), &leaf);
    let report = good.report();
    assert_eq!((report.shaken, report.troubles.len()), (2, 0), "{report:?}");
    assert_eq!(report.impossible, "");

    let mut stale = View::of(&leaf, &root);
    server(stale.listen(), &leaf);
    fs::write(&stale.job.certificates[0].chain, root.leaf(&[HOST]).pem()).unwrap();
    assert_eq!(stale.kinds(), [Kind::Stale]);
    stale.job.certificates[0].is_refused = true;
    assert_eq!(stale.kinds(), []);

    let mut rejected = View::of(&leaf, &Identity::root("somebody"));
    server(rejected.listen(), &leaf);
    assert_eq!(rejected.kinds(), [Kind::Rejected, Kind::Rejected]);
    rejected.job.certificates[0].is_known_bad = true;
    assert_eq!(rejected.kinds(), []);

    let fails = View::of(&leaf, &root);
    let listener = fails.listen();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            socket
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
        }
    });
    assert_eq!(fails.kinds(), [Kind::Fails, Kind::Fails]);

    // Who is cut off without a word is not let in, as by a firewall, and knows nothing.
    let silent = View::of(&leaf, &root);
    let listener = silent.listen();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let report = silent.report();
    assert_eq!((report.shaken, report.troubles.len()), (0, 0), "{report:?}");
    assert!(
        report.impossible.contains("no answer from unix:"),
        "{report:?}"
    );
}
