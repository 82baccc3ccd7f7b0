//! A key is never told, however much is told.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustls::version::TLS13;

use crate::client::{connect, rustls, shake_hands};
use crate::issue::{Identity, key_for};
use crate::scene::HOST;
use crate::world::address;

/// Everything that tells a private key: the lines of its PEM, and its bytes as `Debug` and
/// hexadecimal digits have them.
fn traces(identity: &Identity) -> Vec<String> {
    let pem = identity.key_pem();
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let der = identity.key_der();
    // The last part of PKCS #8 for such a key is the public one: the secret lies in the middle.
    let secret = &der[36..52];
    let decimal: Vec<String> = secret.iter().map(ToString::to_string).collect();
    let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut traces: Vec<String> = lines.take(2).map(str::to_owned).collect();
    let bytes = |line: &String| {
        let all: Vec<String> = line.bytes().map(|byte| byte.to_string()).collect();
        all.join(", ")
    };
    traces.extend(traces.clone().iter().map(bytes));
    traces.extend([decimal.join(", "), hexadecimal.to_uppercase(), hexadecimal]);
    traces
}

#[test]
fn no_key_is_told_even_if_everything_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let root = Identity::root("secret root");
    let key = || key_for(&rcgen::PKCS_ECDSA_P256_SHA256);
    let all = [(); 3].map(|()| root.leaf_with(&[HOST], key(), &|_| {}));
    let write = |chain: &Identity, key: &Identity| {
        fs::write(path("chain"), chain.pem()).unwrap();
        fs::write(path("key"), key.key_pem()).unwrap();
    };
    write(&all[0], &all[0]);
    fs::write(path("root"), root.pem()).unwrap();
    let address = address();
    let configuration = format!(
        "[listener.wss]\naddress = \"{address}\"\ncertificates = [\"main\"]\n\
         [certificate.main]\nchain = \"{}\"\nkey = \"{}\"\nroots = \"{}\"\nnames = [\"{HOST}\"]\n\
         [service.echo]\nbackends = [\"127.0.0.1:9\"]\n[limits]\nclients = 1000\n",
        path("chain").display(),
        path("key").display(),
        path("root").display(),
    );
    fs::write(path("batond.toml"), &configuration).unwrap();
    let mut batond = Command::new(env!("CARGO_BIN_EXE_batond"))
        .args(["--log-level", "trace", "--config"])
        .arg(path("batond.toml"))
        .env(
            "DBUS_SYSTEM_BUS_ADDRESS",
            format!("unix:path={}", path("no-bus").display()),
        )
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&batond);
    let mut said = String::new();
    let mut lines = BufReader::new(batond.stderr.take().unwrap()).lines();
    let mut until = |what: &str| loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("it ended before {what:?}"))
            .unwrap();
        let found = line.contains(what);
        said += &line;
        said.push('\n');
        if found {
            return;
        }
    };
    until("ready: 1 listening sockets");
    // One that is taken and one that is not, a renewal, and a key that is not the certificate's.
    for root in [Some(&root), None] {
        let mut client = rustls(HOST, root, &[&TLS13]);
        let mut socket = connect(address);
        shake_hands(&mut client, &mut socket);
        let _ = socket.write_all(b"");
    }
    until("unknown_ca (48)");
    write(&all[1], &all[1]);
    until("a renewed certificate is in service");
    write(&all[1], &all[2]);
    kill_process(pid, Signal::HUP).unwrap();
    until("reload failed");
    kill_process(pid, Signal::TERM).unwrap();
    while let Some(Ok(line)) = lines.next() {
        said += &line;
        said.push('\n');
    }
    batond.wait().unwrap();
    assert!(
        said.contains("TRACE") || said.contains("DEBUG"),
        "nothing is told: {said}"
    );
    for identity in &all {
        for trace in traces(identity) {
            assert!(trace.len() >= 32, "{trace}");
            assert!(!said.contains(&trace), "{trace} is told: {said}");
        }
    }

    // Nor by whoever prints what it has.
    let chain = batond::certificate::file::File::read(&path("chain"));
    let file = batond::certificate::file::File::read(&path("key"));
    let private = batond::certificate::pem::private_key(&file).unwrap();
    write(&all[2], &all[2]);
    let pair = batond::certificate::load::load(&path("chain"), &path("key")).unwrap();
    let refused = batond::certificate::load::pair(&chain, &file).unwrap_err();
    let told = format!("{private:?} {pair:?} {refused:?} {file:?}");
    for trace in traces(&all[2]) {
        assert!(!told.contains(&trace), "{trace} is told: {told}");
    }
}
