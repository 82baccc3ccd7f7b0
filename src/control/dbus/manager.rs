//! `org.batond.Baton1.Manager`: calls become commands, the snapshot becomes properties.

use std::collections::HashMap;

use zbus::message::Header;
use zbus::{Connection, OwnedVariant, interface};

use super::{Error, PATH, access};
use crate::control::command::{Command, Outlet, Snapshot};

/// The daemon as a whole.
pub(super) struct Manager {
    outlet: Outlet,
}

/// `a{sv}`. None is known yet.
type Options = HashMap<String, OwnedVariant>;

impl Manager {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self { outlet }
    }

    async fn carry_out(
        &self,
        command: Command,
        options: &Options,
        header: &Header<'_>,
        bus: &Connection,
    ) -> Result<(), Error> {
        access::check(bus, header).await?;
        if let Some(name) = options.keys().next() {
            let text = format!("this version knows no option {name:?} here");
            return Err(Error::UnknownOption(text));
        }
        Ok(self.outlet.ask(command).await?)
    }
}

#[interface(name = "org.batond.Baton1.Manager")]
impl Manager {
    /// Reads the configuration and the certificates again. Returns when they are in use.
    async fn reload(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(), Error> {
        self.carry_out(Command::Reload, &options, &header, bus)
            .await
    }

    /// Hands over to a new process of the program on disk. Returns when that serves.
    async fn upgrade(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(), Error> {
        self.carry_out(Command::Upgrade, &options, &header, bus)
            .await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property)]
    fn phase(&self) -> &'static str {
        self.outlet.snapshot.borrow().phase.word()
    }

    #[zbus(property)]
    fn generation(&self) -> u64 {
        self.outlet.snapshot.borrow().generation
    }

    /// Changes all the time, so nobody is told.
    #[zbus(property(emits_changed_signal = "false"))]
    fn clients(&self) -> u64 {
        self.outlet.snapshot.borrow().clients
    }
}

/// Signals what has changed.
pub(super) async fn show(bus: &Connection, before: &Snapshot, now: &Snapshot) -> zbus::Result<()> {
    let object = bus.object_server().interface::<_, Manager>(PATH).await?;
    let manager = object.get().await;
    let emitter = object.signal_emitter();
    if before.phase.word() != now.phase.word() {
        manager.phase_changed(emitter).await?;
    }
    if before.generation != now.generation {
        manager.generation_changed(emitter).await?;
    }
    Ok(())
}
