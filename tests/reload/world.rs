//! A daemon on a bus of its own, with an application behind it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use batond::demo::backend::Backend;

use crate::bus::Bus;
use crate::support::batond::{Batond, Launch};

/// What `batonctl` exits with, of sysexits(3).
pub(crate) const UNAVAILABLE: i32 = 69;
pub(crate) const SOFTWARE: i32 = 70;
pub(crate) const TEMPFAIL: i32 = 75;
pub(crate) const NOPERM: i32 = 77;
pub(crate) const CONFIG: i32 = 78;

/// An address that nobody else has: the loopback network is large, and the port is none that the
/// kernel gives out by itself.
pub(crate) fn address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 100 + high, middle, low);
    (IpAddr::from(ip), NEXT.fetch_add(1, Relaxed)).into()
}

/// Everything that a test of the running daemon needs.
pub(crate) struct World {
    pub(crate) backend: Backend,
    pub(crate) batond: Batond,
    pub(crate) bus: Bus,
}

impl World {
    /// A daemon with these listeners, in front of an application.
    pub(crate) fn with(listeners: &[(&str, SocketAddr)]) -> Self {
        let backend = Backend::start().unwrap();
        let configuration = configuration(listeners, &backend);
        Self::start(&configuration, backend)
    }

    /// A daemon with this configuration.
    pub(crate) fn start(configuration: &str, backend: Backend) -> Self {
        let bus = Bus::start().expect("dbus-daemon (tests/run installs it)");
        // Without the part that names this very life of the bus.
        let address = bus.address.split(',').next().unwrap();
        let batond = Launch::new(configuration)
            .variable("DBUS_SYSTEM_BUS_ADDRESS", address)
            .start();
        Self {
            backend,
            batond,
            bus,
        }
    }

    /// Puts another configuration on the disk.
    pub(crate) fn configure(&self, configuration: &str) {
        fs::write(self.batond.config(), configuration).unwrap();
    }

    /// Puts a configuration with these listeners on the disk.
    pub(crate) fn listen(&self, listeners: &[(&str, SocketAddr)]) {
        self.configure(&configuration(listeners, &self.backend));
    }

    /// Runs `batonctl`.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        self.ctl_command(arguments).output().unwrap()
    }

    /// `batonctl`, to be run.
    pub(crate) fn ctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batonctl"));
        command.args(["--bus", &self.bus.address]).args(arguments);
        command
    }

    /// Has the daemon reload, which must succeed.
    pub(crate) fn reload(&self) {
        succeeded(&self.ctl(&["reload"]));
    }

    /// Whether the main process holds a socket that listens there. (The service manager of these
    /// tests keeps what it was given to store, so that a connect does not tell.)
    pub(crate) fn listens(&self, address: SocketAddr) -> bool {
        let IpAddr::V4(ip) = address.ip() else {
            panic!("{address} is not of IPv4");
        };
        // As proc_net(5) writes it, with the state LISTEN.
        let ip = u32::from_ne_bytes(ip.octets());
        let start = format!(" {ip:08X}:{:04X} 00000000:0000 0A ", address.port());
        let all = fs::read_to_string("/proc/net/tcp").unwrap();
        let line = all.lines().find(|line| line.contains(&start));
        let inode = line.and_then(|line| line.split_whitespace().nth(9));
        let Some(inode) = inode else {
            return false;
        };
        let socket = format!("socket:[{inode}]");
        let open = fs::read_dir(format!("/proc/{}/fd", self.batond.main().pid())).unwrap();
        open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .any(|target| target.as_os_str() == socket.as_str())
    }

    /// What `batonctl status` knows under this name.
    pub(crate) fn status(&self, name: &str) -> serde_json::Value {
        let output = self.ctl(&["status", "--json"]);
        succeeded(&output);
        let mut status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status[name].take()
    }
}

/// One service on these listeners.
pub(crate) fn configuration(listeners: &[(&str, SocketAddr)], backend: &Backend) -> String {
    let mut text: String = listeners
        .iter()
        .map(|(name, address)| format!("[listener.{name}]\naddress = \"{address}\"\n"))
        .collect();
    text.push_str(&service(backend));
    text
}

/// A service with this backend, which no machine is too small for.
pub(crate) fn service(backend: &Backend) -> String {
    format!(
        "[service.echo]\nbackends = [\"{}\"]\n[limits]\nclients = 1000\n",
        backend.address()
    )
}

pub(crate) fn succeeded(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// What it wrote, if it ended with this exit code.
pub(crate) fn failed_with(code: i32, output: &Output) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}
