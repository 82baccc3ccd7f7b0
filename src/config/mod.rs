//! Files become a checked [`Config`], or problems with file, line, column and a caret.
//!
//! In this order: a [`Source`] names the main file, `conf.d` and the environment; each becomes a
//! layer, in which every key is one of the schema and has the right type, and whose places are
//! kept; the `config` crate merges the layers; the values are checked one by one and against each
//! other. Problems are collected on the way, so that one run tells them all. What depends on
//! something that could not be read is not judged.

mod address;
mod bind;
mod check;
mod checked;
mod claims;
mod duration;
mod findings;
mod host;
mod key;
mod layer;
mod limits;
mod listeners;
mod name;
mod number;
mod problem;
mod raw;
mod restart;
mod schema;
mod services;
mod size;
mod source;
mod text;
mod variables;

pub use check::{CheckArgs, check_command};
pub use checked::{
    Address, BackendAddress, BackendConfig, CertificateConfig, Config, HostPattern, Limits,
    ListenerConfig, Restart, Roots, ServiceConfig, Spread, TrustedPeer, with_delay,
};
pub use name::METRICS_SOCKET;
pub use problem::{Problem, Problems};
pub use source::Source;

use findings::Findings;
use key::KeyPath;
use raw::RawConfig;

/// Reads and checks a whole configuration, with the certificate files that it names. A
/// configuration without listeners and services is a good one: the daemon then waits for better.
///
/// # Errors
///
/// Everything that is wrong, at once. Messages hold no key material.
pub fn load(source: &Source) -> Result<Config, Problems> {
    let (config, mut found) = read(source);
    found.conclude(config)
}

/// As [`load`], with what could be read if something is wrong, and the places of the keys for
/// further problems.
fn read(source: &Source) -> (Config, Findings) {
    let mut found = Findings::new(source.path.clone());
    let mut builder = config::Config::builder();
    for file in source.read_files(&mut found) {
        builder = builder.add_source(layer::from_file(&mut found, file));
    }
    builder = builder.add_source(variables::layer(&mut found, &source.env));
    let merged = builder.build().and_then(|merged| merged.try_deserialize());
    let raw: RawConfig = merged.unwrap_or_else(|error| {
        found.file(&source.path, format!("cannot merge the layers: {error}"));
        RawConfig::default()
    });
    let config = judge(&mut found, &raw, source);
    (config, found)
}

/// Checks what is set. The result may only be used if nothing was found to be wrong.
fn judge(found: &mut Findings, raw: &RawConfig, source: &Source) -> Config {
    let restart = KeyPath::root().key("restart");
    let restart = restart::check(found, &restart, &raw.restart, &Restart::default());
    let mut taken = Vec::new();
    Config {
        workers: limits::workers(found, raw),
        listeners: listeners::listeners(found, raw, &mut taken),
        certificates: listeners::certificates(found, raw, &source.path),
        services: services::services(found, raw, &restart),
        limits: limits::limits(found, &raw.limits),
        metrics: limits::metrics(found, raw, &mut taken),
    }
}
