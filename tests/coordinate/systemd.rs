//! Somebody who answers for systemd, on a thread of its own.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use batond::demo::backend::Backend;
use tokio::sync::oneshot;

use crate::manager::{Known, serve_at};
use crate::world::World;

pub(crate) const UNIT: &str = "chat.service";

/// Answers until it is dropped.
pub(crate) struct Systemd {
    _end: oneshot::Sender<()>,
}

impl Systemd {
    /// Knows this of the unit.
    pub(crate) fn on(world: &World, known: Known) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let (ready, served) = channel();
        let bus = world.bus.address.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let _systemd = serve_at(&bus, &Arc::new(Mutex::new(known))).await;
                ready.send(()).unwrap();
                let _ = ended.await;
            });
        });
        served.recv().unwrap();
        Self { _end: end }
    }
}

/// A listener, and a service whose backend is the unit's. Newcomers may wait for long.
pub(crate) fn configuration(listener: SocketAddr, backend: &Backend) -> String {
    format!(
        "[listener.ws]\naddress = \"{listener}\"\n\
         [service.echo]\nunit = \"{UNIT}\"\nbackends = [\"{}\"]\n\
         [restart]\nhold = \"10m\"\n[limits]\nclients = 1000\n",
        backend.address()
    )
}

/// A daemon with that.
pub(crate) fn start(listener: SocketAddr) -> World {
    let backend = Backend::start().unwrap();
    let configuration = configuration(listener, &backend);
    World::start(&configuration, backend)
}
