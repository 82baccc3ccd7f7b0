//! Sōzu: one worker beside its main process.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result};

use super::{ROOM, Site};
use crate::certificate::NAME;

/// `max_buffers` defaults to 1,000, too few for the clients of the idle measure, which need two
/// each; the timeouts to 30 s, which cuts idle WebSockets; tickets to four,
/// where batond sends one.
pub(super) fn configure(site: &Site) -> Result<Vec<OsString>> {
    let Site {
        listen,
        backend,
        certificate,
        folder,
    } = site;
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let folder = folder.display();
    let buffers = 2 * ROOM;
    let path = site.folder.join("sozu.toml");
    let text = format!(
        r#"command_socket = "{folder}/sozu.sock"
saved_state = "{folder}/sozu.state"
pid_file_path = "{folder}/sozu.pid"
log_level = "error"
log_target = "stdout"
worker_count = 1
worker_automatic_restart = false
max_connections = {ROOM}
max_buffers = {buffers}
front_timeout = 3600
back_timeout = 3600
activate_listeners = true

[[listeners]]
protocol = "https"
address = "{listen}"
tls_versions = ["TLS_V13"]
cipher_list = ["TLS13_AES_128_GCM_SHA256"]
groups_list = ["x25519"]
alpn_protocols = ["http/1.1"]
send_tls13_tickets = 1
front_timeout = 3600
back_timeout = 3600

[clusters.application]
protocol = "http"
frontends = [
    {{ address = "{listen}", hostname = "{NAME}", certificate = "{chain}", key = "{key}", certificate_chain = "{chain}" }},
]
backends = [{{ address = "{backend}" }}]
"#
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(vec!["start".into(), "-c".into(), path.into()])
}
