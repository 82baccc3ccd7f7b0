//! batond in a machine, with TLS, in front of an application that bears a crowd.

use batond::demo::backend::Backend;
use rustls::version::{TLS12, TLS13};

use crate::crowd::trust::{NAME, Trust};
use crate::installation::install;
use crate::machine::Machine;
use crate::support::certificate::Authority;

/// The port of the shipped batond.socket.
pub(super) const PORT: u16 = 443;

/// Room for the crowd, and time for a machine that is busy with it.
const SETTINGS: &str = r#"
[restart]
deadline = "400s"
close_timeout = "300s"

[limits]
clients = 8000
handshake_timeout = "300s"
"#;

/// What has to stay while the crowd is there.
pub(super) struct Stage {
    /// Whom the clients trust.
    pub(super) trust: Trust,
    _backend: Backend,
}

impl Stage {
    /// Installs, configures and starts everything.
    pub(super) fn set(machine: &Machine) -> Self {
        let backend = machine.within_network(Backend::start);
        let backend = backend.expect("the machine has a network");
        let backend = backend.expect("start an application");
        let authority = Authority::new();
        let folder = tempfile::tempdir().expect("make a folder");
        let (chain, key) = authority.issue(&[NAME]).write(folder.path(), "load");
        machine.install_file(chain, "/etc/batond/load.pem", 0o644);
        machine.install_file(key, "/etc/batond/load.key", 0o644);
        let configuration = format!(
            "[listener.wss]\naddress = \"[::]:{PORT}\"\ncertificates = [\"load\"]\n\
             [certificate.load]\nchain = \"load.pem\"\nkey = \"load.key\"\nnames = [\"{NAME}\"]\n\
             [service.echo]\nbackends = [\"{}\"]\n{SETTINGS}",
            backend.address()
        );
        machine.put("/etc/batond/batond.toml", &configuration);
        install(machine);
        machine.check(&["systemctl", "start", "batond"]);
        Self {
            trust: Trust::new(&authority.pem(), &[&TLS13, &TLS12]),
            _backend: backend,
        }
    }
}
