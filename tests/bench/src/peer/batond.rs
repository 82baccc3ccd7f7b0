//! batond: one worker, or two.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result};

use super::{ROOM, Site};
use crate::certificate::NAME;

pub(super) fn configure(site: &Site, workers: usize) -> Result<Vec<OsString>> {
    let Site {
        listen,
        backend,
        certificate,
        folder,
    } = site;
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let authority = certificate.authority.display();
    let path = folder.join("batond.toml");
    let text = format!(
        r#"workers = {workers}

[listener.wss]
address = "{listen}"
certificates = ["bench"]

[certificate.bench]
chain = "{chain}"
key = "{key}"
names = ["{NAME}"]
roots = "{authority}"

[service.echo]
backends = ["{backend}"]

[limits]
clients = {ROOM}
"#
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(vec!["--config".into(), path.into()])
}
