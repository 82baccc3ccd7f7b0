//! batond put into a machine where a package would put it, with an application behind it.

use std::path::Path;

use crate::machine::Machine;

/// The unit files.
pub(crate) const UNITS: [&str; 4] = [
    "batond.service",
    "batond.socket",
    "batond-ws.socket",
    "batond-drain@.service",
];

/// Where the configuration is.
pub(crate) const CONFIGURATION_FILE: &str = "/etc/batond/batond.toml";

const CONFIGURATION: &str = r#"
[listener.wss]
address = "[::]:443"

[service.echo]
backends = ["127.0.0.1:8080"]

# For clients that stay silent until the test has seen enough.
[restart]
deadline = "120s"
close_timeout = "100s"

# Within what every host allows.
[limits]
clients = 1000
"#;

// The order says that a shutdown ends batond first, while the application still answers.
const ECHO: &str = "
[Unit]
Before=batond.service

[Service]
Type=notify
ExecStart=/usr/bin/python3 /usr/local/lib/echo.py
DynamicUser=yes
";

/// Installs the programs, the units and the user, and enables the socket.
pub(crate) fn install(machine: &Machine) {
    machine.install_file(env!("CARGO_BIN_EXE_batond"), "/usr/bin/batond", 0o755);
    machine.install_file(env!("CARGO_BIN_EXE_batonctl"), "/usr/bin/batonctl", 0o755);
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for unit in UNITS {
        machine.install_file(
            files.join(unit),
            &format!("/usr/lib/systemd/system/{unit}"),
            0o644,
        );
    }
    let users = "/usr/lib/sysusers.d/batond.conf";
    machine.install_file(files.join("batond.sysusers"), users, 0o644);
    machine.check(&["systemd-sysusers", "batond.conf"]);
    let policy = "org.batond.Baton1.conf";
    machine.install_file(
        files.with_file_name("packaging").join(policy),
        &format!("/usr/share/dbus-1/system.d/{policy}"),
        0o644,
    );
    // Names the user, so it comes after the user; else the bus leaves it out.
    machine.check(&["systemctl", "reload", "dbus"]);
    machine.check(&["systemctl", "daemon-reload"]);
    machine.check(&["systemctl", "enable", "batond.socket"]);
}

/// Installs batond, configures and starts it in front of an application that echoes.
pub(crate) fn serve(machine: &Machine) {
    serve_with(machine, "");
}

/// The same with something added to the configuration.
pub(crate) fn serve_with(machine: &Machine, added: &str) {
    install(machine);
    application(machine);
    configure_with(machine, added);
    machine.check(&["systemctl", "start", "batond"]);
}

/// Starts the application, and configures batond for it.
pub(crate) fn application(machine: &Machine) {
    machine.put("/usr/local/lib/echo.py", include_str!("echo.py"));
    machine.put("/etc/systemd/system/echo.service", ECHO);
    machine.check(&["systemctl", "daemon-reload"]);
    machine.check(&["systemctl", "start", "echo"]);
    configure_with(machine, "");
}

/// Writes the configuration with something added to it.
pub(crate) fn configure_with(machine: &Machine, added: &str) {
    machine.put(CONFIGURATION_FILE, &format!("{CONFIGURATION}{added}"));
}
