//! A message bus of our own, with somebody on it who answers for systemd. The real systemd is
//! asked by the tests that boot one.

use std::fs::{self, File};
use std::future;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use zbus::{Connection, OwnedObjectPath, connection, fdo, interface};

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path=@PATH@</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// A dbus-daemon that ends with this value.
pub(crate) struct Bus {
    daemon: Child,
    directory: TempDir,
    pub(crate) address: String,
}

impl Bus {
    /// None, if the machine has no dbus-daemon.
    pub(crate) fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let config = CONFIG.replace("@PATH@", path.to_str().unwrap());
        fs::write(directory.path().join("config"), config).unwrap();
        let (daemon, address) = launch(&directory)?;
        Some(Self {
            daemon,
            directory,
            address,
        })
    }

    /// Ends, and begins anew at the same address: every connection is lost.
    pub(crate) fn restart(&mut self) {
        self.end();
        let (daemon, address) = launch(&self.directory).unwrap();
        self.daemon = daemon;
        let path = |address: &str| address.split(',').next().map(str::to_owned);
        assert_eq!(path(&address), path(&self.address));
        self.address = address;
    }

    pub(crate) fn end(&mut self) {
        let _ = self.daemon.kill();
        self.daemon.wait().unwrap();
    }

    /// Answers nobody any more, and takes what it is sent.
    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.daemon), Signal::STOP).unwrap();
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.end();
    }
}

fn launch(directory: &TempDir) -> Option<(Child, String)> {
    let log = directory.path().join("log");
    let mut daemon = Command::new("dbus-daemon")
        .arg("--nofork")
        .arg("--print-address")
        .arg(format!(
            "--config-file={}",
            directory.path().join("config").display()
        ))
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .ok()?;
    let mut address = String::new();
    BufReader::new(daemon.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    assert!(!address.is_empty(), "{}", fs::read_to_string(log).unwrap());
    Some((daemon, address.trim().to_owned()))
}

/// What systemd knows of the unit of whoever asks.
#[derive(Clone)]
pub(crate) struct Unit {
    /// None: the process belongs to no unit.
    pub(crate) name: Option<&'static str>,
    pub(crate) main_pid: u32,
    pub(crate) restart: &'static str,
    /// Unit and type of each job.
    pub(crate) jobs: Vec<(&'static str, &'static str)>,
    /// Whether systemd is too busy to answer.
    pub(crate) busy: bool,
}

/// Answers on the bus for systemd until it is dropped.
pub(crate) async fn systemd(bus: &Bus, unit: &Arc<Mutex<Unit>>) -> Connection {
    connection::Builder::address(bus.address.as_str())
        .serve_at("/org/freedesktop/systemd1", Manager(unit.clone()))
        .serve_at(path("batond.service"), Service(unit.clone()))
        .name("org.freedesktop.systemd1")
        .build()
        .await
        .unwrap()
}

/// systemd escapes what may not stand in a path.
fn path(unit: &str) -> OwnedObjectPath {
    let escaped = unit.replace('.', "_2e").replace('-', "_2d");
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{escaped}")).unwrap()
}

fn job_path(number: u32) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/job/{number}")).unwrap()
}

struct Manager(Arc<Mutex<Unit>>);

type Job = (
    u32,
    String,
    String,
    String,
    OwnedObjectPath,
    OwnedObjectPath,
);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, pid: u32) -> fdo::Result<OwnedObjectPath> {
        assert_eq!(pid, 0, "the caller");
        let name = self.0.lock().unwrap().name;
        name.map(path)
            .ok_or_else(|| fdo::Error::Failed("no unit".to_owned()))
    }

    async fn list_jobs(&self) -> Vec<Job> {
        let unit = self.0.lock().unwrap().clone();
        if unit.busy {
            future::pending::<()>().await;
        }
        (1..)
            .zip(unit.jobs)
            .map(|(number, (name, kind))| {
                let (name, kind, state) = (name.to_owned(), kind.to_owned(), "running".to_owned());
                let unit = path(&name);
                (number, name, kind, state, job_path(number), unit)
            })
            .collect()
    }
}

struct Service(Arc<Mutex<Unit>>);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.0.lock().unwrap().main_pid
    }

    #[zbus(property)]
    fn restart(&self) -> String {
        self.0.lock().unwrap().restart.to_owned()
    }
}
