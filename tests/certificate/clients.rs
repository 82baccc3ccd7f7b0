//! Real clients, each let at every server: what they say of the certificate.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use batond::certificate::client::Client;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Serialize;

/// A server, and what a client needs to judge it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// A PEM file.
    pub(crate) roots: PathBuf,
}

/// By the name of the row: content, or why not.
pub(crate) type Verdicts = BTreeMap<String, Option<String>>;

/// Every client that is on this machine, with the family that it stands for.
pub(crate) fn ask_all(targets: &[Target], folder: &Path) -> Vec<(&'static str, Client, Verdicts)> {
    let file = folder.join("targets.json");
    fs::write(&file, serde_json::to_vec(targets).expect("JSON")).expect("write a file");
    let read = |output: Vec<u8>| serde_json::from_slice(&output).expect("verdicts");
    let file = &file;
    let run = |program: &str, name: &str| script(program, name, &[file.as_os_str()], folder);
    // Side by side: most of the time each waits for its processes.
    let (asked, python) = thread::scope(|scope| {
        let commands = [
            (
                "openssl",
                Client::Openssl,
                "openssl",
                openssl as fn(&Target) -> Command,
            ),
            ("curl", Client::Openssl, "curl", curl),
            ("gnutls", Client::Gnutls, "gnutls-cli", gnutls),
        ]
        .map(|(name, family, program, ask)| {
            (
                name,
                family,
                scope.spawn(move || each(targets, program, ask)),
            )
        });
        let node = scope.spawn(|| run("node", "judge.mjs").map(read));
        let rustls = scope.spawn(|| Some(rustls_all(targets)));
        let chromium = scope.spawn(|| chromium(targets, file, folder).map(read));
        let python = scope.spawn(|| run("python3", "judge.py"));
        let asked: Vec<_> = commands
            .into_iter()
            .chain([
                ("node", Client::Openssl, node),
                ("rustls", Client::Rustls, rustls),
                ("chromium", Client::Chromium, chromium),
            ])
            .map(|(name, family, it)| (name, family, it.join().expect("the client was asked")))
            .collect();
        (asked, python.join().expect("Python was asked"))
    });
    let python: Option<BTreeMap<String, Verdicts>> =
        python.map(|output| serde_json::from_slice(&output).expect("verdicts"));
    let python = |name: &str| python.as_ref().and_then(|all| all.get(name).cloned());
    asked
        .into_iter()
        .chain([
            ("python", Client::Openssl, python("python")),
            ("python-3.13", Client::Python, python("python-3.13")),
        ])
        .filter_map(|(name, family, verdicts)| {
            if verdicts.is_none() {
                // Straight to the terminal: the output of a test that passes is not shown.
                drop(writeln!(
                    io::stderr(),
                    "skipped: {name} is not on this machine (run tests/certificate/install)"
                ));
            }
            Some((name, family, verdicts?))
        })
        .collect()
}

fn each(targets: &[Target], program: &str, ask: fn(&Target) -> Command) -> Option<Verdicts> {
    find(program)?;
    let verdicts = targets.iter().map(|target| {
        let output = ask(target).stdin(Stdio::null()).output();
        let output = output.expect("start the client");
        let told = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        let error = (!output.status.success()).then(|| told.chars().take(300).collect());
        (target.name.to_owned(), error)
    });
    Some(verdicts.collect())
}

fn is_address(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

fn openssl(target: &Target) -> Command {
    let mut command = Command::new("timeout");
    command
        .args([
            "30",
            "openssl",
            "s_client",
            "-brief",
            "-verify_return_error",
        ])
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(&target.roots)
        .args(["-connect", &format!("127.0.0.1:{}", target.port)]);
    if is_address(&target.host) {
        command.args(["-noservername", "-verify_ip", &target.host]);
    } else {
        command.args([
            "-servername",
            &target.host,
            "-verify_hostname",
            &target.host,
        ]);
    }
    command
}

fn curl(target: &Target) -> Command {
    let Target { host, port, .. } = target;
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--noproxy",
            "*",
        ])
        .args(["--output", "/dev/null", "--cacert"])
        .arg(&target.roots)
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
        .arg(format!("https://{host}:{port}/"));
    command
}

fn gnutls(target: &Target) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["30", "gnutls-cli", "--x509cafile"])
        .arg(&target.roots)
        .args(["--port", &target.port.to_string()])
        .arg(format!("--verify-hostname={}", target.host));
    if !is_address(&target.host) {
        command.arg(format!("--sni-hostname={}", target.host));
    }
    command.arg("127.0.0.1");
    command
}

fn script(
    program: &str,
    script: &str,
    arguments: &[&std::ffi::OsStr],
    home: &Path,
) -> Option<Vec<u8>> {
    find(program)?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificate");
    let output = Command::new(program)
        .arg(here.join(script))
        .args(arguments)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("start the client");
    assert!(output.status.success(), "{script} failed");
    Some(output.stdout)
}

fn rustls_all(targets: &[Target]) -> Verdicts {
    let verdict = |target: &Target| (target.name.to_owned(), rustls(target).err());
    targets.iter().map(verdict).collect()
}

fn rustls(target: &Target) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let mut roots = RootCertStore::empty();
    let pem = CertificateDer::pem_file_iter(&target.roots).expect("read the roots");
    roots.add_parsable_certificates(pem.map(|one| one.expect("PEM")));
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(target.host.clone()).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|e| told(&e))?;
    let socket = TcpStream::connect(("127.0.0.1", target.port)).map_err(|e| told(&e))?;
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .map_err(|e| told(&e))?;
    let mut stream = StreamOwned::new(connection, socket);
    stream
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .map_err(|e| told(&e))
}

/// Trusts the roots of all rows: no row has another one's.
fn chromium(targets: &[Target], file: &Path, folder: &Path) -> Option<Vec<u8>> {
    let browser = find("chromium").or_else(|| find("chromium-browser"))?;
    find("certutil")?;
    let home = folder.join("home");
    let database = home.join(".pki/nssdb");
    fs::create_dir_all(&database).expect("make a folder");
    let database = format!("sql:{}", database.display());
    let certutil = |arguments: &[&str]| {
        let output = Command::new("certutil")
            .args(["-d", &database])
            .args(arguments)
            .output();
        let output = output.expect("start certutil");
        assert!(
            output.status.success(),
            "certutil {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    certutil(&["-N", "--empty-password"]);
    for target in targets {
        let roots = CertificateDer::pem_file_iter(&target.roots).expect("read the roots");
        for (number, root) in roots.enumerate() {
            let der = folder.join("root.der");
            // Trusted as an authority, and as a server if it is one itself.
            fs::write(&der, root.expect("PEM")).expect("write the root");
            let nickname = format!("{}-{number}", target.name);
            let der = der.to_str().expect("UTF-8");
            certutil(&["-A", "-t", "CP,,", "-n", &nickname, "-i", der]);
        }
    }
    let profile = folder.join("profile");
    let arguments = [file.as_os_str(), browser.as_os_str(), profile.as_os_str()];
    script("node", "judge_chromium.mjs", &arguments, &home)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
