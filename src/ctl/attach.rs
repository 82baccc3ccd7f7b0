//! The companion unit, which makes a plain `systemctl restart` of a backend a coordinated one.

use std::process::{Command, Output, Stdio};

use super::daemon::Daemon;
use super::failure::Failure;
use super::listing::{self, Service};
use super::table::{Page, Style};

/// What a template instance of it is called for `name.service`.
fn companion(unit: &str) -> Result<String, Failure> {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    if name.is_empty() || name.contains('/') || name.contains(".socket") {
        return Err(Failure::Unfound(format!(
            "{unit:?} is not the name of a service unit"
        )));
    }
    Ok(format!("batond-drain@{name}.service"))
}

fn service_unit(unit: &str) -> String {
    if unit.ends_with(".service") {
        unit.to_owned()
    } else {
        format!("{unit}.service")
    }
}

/// Enables and starts it, and looks whether all is wired up.
pub(super) async fn attach(
    daemon: &Daemon,
    unit: &str,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let companion = companion(unit)?;
    let unit = service_unit(unit);
    let services = listing::named::<Service>(daemon, None).await?;
    let served: Vec<&str> = services
        .iter()
        .filter(|service| service.has_unit(&unit))
        .map(|service| service.name.as_str())
        .collect();
    if served.is_empty() {
        let known = services.iter().flat_map(Service::units);
        return Err(Failure::not_found("backend with the unit", &unit, known));
    }
    if property(&unit, "LoadState")? != "loaded" {
        let text = format!("systemd does not know {unit} (see `systemctl status {unit}`)");
        return Err(Failure::Unfound(text));
    }
    systemctl(&["enable", "--quiet", &companion])?;
    if property(&unit, "ActiveState")? == "active" {
        systemctl(&["start", &companion])?;
    }
    for (name, wanted) in [("After", unit.as_str()), ("BindsTo", unit.as_str())] {
        let value = property(&companion, name)?;
        if !value.split_whitespace().any(|one| one == wanted) {
            let text = format!("{name}= of {companion} lacks {wanted}: is a drop-in in the way?");
            return Err(Failure::Systemctl(text));
        }
    }
    let states = [
        property(&unit, "ActiveState")?,
        property(&companion, "ActiveState")?,
    ];
    if states[0] == "active" && states[1] != "active" {
        let text = format!(
            "{companion} is {} (see `systemctl status {companion}`)",
            states[1]
        );
        return Err(Failure::Systemctl(text));
    }
    if page.json {
        page.json(
            &serde_json::json!({ "unit": unit, "companion": companion, "services": served }),
        )?;
    } else {
        let text = format!(
            "{unit} is attached by {companion}: `systemctl restart {unit}` tells the clients of \
             {} first",
            served.join(", ")
        );
        page.line(Style::Plain, &text)?;
    }
    page.out.flush().map_err(Failure::Output)
}

/// Disables and stops it. Nobody is told: the unit is not about to stop.
pub(super) fn detach(unit: &str, page: &mut Page<'_>) -> Result<(), Failure> {
    let companion = companion(unit)?;
    let unit = service_unit(unit);
    systemctl(&["disable", "--quiet", "--now", &companion])?;
    if page.json {
        page.json(&serde_json::json!({ "unit": unit, "companion": companion }))?;
    } else {
        page.line(Style::Plain, &format!("{unit} is not attached any more"))?;
    }
    Ok(())
}

/// One property of a unit, as systemd has it.
fn property(unit: &str, name: &str) -> Result<String, Failure> {
    let output = systemctl(&["show", "--value", "--property", name, unit])?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn systemctl(arguments: &[&str]) -> Result<Output, Failure> {
    let output = Command::new("systemctl")
        .args(arguments)
        // It would talk to the service manager on our behalf (sd_notify(3)).
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::Systemctl(error.to_string()))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let text = format!("`systemctl {}`: {}", arguments.join(" "), said.trim());
    Err(Failure::Systemctl(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_companion_is_an_instance_for_the_unit() {
        for (unit, name) in [
            ("chat.service", "batond-drain@chat.service"),
            ("chat", "batond-drain@chat.service"),
            ("chat@1.service", "batond-drain@chat@1.service"),
        ] {
            assert_eq!(companion(unit).ok().as_deref(), Some(name));
        }
        assert!(companion("").is_err());
        assert!(companion("a/b").is_err());
    }
}
