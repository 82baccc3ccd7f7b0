//! The options of a call: `a{sv}`. Those that this version does not know are refused, since a
//! caller may rely on them.

use std::collections::HashMap;

use zbus::OwnedVariant;

use super::error::Error;
use crate::control::command;

pub(super) type Options = HashMap<String, OwnedVariant>;

/// No option is known.
pub(super) fn none(options: &Options) -> Result<(), Error> {
    match options.keys().next() {
        None => Ok(()),
        Some(name) => Err(unknown(name)),
    }
}

/// The only option is `force`, a truth.
pub(super) fn how(options: &Options) -> Result<command::Options, Error> {
    let mut how = command::Options::default();
    for (name, value) in options {
        if name != "force" {
            return Err(unknown(name));
        }
        how.force = bool::try_from(value.try_clone()?)
            .map_err(|_| Error::InvalidValue("force is a boolean".to_owned()))?;
    }
    Ok(how)
}

fn unknown(option: &str) -> Error {
    Error::UnknownOption(format!("this version knows no option {option:?} here"))
}
