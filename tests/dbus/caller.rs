//! Somebody on the bus who calls the daemon and hears what it signals.

use std::collections::HashMap;

use batond::control::dbus::{NAME, PATH};
use futures_util::StreamExt;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::fdo::{ManagedObjects, ObjectManagerProxy};
use zbus::message::Type;
use zbus::wire::DynamicDeserialize;
use zbus::{
    Connection, DynamicType, MatchRule, Message, MessageStream, ObjectPath, OwnedObjectPath,
    OwnedVariant, Variant,
};

use crate::support::PATIENCE;
use crate::world::World;

/// Runs a test's conversation, which may take long but not for ever.
pub(crate) fn talk(conversation: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let done = runtime.block_on(async { timeout(PATIENCE, conversation).await });
    done.expect("the conversation comes to an end");
}

pub(crate) struct Caller {
    pub(crate) connection: Connection,
    signals: MessageStream,
}

impl Caller {
    pub(crate) async fn of(world: &World) -> Self {
        let connection = Builder::address(world.bus.address.as_str())
            .build()
            .await
            .unwrap();
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)
            .path_namespace(PATH)
            .build()
            .unwrap();
        let signals = MessageStream::for_match_rule(rule, &connection, None);
        Self {
            signals: signals.await.unwrap(),
            connection,
        }
    }

    /// Calls a method of the Manager. The error: its name and text.
    pub(crate) async fn call<B, R>(&self, method: &str, body: &B) -> Result<R, (String, String)>
    where
        B: serde::Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let interface = Some("org.batond.Baton1.Manager");
        let answer = self
            .connection
            .call_method(Some(NAME), PATH, interface, method, body)
            .await;
        match answer {
            Ok(message) => Ok(message.body().deserialize().unwrap()),
            Err(zbus::Error::MethodError(name, text, _)) => {
                Err((name.to_string(), text.unwrap_or_default()))
            }
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// Has a job begun without options.
    pub(crate) async fn begin(&self, method: &str) -> OwnedObjectPath {
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        self.call(method, &options).await.unwrap()
    }

    /// All properties of one object.
    pub(crate) async fn properties(
        &self,
        path: &ObjectPath<'_>,
        interface: &str,
    ) -> HashMap<String, OwnedVariant> {
        let properties = Some("org.freedesktop.DBus.Properties");
        let answer = self
            .connection
            .call_method(Some(NAME), path, properties, "GetAll", &interface)
            .await
            .unwrap();
        answer.body().deserialize().unwrap()
    }

    /// Everything below the root.
    pub(crate) async fn objects(&self) -> ManagedObjects {
        let proxy = ObjectManagerProxy::builder(&self.connection)
            .destination(NAME)
            .path(PATH)
            .build()
            .await
            .unwrap();
        proxy.get_managed_objects().await.unwrap()
    }

    /// Waits for a signal of this name, and gives all that came until then, with that.
    pub(crate) async fn hear(&mut self, member: &str) -> Vec<Message> {
        let mut heard = Vec::new();
        loop {
            let signal = self.signals.next().await.unwrap().unwrap();
            let is_it = is(&signal, member);
            heard.push(signal);
            if is_it {
                return heard;
            }
        }
    }
}

pub(crate) fn is(signal: &Message, member: &str) -> bool {
    signal.header().member().is_some_and(|name| *name == member)
}

/// A property that is a text.
pub(crate) fn text<'a>(properties: &'a HashMap<String, OwnedVariant>, name: &str) -> &'a str {
    <&str>::try_from(&properties[name]).unwrap()
}

/// A property that is a list of texts.
pub(crate) fn texts(properties: &HashMap<String, OwnedVariant>, name: &str) -> Vec<String> {
    let value = properties[name].try_clone().unwrap();
    Vec::<String>::try_from(value).unwrap()
}
