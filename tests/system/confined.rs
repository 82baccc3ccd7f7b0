//! Everything works under the unit as it is shipped: the user, the file system, the system calls
//! and the name spaces that it leaves the daemon, with keys that the daemon may only just read.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Client, PATIENCE, PORT};
use crate::installation::{CONFIGURATION_FILE, application, install};
use crate::machine::Machine;
use crate::support::certificate::Authority;

on_each_release! {
    a_key_that_only_a_group_may_read_serves
    a_key_that_only_root_may_read_serves_as_a_credential
}

const NAME: &str = "chat.example.org";

/// Where the key is read from, and what the unit gets for that.
struct Key {
    path: &'static str,
    owner: &'static str,
    mode: u32,
    drop_in: &'static str,
    configured: &'static str,
}

fn a_key_that_only_a_group_may_read_serves(machine: &Machine) {
    let authority = set(
        machine,
        &Key {
            path: "/etc/ssl/private/chat.key",
            owner: "root:ssl-cert",
            mode: 0o640,
            drop_in: "SupplementaryGroups=ssl-cert",
            configured: "/etc/ssl/private/chat.key",
        },
    );
    everything_works(machine, &authority);
    // Another certificate is in use after a reload: the key can be opened at any time.
    let before = fingerprint(machine);
    renew(machine, &authority, "/etc/ssl/private/chat.key");
    machine.check(&["systemctl", "reload", "batond"]);
    assert_ne!(fingerprint(machine), before);
    shake_hands(machine, &authority);
    // The user alone may not, so it is the group of the unit that opens it.
    let said = machine.run(&[
        "systemd-run",
        "--pipe",
        "--wait",
        "--uid=batond",
        "--",
        "cat",
        "/etc/ssl/private/chat.key",
    ]);
    assert!(!said.status.success(), "anybody may read the key");
}

fn a_key_that_only_root_may_read_serves_as_a_credential(machine: &Machine) {
    let authority = set(
        machine,
        &Key {
            path: "/etc/ssl/private/chat.key",
            owner: "root:root",
            mode: 0o600,
            drop_in: "LoadCredential=chat.key:/etc/ssl/private/chat.key",
            configured: "/run/credentials/batond.service/chat.key",
        },
    );
    everything_works(machine, &authority);
    // systemd copies it at the start of the unit: another takes a restart, which keeps the door
    // open.
    let before = fingerprint(machine);
    renew(machine, &authority, "/etc/ssl/private/chat.key");
    machine.check(&["systemctl", "restart", "batond"]);
    assert_ne!(fingerprint(machine), before);
    shake_hands(machine, &authority);
}

fn set(machine: &Machine, key: &Key) -> Authority {
    let authority = Authority::new();
    install(machine);
    application(machine);
    machine.check(&["groupadd", "--force", "--system", "ssl-cert"]);
    renew(machine, &authority, key.path);
    machine.check(&["chown", key.owner, key.path]);
    machine.check(&["chmod", &format!("{:o}", key.mode), key.path]);
    machine.check(&["chmod", "0711", "/etc/ssl/private"]);
    machine.put("/etc/batond/root.pem", &authority.pem());
    machine.put(
        "/etc/systemd/system/batond.service.d/key.conf",
        &format!("[Service]\n{}\n", key.drop_in),
    );
    machine.put(
        CONFIGURATION_FILE,
        &format!(
            "[listener.wss]\naddress = \"[::]:{PORT}\"\ncertificates = [\"chat\"]\n\
             [listener.own]\naddress = \"127.0.0.1:8081\"\n\
             [certificate.chat]\nchain = \"/etc/ssl/certs/chat.pem\"\nkey = \"{}\"\n\
             names = [\"{NAME}\"]\nroots = \"root.pem\"\n\
             [service.echo]\nbackends = [\"127.0.0.1:8080\"]\n\
             [limits]\nclients = 1000\n\
             [metrics]\nlisten = \"unix:/run/batond/metrics.sock\"\n",
            key.configured
        ),
    );
    machine.check(&["systemctl", "daemon-reload"]);
    machine.check(&["systemctl", "start", "batond"]);
    authority
}

/// Issues a certificate. The key's file stays the same, and with it who may read it.
fn renew(machine: &Machine, authority: &Authority, key: &str) {
    let folder = tempfile::tempdir().expect("make a folder");
    let (chain, made) = authority.issue(&[NAME]).write(folder.path(), "chat");
    machine.install_file(chain, "/etc/ssl/certs/chat.pem", 0o644);
    let text = std::fs::read(made).expect("read a key");
    let place = machine.path(key);
    let present = std::fs::metadata(&place).is_ok();
    std::fs::write(&place, text).expect("write a key");
    if !present {
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&place, private).expect("set permissions");
    }
}

fn everything_works(machine: &Machine, authority: &Authority) {
    shake_hands(machine, authority);
    // D-Bus, as the daemon's own name.
    let status = machine.check(&["batonctl", "status"]);
    assert!(status.contains("serving"), "{status}");
    // A reload.
    machine.check(&["systemctl", "reload", "batond"]);
    // A handoff, twice, so that a successor hands over, too.
    for _ in 0..2 {
        let old = machine.property("batond", "MainPID");
        let client = Client::open_at(machine, 8081);
        machine.check(&["batonctl", "upgrade"]);
        assert_eq!(client.farewell().code(), 1012);
        assert_ne!(machine.property("batond", "MainPID"), old);
        shake_hands(machine, authority);
    }
    // The descriptor store: the listener that batond bound itself outlives a crash, and so does the
    // socket of the metrics.
    let stored: u32 = machine
        .property("batond", "NFileDescriptorStore")
        .parse()
        .expect("a number");
    assert!(stored >= 3, "{stored}");
    let died = machine.main_process("batond");
    died.signal(Signal::KILL);
    assert!(died.wait_gone(PATIENCE));
    Client::open_at(machine, 8081).echo("after a crash");
    shake_hands(machine, authority);
    let mut scrape = UnixStream::connect(machine.path("/run/batond/metrics.sock"))
        .expect("the socket of the metrics answers");
    scrape
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("ask");
    let mut text = String::new();
    scrape.read_to_string(&mut text).expect("read");
    for figure in [
        "process_open_fds ",
        "process_max_fds ",
        "process_start_time_seconds ",
    ] {
        assert!(text.contains(figure), "{text}");
    }
    // Nothing that it was refused has been noticed by systemd or by itself.
    let denied = machine.check(&["journalctl", "--no-pager", "-u", "batond"]);
    for sign in [
        "SIGSYS",
        "Operation not permitted",
        "Permission denied",
        "Read-only",
    ] {
        assert!(!denied.contains(sign), "{denied}");
    }
}

/// A whole handshake, by a client that trusts the authority alone.
fn shake_hands(machine: &Machine, authority: &Authority) {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("a certificate");
    roots.add(root).expect("a root");
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = machine.connect(PORT).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut stream = StreamOwned::new(connection, stream);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: chat.example.org\r\nConnection: close\r\n\r\n")
        .expect("a handshake, and a request");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer[..9], b"HTTP/1.1 ");
}

fn fingerprint(machine: &Machine) -> String {
    let text = machine.check(&["batonctl", "certificates", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let one = all[0]["fingerprint"].as_str();
    one.expect("a fingerprint").to_owned()
}
