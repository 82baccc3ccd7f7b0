//! Who may have something changed: root, and the user that the daemon runs as.

use rustix::process::geteuid;
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::message::Header;
use zbus::names::BusName;

use super::Error;

/// Lets the sender of a call pass, or not. The bus knows the sender's user from the kernel.
pub(super) async fn check(bus: &Connection, header: &Header<'_>) -> Result<(), Error> {
    let refused = |who: String| {
        Error::NotAuthorized(format!(
            "{who} may not do this: only root and the user that batond runs as may"
        ))
    };
    let Some(sender) = header.sender() else {
        return Err(refused("a caller without a name".to_owned()));
    };
    let asked = DBusProxy::new(bus).await?;
    let user = asked
        .get_connection_unix_user(BusName::from(sender.clone()))
        .await
        .map_err(|error| refused(format!("a caller of unknown user ({error})")))?;
    if user == 0 || user == geteuid().as_raw() {
        Ok(())
    } else {
        Err(refused(format!("user {user}")))
    }
}
