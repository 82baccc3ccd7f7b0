//! The state of a unit, and what it means for those who have lost its process.

use zbus::Connection;
use zbus::proxy::CacheProperties;

use super::proxy::{JobProxy, ManagerProxy, ServiceProxy, UnitProxy};

/// What systemd is about to do with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobType {
    /// Also what a restart becomes once the old process is gone.
    Start,
    /// It comes back, also `try-restart` and `reload-or-start`.
    Restart,
    /// It goes for good.
    Stop,
    /// Anything that neither ends nor begins it: reload, verify-active, nop.
    Other,
}

impl From<&str> for JobType {
    fn from(text: &str) -> Self {
        match text {
            "start" => Self::Start,
            "restart" | "try-restart" | "reload-or-start" => Self::Restart,
            "stop" => Self::Stop,
            _ => Self::Other,
        }
    }
}

/// What becomes of a unit whose backend is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outlook {
    /// It runs as if nothing had happened: so it comes back, or never was away.
    Running,
    /// systemd starts it again.
    Restarting,
    /// It stays away.
    Gone,
}

/// What systemd knows of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitState {
    /// `LoadState`: `loaded`, `not-found`, `masked`, `bad-setting`, `error` …
    pub load: String,
    /// `ActiveState`: `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating` …
    pub active: String,
    /// `SubState`: of a service `running`, `exited`, `stop-sigterm`, `auto-restart` …
    pub sub: String,
    /// The type of its job; none: it has none.
    pub job: Option<JobType>,
    /// `Restart=`; empty: it is not a service.
    pub restart_setting: String,
    /// How the last run of a service ended: `success`, `exit-code`, `signal`, `timeout` …
    pub result: String,
    /// It is a template (`chat@.service`), which cannot be started without an instance.
    pub is_template: bool,
}

impl UnitState {
    /// Its processes have ended, and nobody is about to start it.
    #[must_use]
    pub fn is_down(&self) -> bool {
        let over = matches!(self.active.as_str(), "failed" | "inactive");
        over && self.outlook() == Outlook::Gone
    }

    /// Its processes run, and nobody has begun to stop them.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }

    /// What this state means for those who have lost the unit's process. The job decides, if there
    /// is one, since it is what somebody wants; then the state; then, of a process that is ending
    /// by itself, `Restart=` (systemd.service(5)).
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        match self.job {
            Some(JobType::Stop) => return Outlook::Gone,
            Some(JobType::Start | JobType::Restart) => return Outlook::Restarting,
            Some(JobType::Other) | None => {}
        }
        // Since systemd 254 also `failed-before-auto-restart`, in the active state `failed`.
        if self.sub.contains("auto-restart") {
            return Outlook::Restarting;
        }
        match self.active.as_str() {
            "activating" => Outlook::Restarting,
            "deactivating" if self.restarts() => Outlook::Restarting,
            "deactivating" | "inactive" | "failed" => Outlook::Gone,
            _ => Outlook::Running,
        }
    }

    /// The table of `Restart=` in systemd.service(5).
    fn restarts(&self) -> bool {
        let result = self.result.as_str();
        match self.restart_setting.as_str() {
            "always" => true,
            "on-success" => result == "success",
            "on-failure" => result != "success",
            "on-abnormal" => matches!(result, "signal" | "core-dump" | "timeout" | "watchdog"),
            "on-abort" => matches!(result, "signal" | "core-dump"),
            "on-watchdog" => result == "watchdog",
            _ => false,
        }
    }
}

pub(super) async fn read(connection: &Connection, unit: &str) -> zbus::Result<UnitState> {
    let manager = ManagerProxy::new(connection).await?;
    let path = manager.load_unit(unit).await?;
    let object = UnitProxy::builder(connection)
        .path(&path)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let service = ServiceProxy::builder(connection)
        .path(&path)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    // The job first: whoever asked for something did so before the state changed.
    let (id, job) = object.job().await?;
    let job = match id {
        0 => None,
        _ => {
            let job = JobProxy::builder(connection)
                .path(&job)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            // One that has ended in between says nothing any more.
            gone_is_none(job.job_type().await)?.map(|kind| JobType::from(kind.as_str()))
        }
    };
    Ok(UnitState {
        load: object.load_state().await?,
        active: object.active_state().await?,
        sub: object.sub_state().await?,
        job,
        restart_setting: gone_is_none(service.restart().await)?.unwrap_or_default(),
        result: gone_is_none(service.result().await)?.unwrap_or_default(),
        is_template: unit.contains("@."),
    })
}

/// Empty: it has none.
pub(super) async fn control_group(connection: &Connection, unit: &str) -> zbus::Result<String> {
    let manager = ManagerProxy::new(connection).await?;
    let path = manager.load_unit(unit).await?;
    let service = ServiceProxy::builder(connection)
        .path(&path)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    Ok(gone_is_none(service.control_group().await)?.unwrap_or_default())
}

/// An object or interface that does not exist, or not any more, has nothing to say.
fn gone_is_none<T>(answer: zbus::Result<T>) -> zbus::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(zbus::Error::MethodError(..) | zbus::Error::FDO(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> UnitState {
        UnitState {
            load: "loaded".to_owned(),
            active: "active".to_owned(),
            sub: "running".to_owned(),
            job: None,
            restart_setting: "no".to_owned(),
            result: "success".to_owned(),
            is_template: false,
        }
    }

    fn now(active: &str, sub: &str) -> UnitState {
        UnitState {
            active: active.to_owned(),
            sub: sub.to_owned(),
            ..running()
        }
    }

    #[test]
    fn the_job_decides() {
        for (job, outlook) in [
            (JobType::Start, Outlook::Restarting),
            (JobType::Restart, Outlook::Restarting),
            (JobType::Stop, Outlook::Gone),
            (JobType::Other, Outlook::Running),
        ] {
            let job = Some(job);
            let state = UnitState { job, ..running() };
            assert_eq!(state.outlook(), outlook);
        }
        let stopped = UnitState {
            job: Some(JobType::Stop),
            restart_setting: "always".to_owned(),
            ..now("deactivating", "stop-sigterm")
        };
        assert_eq!(stopped.outlook(), Outlook::Gone);
    }

    #[test]
    fn then_the_state() {
        for (active, sub, outlook) in [
            ("active", "running", Outlook::Running),
            ("reloading", "reload", Outlook::Running),
            ("activating", "auto-restart", Outlook::Restarting),
            ("activating", "start-pre", Outlook::Restarting),
            ("failed", "failed-before-auto-restart", Outlook::Restarting),
            ("inactive", "dead-before-auto-restart", Outlook::Restarting),
            ("inactive", "dead", Outlook::Gone),
            ("failed", "failed", Outlook::Gone),
        ] {
            assert_eq!(now(active, sub).outlook(), outlook, "{active} {sub}");
        }
    }

    #[test]
    fn then_what_the_unit_file_says_of_an_end_like_this() {
        let always = [
            "success",
            "exit-code",
            "signal",
            "core-dump",
            "timeout",
            "watchdog",
        ];
        for (setting, restarts) in [
            ("no", &[][..]),
            ("always", &always[..]),
            ("on-success", &always[..1]),
            ("on-failure", &always[1..]),
            ("on-abnormal", &always[2..]),
            ("on-abort", &always[2..4]),
            ("on-watchdog", &always[5..]),
        ] {
            for result in always {
                let state = UnitState {
                    restart_setting: setting.to_owned(),
                    result: result.to_owned(),
                    ..now("deactivating", "stop-post")
                };
                let expected = if restarts.contains(&result) {
                    Outlook::Restarting
                } else {
                    Outlook::Gone
                };
                assert_eq!(state.outlook(), expected, "{setting} {result}");
            }
        }
    }
}
