//! The command line of `batond`.

use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::CheckArgs;
use crate::demo::DemoArgs;

/// Restart coordinator for WebSocket services: owns the listening sockets, relays every
/// WebSocket, and tells the clients 1012 before a restart.
#[derive(Debug, Parser)]
#[command(name = "batond", version, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// How the daemon runs.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Configuration file; conf.d/*.toml beside it and BATOND_* variables are laid over it
    #[arg(long, value_name = "FILE", default_value = "/etc/batond/batond.toml")]
    pub(super) config: PathBuf,

    /// What is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: String,

    /// D-Bus address of the bus that systemd is on [default: the system bus]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) bus: Option<String>,

    /// Descriptor on which a predecessor passes the listening sockets
    #[arg(long, value_name = "FD", hide = true)]
    pub(super) successor: Option<RawFd>,
}

/// What `batond` does besides serving.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check the configuration and the certificates; exit status 78 if something is wrong
    Check(CheckArgs),
    /// Show a planned restart, with an embedded backend and clients
    Demo(DemoArgs),
}
