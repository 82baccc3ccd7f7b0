//! Somebody on the bus who answers for polkit, and notes what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use zbus::{Connection, OwnedVariant, connection, interface};

use crate::world::World;

/// What polkit answers, and what it was asked.
#[derive(Default)]
pub(crate) struct Rules {
    /// Actions that anybody may do.
    pub(crate) allowed: Vec<&'static str>,
    /// Actions that need a password, which is given if it may be asked for.
    pub(crate) challenged: Vec<&'static str>,
    /// Action, and whether a person might be asked.
    pub(crate) asked: Vec<(String, bool)>,
}

/// Answers until it is dropped.
pub(crate) async fn serve(world: &World, rules: &Arc<Mutex<Rules>>) -> Connection {
    connection::Builder::address(world.bus.address.as_str())
        .serve_at(
            "/org/freedesktop/PolicyKit1/Authority",
            Authority(Arc::clone(rules)),
        )
        .name("org.freedesktop.PolicyKit1")
        .build()
        .await
        .unwrap()
}

struct Authority(Arc<Mutex<Rules>>);

type Subject = (String, HashMap<String, OwnedVariant>);

#[interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    fn check_authorization(
        &self,
        subject: Subject,
        action: String,
        details: HashMap<String, String>,
        flags: u32,
        _cancellation: &str,
    ) -> (bool, bool, HashMap<String, String>) {
        assert_eq!(subject.0, "system-bus-name");
        let name = <&str>::try_from(&subject.1["name"]).unwrap();
        assert!(name.starts_with(':'), "{name}");
        // Only root and the action's owner may say more (polkit(8)).
        assert!(details.is_empty(), "{details:?}");
        let interactive = flags & 1 == 1;
        let mut rules = self.0.lock().unwrap();
        let allowed = rules.allowed.iter().any(|one| *one == action);
        let challenged = rules.challenged.iter().any(|one| *one == action);
        rules.asked.push((action, interactive));
        (
            allowed || (challenged && interactive),
            challenged && !interactive,
            HashMap::new(),
        )
    }
}
