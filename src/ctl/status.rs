//! `batonctl status`.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;
use zbus::OwnedVariant;

/// What the daemon shows of itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Status {
    version: String,
    phase: String,
    generation: u64,
    clients: u64,
}

impl Status {
    /// None: a property is missing, or of another type.
    pub(super) fn from_properties(all: &HashMap<String, OwnedVariant>) -> Option<Self> {
        let text = |name: &str| <&str>::try_from(all.get(name)?).ok().map(str::to_owned);
        let number = |name: &str| u64::try_from(all.get(name)?).ok();
        Some(Self {
            version: text("Version")?,
            phase: text("Phase")?,
            generation: number("Generation")?,
            clients: number("Clients")?,
        })
    }

    pub(super) fn write(&self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        if json {
            return writeln!(out, "{}", serde_json::json!(self));
        }
        writeln!(out, "version     {}", self.version)?;
        writeln!(out, "phase       {}", self.phase)?;
        writeln!(out, "generation  {}", self.generation)?;
        writeln!(out, "clients     {}", self.clients)
    }
}
