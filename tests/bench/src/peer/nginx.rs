//! nginx: one worker.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result};

use super::Site;

/// `proxy_buffer_size` is what upgraded traffic passes through, in both directions; the default is
/// one page. When all but a sixteenth of `worker_connections` are taken, nginx closes connections
/// that are still in their handshake, so there are more of them than descriptors (it warns of that
/// at the start). Everything that nginx keeps goes into the peer's folder.
pub(super) fn configure(site: &Site, buffer: Option<&str>) -> Result<Vec<OsString>> {
    let Site {
        listen,
        backend,
        certificate,
        folder,
    } = site;
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let buffer = buffer.map_or(String::new(), |size| {
        format!("proxy_buffer_size {size}; proxy_buffers 4 {size}; proxy_busy_buffers_size {size};")
    });
    let folder_name = folder.display();
    let path = folder.join("nginx.conf");
    let text = format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder_name}/nginx.pid;
error_log stderr warn;
events {{
    worker_connections 21500;
}}
http {{
    access_log off;
    client_body_temp_path {folder_name}/body;
    proxy_temp_path {folder_name}/proxy;
    fastcgi_temp_path {folder_name}/fastcgi;
    uwsgi_temp_path {folder_name}/uwsgi;
    scgi_temp_path {folder_name}/scgi;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_conf_command NumTickets 1;
    ssl_ecdh_curve X25519;
    ssl_session_cache shared:sessions:10m;
    server {{
        listen {listen} ssl backlog=4096;
        location / {{
            proxy_pass http://{backend};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
            {buffer}
        }}
    }}
}}
"
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(vec![
        "-p".into(),
        folder.into(),
        "-e".into(),
        "stderr".into(),
        "-c".into(),
        path.into(),
    ])
}
