//! batond with two listeners: one whose socket it is passed, and one that it binds itself.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use batond::demo::backend::Backend;
use tempfile::TempDir;

use crate::crowd::trust::NAME;
use crate::support::batond::{Batond, Launch};
use crate::support::certificate::Authority;
use crate::support::sockets::Sockets;

/// Everything around the clients.
pub(crate) struct World {
    pub(crate) batond: Batond,
    /// Where clients go, with TLS.
    pub(crate) address: SocketAddr,
    /// Whom they trust.
    pub(crate) authority: Authority,
    folder: TempDir,
    _sockets: Sockets,
    _backend: Backend,
}

impl World {
    /// With these sections added to the configuration.
    pub(crate) fn start(settings: &str) -> Self {
        let backend = Backend::start().expect("start an application");
        let folder = tempfile::tempdir().expect("make a folder");
        let authority = Authority::new();
        let (chain, key) = authority.issue(&[NAME]).write(folder.path(), "one");
        let mut sockets = Sockets::new();
        let address = sockets.tcp("wss");
        let configuration = format!(
            "[listener.wss]\naddress = \"{address}\"\ncertificates = [\"one\"]\n\
             [listener.own]\naddress = \"unix:{}\"\n\
             [certificate.one]\nchain = \"{}\"\nkey = \"{}\"\nnames = [\"{NAME}\"]\n\
             [service.echo]\nbackends = [\"{}\"]\n{settings}",
            folder.path().join("own.sock").display(),
            chain.display(),
            key.display(),
            backend.address()
        );
        let batond = Launch::new(&configuration).sockets(&sockets).start();
        Self {
            batond,
            address,
            authority,
            folder,
            _sockets: sockets,
            _backend: backend,
        }
    }

    /// Everything in the folders that batond knows of.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let config = self.batond.config();
        let own = config.parent().expect("a file in a folder");
        let mut found = BTreeSet::new();
        list(self.folder.path(), &mut found);
        list(own, &mut found);
        found
    }
}

fn list(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).expect("read a folder") {
        let path = entry.expect("read a folder").path();
        if path.is_dir() {
            list(&path, found);
        }
        found.insert(path);
    }
}
