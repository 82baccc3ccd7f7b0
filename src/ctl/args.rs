//! The command line of `batonctl`.

use clap::{Parser, Subcommand};

/// Commands the running batond.
#[derive(Debug, Parser)]
#[command(name = "batonctl", version)]
pub struct Args {
    /// D-Bus address of the bus that batond is on [default: the system bus]
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(super) bus: Option<String>,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// What it is to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the configuration and the certificates again; exit status 78 if something is wrong,
    /// and then nothing has changed
    Reload,
    /// Hand over to a new process of the program on disk, with the configuration on disk; returns
    /// when that serves
    Upgrade,
    /// Show what batond is doing
    Status(StatusArgs),
}

/// How the status is shown.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}
