//! Who may have something changed: root and the user that the daemon runs as, and whoever polkit
//! allows it.

use rustix::process::geteuid;
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::message::{Flags, Header};
use zbus::names::BusName;

use super::Error;
use super::polkit::{self, Verdict};
use crate::control::command::Command;

/// What polkit knows by a name of its own; see `packaging/org.batond.Baton1.policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Reload,
    Upgrade,
    Restart,
    Drain,
    SetLogLevel,
}

impl Action {
    fn id(self) -> &'static str {
        match self {
            Self::Reload => "org.batond.reload",
            Self::Upgrade => "org.batond.upgrade",
            Self::Restart => "org.batond.restart",
            Self::Drain => "org.batond.drain",
            Self::SetLogLevel => "org.batond.set-log-level",
        }
    }
}

impl From<&Command> for Action {
    fn from(command: &Command) -> Self {
        match command {
            Command::Reload => Self::Reload,
            Command::Upgrade => Self::Upgrade,
            Command::Restart { .. } | Command::Cancel { .. } => Self::Restart,
            Command::Drain { .. } | Command::Resume { .. } => Self::Drain,
        }
    }
}

/// Whether the caller is ready to wait while a person is asked for a password.
pub(super) fn is_interactive(header: &Header<'_>) -> bool {
    header
        .primary()
        .flags()
        .contains(Flags::ALLOW_INTERACTIVE_AUTH)
}

/// Lets the sender of a call pass, or not. The bus knows the sender's user from the kernel.
pub(super) async fn check(
    bus: &Connection,
    header: &Header<'_>,
    action: Action,
    interactive: bool,
) -> Result<(), Error> {
    let refused = |text: String| Err(Error::NotAuthorized(text));
    let Some(sender) = header.sender() else {
        return refused("a caller without a name may not do this".to_owned());
    };
    let asked = DBusProxy::new(bus).await?;
    let user = match asked
        .get_connection_unix_user(BusName::from(sender.clone()))
        .await
    {
        Ok(user) => user,
        Err(error) => {
            return refused(format!(
                "a caller of unknown user may not do this ({error})"
            ));
        }
    };
    if user == 0 || user == geteuid().as_raw() {
        return Ok(());
    }
    let id = action.id();
    match polkit::ask(bus, sender, id, interactive).await {
        Verdict::Allowed => Ok(()),
        Verdict::Denied => refused(format!("polkit does not allow user {user} to do {id}")),
        Verdict::Challenged => refused(format!(
            "user {user} may do {id} only after authentication, and the call does not allow to \
             ask for it"
        )),
        Verdict::Absent => refused(format!(
            "user {user} may not do {id}: only root and the user that batond runs as may, since \
             polkit is not installed"
        )),
        Verdict::Failed(error) => refused(format!(
            "user {user} may not do {id}: polkit cannot be asked: {error}"
        )),
    }
}
