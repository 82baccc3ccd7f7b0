//! HAProxy: one thread, HTTP mode, which becomes a tunnel after the 101.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result};

use super::{ROOM, Site};

/// `maxconn` counts clients; without `timeout tunnel` idle WebSockets would be cut by the client
/// timeout. Tickets (two, for which it has no setting), TCP_NODELAY and 16 KiB buffers are its
/// defaults.
pub(super) fn configure(site: &Site) -> Result<Vec<OsString>> {
    let Site {
        listen,
        backend,
        certificate,
        folder,
    } = site;
    let combined = certificate.combined.display();
    let path = folder.join("haproxy.cfg");
    let text = format!(
        "global
    nbthread 1
    maxconn {ROOM}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256

defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    timeout http-request 10s

frontend clients
    bind {listen} ssl crt {combined} alpn http/1.1 curves X25519 backlog 4096
    default_backend application

backend application
    server echo {backend}
"
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(vec!["-db".into(), "-f".into(), path.into()])
}
