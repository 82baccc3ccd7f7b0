//! polkit's answer to the question who may do what (org.freedesktop.PolicyKit1.Authority).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;
use zbus::fdo;
use zbus::names::UniqueName;
use zbus::{Connection, Variant, proxy};

/// It answers at once unless it has to start first, or to ask a person.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a person may take for a password.
const INTERACTIVE_ANSWER: Duration = Duration::from_secs(120);

/// `AllowUserInteraction` of `CheckAuthorizationFlags`.
const ALLOW_USER_INTERACTION: u32 = 1;

type Subject<'a> = (&'a str, HashMap<&'a str, Variant<'a>>);
type Result3 = (bool, bool, HashMap<String, String>);

#[proxy(
    interface = "org.freedesktop.PolicyKit1.Authority",
    default_service = "org.freedesktop.PolicyKit1",
    default_path = "/org/freedesktop/PolicyKit1/Authority"
)]
trait Authority {
    /// Whether the subject is authorised, and whether it could be by authenticating.
    fn check_authorization(
        &self,
        subject: &Subject<'_>,
        action_id: &str,
        details: HashMap<&str, &str>,
        flags: u32,
        cancellation_id: &str,
    ) -> zbus::Result<Result3>;
}

/// What polkit says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The caller may.
    Allowed,
    /// It may not.
    Denied,
    /// It may once somebody has authenticated, and it did not want to be asked for that.
    Challenged,
    /// There is no polkit here.
    Absent,
    /// polkit does not answer, or not to us.
    Failed(String),
}

/// Asks whether a caller may do something. `interactive`: a person may be asked for a password.
pub(super) async fn ask(
    bus: &Connection,
    caller: &UniqueName<'_>,
    action: &str,
    interactive: bool,
) -> Verdict {
    let asking = async {
        let authority = AuthorityProxy::builder(bus)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?;
        let name = HashMap::from([("name", Variant::from(caller.as_str()))]);
        let subject = ("system-bus-name", name);
        let flags = if interactive {
            ALLOW_USER_INTERACTION
        } else {
            0
        };
        authority
            .check_authorization(&subject, action, HashMap::new(), flags, "")
            .await
    };
    let patience = if interactive {
        INTERACTIVE_ANSWER
    } else {
        ANSWER
    };
    match timeout(patience, asking).await {
        Ok(Ok((true, ..))) => Verdict::Allowed,
        Ok(Ok((false, challenge, _))) if challenge && !interactive => Verdict::Challenged,
        Ok(Ok((false, ..))) => Verdict::Denied,
        Ok(Err(zbus::Error::FDO(error))) if is_absence(&error) => Verdict::Absent,
        Ok(Err(error)) => Verdict::Failed(error.to_string()),
        Err(_) => Verdict::Failed("it does not answer".to_owned()),
    }
}

fn is_absence(error: &fdo::Error) -> bool {
    matches!(
        error,
        fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_)
    )
}
