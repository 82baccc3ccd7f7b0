//! batond in a machine, with TLS, in front of an application of one unit or of two.

use std::path::Path;

use rustls::version::{TLS12, TLS13};

use crate::crowd::trust::{NAME, Trust};
use crate::installation::{CONFIGURATION_FILE, install};
use crate::machine::Machine;
use crate::support::certificate::Authority;

/// The port of the shipped batond.socket.
pub(super) const PORT: u16 = 443;

/// As an operator would write it, but for `Type=`: systemd says that the unit is started as soon
/// as the program runs, and that is for the probe to find out.
const CHAT: &str = "
[Service]
Type=exec
ExecStart=/usr/bin/node /usr/local/lib/chat.js 808%i
Restart=on-failure
RestartSec=1s
DynamicUser=yes
LimitNOFILE=16384

[Install]
WantedBy=multi-user.target
";

/// Time for a machine that is busy with the crowd.
const SETTINGS: &str = r#"
[restart]
deadline = "400s"
close_timeout = "300s"
hold = "500s"

[limits]
clients = 8000
handshake_timeout = "300s"
"#;

/// Which units serve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    One,
    Two,
}

/// Installs, configures and starts everything, with one unit.
pub(super) fn set(machine: &Machine) -> Trust {
    machine.put("/usr/local/lib/chat.js", include_str!("chat.js"));
    machine.put("/etc/systemd/system/chat@.service", CHAT);
    let rule = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/50-batond.rules");
    machine.install_file(rule, "/etc/polkit-1/rules.d/50-batond.rules", 0o644);
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("make a folder");
    let (chain, key) = authority.issue(&[NAME]).write(folder.path(), "chat");
    machine.install_file(chain, "/etc/batond/chat.pem", 0o644);
    machine.install_file(key, "/etc/batond/chat.key", 0o644);
    machine.put("/etc/batond/root.pem", &authority.pem());
    configure(machine, Units::One);
    install(machine);
    machine.check(&["systemctl", "enable", "--now", "chat@1", "chat@2"]);
    machine.check(&["systemctl", "start", "batond"]);
    Trust::new(&authority.pem(), &[&TLS13, &TLS12])
}

/// Writes the configuration.
pub(super) fn configure(machine: &Machine, units: Units) {
    let one = r#"{ address = "127.0.0.1:8081", unit = "chat@1.service" }"#;
    let two = r#"{ address = "127.0.0.1:8082", unit = "chat@2.service" }"#;
    let backends = match units {
        Units::One => one.to_owned(),
        Units::Two => format!("{one}, {two}"),
    };
    let configuration = format!(
        "[listener.wss]\naddress = \"[::]:{PORT}\"\ncertificates = [\"chat\"]\n\
         [certificate.chat]\nchain = \"chat.pem\"\nkey = \"chat.key\"\nnames = [\"{NAME}\"]\n\
         roots = \"root.pem\"\n[service.chat]\nbackends = [{backends}]\n{SETTINGS}"
    );
    machine.put(CONFIGURATION_FILE, &configuration);
}
