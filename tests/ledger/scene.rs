//! A daemon that speaks TLS, with certificates of the test's own making.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use batond::demo::backend::Backend;
use serde_json::Value;
use tempfile::TempDir;

use crate::issue::{Identity, bundle};
use crate::support::PATIENCE;
use crate::world::{World, address, succeeded};

/// What clients dial.
pub(crate) const HOST: &str = "chat.test";

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    _folder: TempDir,
}

impl Scene {
    /// A daemon that serves this chain, with the root that it is judged by, and with these limits.
    pub(crate) fn new(chain: &[&Identity], root: &Identity, limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("chain.pem"), bundle(chain)).unwrap();
        fs::write(path("key.pem"), chain[0].key_pem()).unwrap();
        fs::write(path("root.pem"), root.pem()).unwrap();
        let backend = Backend::start().unwrap();
        let (address, metrics) = (address(), address());
        let configuration = format!(
            "[listener.wss]\naddress = \"{address}\"\ncertificates = [\"main\"]\n\
             [certificate.main]\nchain = \"{}\"\nkey = \"{}\"\nroots = \"{}\"\nnames = [\"{HOST}\"]\n\
             [service.echo]\nbackends = [\"{}\"]\n[limits]\nclients = 1000\n{limits}\
             [metrics]\nlisten = \"{metrics}\"\n",
            path("chain.pem").display(),
            path("key.pem").display(),
            path("root.pem").display(),
            backend.address()
        );
        Self {
            world: World::start(&configuration, backend),
            address,
            metrics,
            _folder: folder,
        }
    }

    /// One that is healthy.
    pub(crate) fn healthy(limits: &str) -> (Self, Identity) {
        let root = Identity::root("batond test root");
        let leaf = root.leaf(&[HOST]);
        (Self::new(&[&leaf], &root, limits), root)
    }

    /// What `batonctl failures` knows.
    pub(crate) fn failures(&self) -> Value {
        failures(&self.world)
    }

    /// Waits until this many have failed in all, and gives the latest one.
    pub(crate) fn failed(&self, times: usize) -> Value {
        let begun = Instant::now();
        loop {
            let failures = self.failures();
            let latest = failures["latest"].as_array().unwrap();
            assert!(latest.len() <= times, "{failures:#}");
            assert!(begun.elapsed() < PATIENCE, "{failures:#}");
            if latest.len() == times {
                return latest[0].clone();
            }
        }
    }
}

/// What `batonctl failures` knows.
pub(crate) fn failures(world: &World) -> Value {
    let output = world.ctl(&["failures", "--json", "--limit", "256"]);
    succeeded(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}
