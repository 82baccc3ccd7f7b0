//! `batonctl monitor`: what happens, while it happens.

use futures_util::StreamExt;
use futures_util::stream::select;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant};

use super::daemon::Daemon;
use super::failure::Failure;
use super::properties::json_owned;
use super::table::{Page, Style};
use crate::control::dbus::{NAME, PATH};

/// The signals of the objects, with the names of their arguments.
const SIGNALS: &[(&str, &str, &[&str])] = &[
    ("JobNew", "job-new", &["id", "", "kind", "service"]),
    (
        "JobRemoved",
        "job-removed",
        &["id", "", "result", "message"],
    ),
    (
        "ProblemRaised",
        "problem-raised",
        &["name", "subject", "severity", "what", "remedy"],
    ),
    ("ProblemCleared", "problem-cleared", &["name", "subject"]),
    ("Progress", "job-progress", &["state", "progress", "counts"]),
];

/// Writes events until the output is closed, or the bus.
pub(super) async fn run(
    connection: Connection,
    bus: &str,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let mut signals = subscribe(&connection)
        .await
        .map_err(|error| Failure::of_call(error, bus))?;
    tell_presence(&connection, bus, page).await?;
    while let Some(signal) = signals.next().await {
        let signal = signal.map_err(|error| Failure::of_call(error, bus))?;
        let is_owner = signal
            .header()
            .member()
            .is_some_and(|name| *name == "NameOwnerChanged");
        if is_owner {
            tell_presence(&connection, bus, page).await?;
        } else if let Some((event, fields)) = read(&signal) {
            tell(page, event, fields)?;
        }
    }
    Err(Failure::NoBus {
        bus: bus.to_owned(),
        reason: "the connection is lost".to_owned(),
    })
}

/// All signals of whoever is batond, and who that is.
async fn subscribe(
    connection: &Connection,
) -> zbus::Result<impl futures_util::Stream<Item = zbus::Result<Message>> + use<>> {
    let signals = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .path_namespace(PATH)
        .build()?;
    let owner = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .arg(0, NAME)
        .build()?;
    Ok(select(
        MessageStream::for_match_rule(signals, connection, None).await?,
        MessageStream::for_match_rule(owner, connection, None).await?,
    ))
}

async fn tell_presence(
    connection: &Connection,
    bus: &str,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let has_owner = async {
        let asked = DBusProxy::new(connection).await?;
        Ok(asked.name_has_owner(NAME.try_into()?).await?)
    };
    let has_owner: zbus::Result<bool> = has_owner.await;
    if !has_owner.map_err(|error| Failure::of_call(error, bus))? {
        return tell(page, "absent", Map::new());
    }
    let daemon = Daemon::find(connection.clone(), bus).await?;
    let mut manager = daemon.properties(PATH, "Manager").await?;
    let mut fields = Map::new();
    for (name, property) in [
        ("version", "Version"),
        ("phase", "Phase"),
        ("generation", "Generation"),
    ] {
        let value: OwnedVariant = manager.take(property)?;
        fields.insert(name.to_owned(), json_owned(&value));
    }
    tell(page, "present", fields)
}

/// What a signal says; None, if it is not for people.
fn read(signal: &Message) -> Option<(&'static str, Map<String, Value>)> {
    let header = signal.header();
    let member = header.member()?;
    let body = signal.body();
    let body: zbus::Structure<'_> = body.deserialize().ok()?;
    let values: Vec<Value> = body.fields().iter().map(super::properties::json).collect();
    if *member == "PropertiesChanged" {
        // Jobs have a signal of their own.
        let manager = values.first()? == "org.batond.Baton1.Manager";
        let Some(Value::Object(changed)) = values.into_iter().nth(1) else {
            return None;
        };
        let changed = changed.into_iter();
        let changed = changed.map(|(name, value)| (name.to_lowercase(), value));
        return manager.then(|| ("changed", changed.collect()));
    }
    let (_, event, names) = SIGNALS.iter().find(|(name, ..)| *member == *name)?;
    let named = names.iter().zip(values);
    let mut fields: Map<String, Value> = named
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| ((*name).to_owned(), value))
        .collect();
    if *event == "job-progress" {
        let (_, id) = header.path()?.rsplit_once('/')?;
        fields.insert("id".to_owned(), json!(id.parse::<u32>().ok()?));
    }
    Some((event, fields))
}

fn tell(page: &mut Page<'_>, event: &str, fields: Map<String, Value>) -> Result<(), Failure> {
    let now = Timestamp::now();
    if page.json {
        let mut line = Map::new();
        line.insert("time".to_owned(), json!(now.to_string()));
        line.insert("event".to_owned(), json!(event));
        line.extend(fields);
        page.json(&line)?;
    } else {
        page.line(style(event, &fields), &sentence(event, &fields, now))?;
    }
    // Whoever follows it in a pipe wants it now.
    page.out.flush().map_err(Failure::Output)
}

fn style(event: &str, fields: &Map<String, Value>) -> Style {
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|one| one == value);
    match event {
        "absent" => Style::Bad,
        "problem-raised" if is("severity", "warning") => Style::Warning,
        "problem-raised" => Style::Bad,
        "job-removed" if !is("result", "done") => Style::Bad,
        "job-removed" | "problem-cleared" => Style::Good,
        _ => Style::Plain,
    }
}

/// `2026-11-22T19:33:36Z job-new: id 3, kind reload`.
fn sentence(event: &str, fields: &Map<String, Value>, now: Timestamp) -> String {
    let mut text = format!("{now:.0} {event}");
    let mut separator = ": ";
    for (name, value) in fields {
        let value = match value {
            Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
            Value::Object(counts) => {
                let counts = counts.iter().map(|(name, count)| format!("{name}={count}"));
                counts.collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        if !value.is_empty() {
            text.push_str(&format!("{separator}{name} {value}"));
            separator = ", ";
        }
    }
    text
}
