//! batond on a bus of its own, in front of two applications; the clients of one can be sent away
//! and find the other.

use std::net::SocketAddr;
use std::process::{Command, Output};

use batond::demo::backend::Backend;
use tempfile::TempDir;

use crate::bus::Bus;
use crate::crowd::trust::NAME;
use crate::support::batond::{Batond, Launch};
use crate::support::certificate::Authority;
use crate::support::sockets::Sockets;

/// What the first application is called, where systemd would run it.
const FIRST: &str = "first.service";
const SECOND: &str = "second.service";

/// Everything around the clients.
pub(crate) struct World {
    pub(crate) batond: Batond,
    /// Where clients go, with TLS.
    pub(crate) address: SocketAddr,
    /// Whom they trust.
    pub(crate) authority: Authority,
    bus: Bus,
    _folder: TempDir,
    _sockets: Sockets,
    _applications: [Backend; 2],
}

impl World {
    /// With these sections added to the configuration. Newcomers go to the first application only.
    pub(crate) fn start(settings: &str) -> Self {
        let applications = [(); 2].map(|()| Backend::start().expect("start an application"));
        let folder = tempfile::tempdir().expect("make a folder");
        let authority = Authority::new();
        let (chain, key) = authority.issue(&[NAME]).write(folder.path(), "one");
        let mut sockets = Sockets::new();
        let address = sockets.tcp("wss");
        let [first, second] = applications.each_ref().map(Backend::address);
        let configuration = format!(
            "[listener.wss]\naddress = \"{address}\"\ncertificates = [\"one\"]\n\
             [certificate.one]\nchain = \"{}\"\nkey = \"{}\"\nnames = [\"{NAME}\"]\n\
             [service.echo]\nbackends = [{{ address = \"{first}\", unit = \"{FIRST}\" }}, \
             {{ address = \"{second}\", unit = \"{SECOND}\" }}]\n{settings}",
            chain.display(),
            key.display(),
        );
        let bus = Bus::start().expect("dbus-daemon (tests/run installs it)");
        let own = bus.address.split(',').next().expect("an address");
        let batond = Launch::new(&configuration)
            .sockets(&sockets)
            .variable("DBUS_SYSTEM_BUS_ADDRESS", own)
            .start();
        let world = Self {
            batond,
            address,
            authority,
            bus,
            _folder: folder,
            _sockets: sockets,
            _applications: applications,
        };
        // Nobody is there yet, so nobody is told.
        world.ctl(&["drain", "--unit", SECOND]);
        world
    }

    /// From now on newcomers go to the second application only, and the clients of the first are
    /// told to leave. Returns when all of them have left.
    pub(crate) fn swap(&self) -> String {
        self.ctl(&["resume", "--unit", SECOND]);
        let output = self.ctl(&["drain", "--unit", FIRST]);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Ends the job, which would wait for the first application.
    pub(crate) fn finish(&self) {
        self.ctl(&["resume", "--unit", FIRST]);
    }

    /// What became of the jobs, as a line of JSON.
    pub(crate) fn jobs(&self) -> String {
        let output = self.ctl(&["jobs", "--json"]);
        String::from_utf8(output.stdout).expect("text")
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_batonctl"))
            .args(["--bus", &self.bus.address])
            .args(arguments)
            .output()
            .expect("run batonctl");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }
}
