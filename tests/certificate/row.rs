//! One row of the table: a chain and a key, what clients trust and dial, and what is to be said.

use super::issue::{Identity, bundle};

/// Who can serve the pair, so that clients can be let at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// batond takes it.
    Batond,
    /// batond refuses it, `openssl s_server` does not.
    Openssl,
    /// Nobody.
    Nobody,
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// How it is made.
    pub(crate) made: &'static str,
    /// What clients dial.
    pub(crate) host: String,
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
    /// What clients trust.
    pub(crate) roots: String,
    /// Names of the findings, in the order of the alphabet.
    pub(crate) expected: &'static [&'static str],
    pub(crate) server: Server,
}

/// What most rows begin with: a root, an authority under it, and a name. No two rows share any of
/// it, so that no client can know from one what another lacks.
pub(crate) struct Usual {
    pub(crate) host: String,
    pub(crate) root: Identity,
    pub(crate) ca: Identity,
}

impl Usual {
    pub(crate) fn leaf(&self) -> Identity {
        self.ca.leaf(&[&self.host])
    }

    pub(crate) fn name(&self, of: &str) -> String {
        format!("{} {of}", self.host)
    }

    /// These, the leaf first, with the leaf's key, for clients that trust the root.
    pub(crate) fn serve(&self, chain: &[&Identity]) -> Files {
        Files {
            chain: bundle(chain).into_bytes(),
            key: chain[0].key_pem().into_bytes(),
            roots: self.root.pem(),
            host: self.host.clone(),
            server: Server::Batond,
        }
    }
}

pub(crate) struct Files {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
    roots: String,
    host: String,
    server: Server,
}

impl Files {
    pub(crate) fn trusting(mut self, roots: &[&Identity]) -> Self {
        self.roots = bundle(roots);
        self
    }

    pub(crate) fn dialled(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    pub(crate) fn chain(mut self, chain: impl Into<Vec<u8>>) -> Self {
        self.chain = chain.into();
        self
    }

    pub(crate) fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = key.into();
        self
    }

    pub(crate) fn by(mut self, server: Server) -> Self {
        self.server = server;
        self
    }
}

/// Makes one.
pub(crate) fn row(
    name: &'static str,
    made: &'static str,
    expected: &'static [&'static str],
    make: impl FnOnce(&Usual) -> Files,
) -> Row {
    let host = format!("{name}.test");
    let root = Identity::root(&format!("{host} root"));
    let ca = root.authority(&format!("{host} authority"));
    let usual = Usual { host, root, ca };
    let files = make(&usual);
    Row {
        name,
        made,
        host: files.host,
        chain: files.chain,
        key: files.key,
        roots: files.roots,
        expected,
        server: files.server,
    }
}
