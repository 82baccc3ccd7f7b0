//! What the bus carries, as what a row or JSON holds.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serializer;
use serde_json::Value;
use zbus::{OwnedVariant, Variant};

use super::failure::Failure;

/// The properties of one object.
#[derive(Debug)]
pub(super) struct Properties(pub(super) HashMap<String, OwnedVariant>);

impl Properties {
    /// The same once more. (What cannot be copied is a descriptor, of which there are none.)
    pub(super) fn copy(values: &HashMap<String, OwnedVariant>) -> Self {
        let copy =
            |(name, value): (&String, &OwnedVariant)| Some((name.clone(), value.try_clone().ok()?));
        Self(values.iter().filter_map(copy).collect())
    }

    /// One of them.
    pub(super) fn take<T>(&mut self, name: &str) -> Result<T, Failure>
    where
        T: TryFrom<OwnedVariant>,
    {
        let value = self.0.remove(name).map(T::try_from);
        value
            .and_then(Result::ok)
            .ok_or_else(|| Failure::Unknown(format!("the property {name} is not as it should be")))
    }

    /// A time, in microseconds on the bus; 0: none.
    pub(super) fn take_time(&mut self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let microseconds: u64 = self.take(name)?;
        Ok((microseconds > 0).then(|| time(microseconds)))
    }
}

/// A time, in microseconds on the bus.
pub(super) fn time(microseconds: u64) -> Timestamp {
    i64::try_from(microseconds)
        .ok()
        .and_then(|microseconds| Timestamp::from_microsecond(microseconds).ok())
        .unwrap_or(Timestamp::MAX)
}

/// For serde: RFC 3339, which is how a time is displayed.
pub(super) fn serialize_time<S: Serializer>(
    time: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// For serde: the same, or null.
pub(super) fn serialize_time_option<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// A dictionary as an object, anything else that has no counterpart in JSON as a text.
pub(super) fn json(value: &Variant<'_>) -> Value {
    match value {
        Variant::U8(n) => (*n).into(),
        Variant::Bool(truth) => (*truth).into(),
        Variant::I16(n) => (*n).into(),
        Variant::U16(n) => (*n).into(),
        Variant::I32(n) => (*n).into(),
        Variant::U32(n) => (*n).into(),
        Variant::I64(n) => (*n).into(),
        Variant::U64(n) => (*n).into(),
        Variant::F64(n) => (*n).into(),
        Variant::Str(text) => text.as_str().into(),
        Variant::ObjectPath(path) => path.as_str().into(),
        Variant::Variant(inner) => json(inner),
        Variant::Array(array) => array.inner().iter().map(json).collect(),
        Variant::Structure(fields) => fields.fields().iter().map(json).collect(),
        Variant::Dict(dict) => {
            let key = |key: &Variant<'_>| match json(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let entries = dict.iter();
            Value::Object(entries.map(|(k, v)| (key(k), json(v))).collect())
        }
        other => other.to_string().into(),
    }
}

/// The same for what is owned.
pub(super) fn json_owned(value: &OwnedVariant) -> Value {
    Variant::try_from(value).map_or(Value::Null, |value| json(&value))
}
