//! Somebody on the bus who answers for systemd about one unit.

use std::future;
use std::sync::{Arc, Mutex};

use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedObjectPath, connection, interface};

use crate::bus::Bus;

const UNIT: &str = "/org/freedesktop/systemd1/unit/chat_2eservice";
const JOB: &str = "/org/freedesktop/systemd1/job/7";

/// What it knows and does.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) load: &'static str,
    /// `ActiveState` and `SubState`, one for each time that it is asked; the last stays.
    pub(crate) states: Vec<(&'static str, &'static str)>,
    /// The type of the unit's job; none: it has none.
    pub(crate) job: Option<&'static str>,
    pub(crate) restart: &'static str,
    /// The result of a job that is asked for; an error's name; none: it never ends.
    pub(crate) result: Option<Result<&'static str, &'static str>>,
    /// What it was asked for.
    pub(crate) asked: Vec<String>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            load: "loaded",
            states: vec![("active", "running")],
            job: None,
            restart: "on-failure",
            result: Some(Ok("done")),
            asked: Vec::new(),
        }
    }
}

type Shared = Arc<Mutex<Known>>;

pub(crate) async fn serve(bus: &Bus, known: &Shared) -> Connection {
    serve_at(&bus.address, known).await
}

/// The same on the bus at this address.
pub(crate) async fn serve_at(bus: &str, known: &Shared) -> Connection {
    connection::Builder::address(bus)
        .serve_at("/org/freedesktop/systemd1", Manager(known.clone()))
        .serve_at(UNIT, Unit(known.clone()))
        .serve_at(UNIT, Service(known.clone()))
        .serve_at(JOB, Job(known.clone()))
        .name("org.freedesktop.systemd1")
        .build()
        .await
        .unwrap()
}

fn path(path: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path.to_owned()).unwrap()
}

struct Manager(Shared);

impl Manager {
    async fn job(
        &self,
        asked: String,
        unit: &str,
        emitter: &SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refused> {
        let result = {
            let mut known = self.0.lock().unwrap();
            known.asked.push(asked);
            known.result
        };
        match result {
            Some(Ok(result)) => {
                // Another's job ends first, and ours before anybody has heard that it exists.
                for (id, job, unit, result) in
                    [(6, "/6", "a.service", "failed"), (7, JOB, unit, result)]
                {
                    Self::job_removed(emitter, id, path(job), unit, result).await?;
                }
            }
            Some(Err("NoSuchUnit")) => return Err(Refused::NoSuchUnit(String::new())),
            Some(Err("UnitMasked")) => return Err(Refused::UnitMasked(String::new())),
            Some(Err("silent")) => future::pending().await,
            Some(Err(_)) => return Err(Refused::Unauthorized(String::new())),
            None => {}
        }
        Ok(path(JOB))
    }
}

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop")]
enum Refused {
    #[zbus(error)]
    ZBus(zbus::Error),
    #[zbus(name = "systemd1.NoSuchUnit")]
    NoSuchUnit(String),
    #[zbus(name = "systemd1.UnitMasked")]
    UnitMasked(String),
    #[zbus(name = "DBus.Error.InteractiveAuthorizationRequired")]
    Unauthorized(String),
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn restart_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refused> {
        let asked = format!("restart {name} {mode}");
        self.job(asked, name, &emitter).await
    }

    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refused> {
        self.job(format!("start {name} {mode}"), name, &emitter)
            .await
    }

    fn load_unit(&self, _name: &str) -> OwnedObjectPath {
        path(UNIT)
    }

    fn subscribe(&self) {
        self.0.lock().unwrap().asked.push("subscribe".to_owned());
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

struct Unit(Shared);

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn load_state(&self) -> String {
        self.0.lock().unwrap().load.to_owned()
    }

    #[zbus(property)]
    fn active_state(&self) -> String {
        self.0.lock().unwrap().states[0].0.to_owned()
    }

    /// Read after the active state.
    #[zbus(property)]
    fn sub_state(&self) -> String {
        let mut known = self.0.lock().unwrap();
        let sub = known.states[0].1.to_owned();
        if known.states.len() > 1 {
            known.states.remove(0);
        }
        sub
    }

    #[zbus(property)]
    fn job(&self) -> (u32, OwnedObjectPath) {
        match self.0.lock().unwrap().job {
            Some(_) => (7, path(JOB)),
            None => (0, path("/")),
        }
    }
}

struct Service(Shared);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn restart(&self) -> String {
        self.0.lock().unwrap().restart.to_owned()
    }

    #[zbus(property)]
    fn control_group(&self) -> String {
        "/system.slice/chat.service".to_owned()
    }

    #[zbus(property)]
    fn result(&self) -> String {
        "signal".to_owned()
    }
}

struct Job(Shared);

#[interface(name = "org.freedesktop.systemd1.Job")]
impl Job {
    #[zbus(property)]
    fn job_type(&self) -> String {
        self.0.lock().unwrap().job.unwrap_or_default().to_owned()
    }
}
