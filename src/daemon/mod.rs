//! The life of the process, which puts the rooms together: take what comes across exec, load the
//! configuration, open the sockets, serve, hand over or stop.

pub mod args;
mod certificates;
mod clock;
mod control_loop;
mod coordinate;
mod failures;
mod handover;
pub mod inherited;
mod keep;
mod leave;
mod life;
mod probes;
mod reload;
mod renew;
mod scrape;
mod setup;
mod shown;

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use crate::config::check_command;
use crate::control::journal;
use crate::control::notify::Notifier;
use crate::demo;
use crate::restart::handoff::{LAUNCH_SUBCOMMAND, launch_command};

/// Exit codes of sysexits.h.
mod exit {
    /// The command line is wrong.
    pub(super) const USAGE: u8 = 64;
    /// A socket or another thing of the system could not be had.
    pub(super) const OSERR: u8 = 71;
    /// The configuration is wrong.
    pub(super) const CONFIG: u8 = 78;
}

/// `batond`, from its arguments to its exit code. `start_allocator` begins what the allocator does
/// on a thread of its own; without that memory is given back later.
pub fn main<E: Display>(start_allocator: impl FnOnce() -> Result<(), E>) -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments
        .nth(1)
        .is_some_and(|argument| argument == LAUNCH_SUBCOMMAND)
    {
        return launch_command(arguments);
    }
    // Both before anything that could start a thread.
    let inherited = inherited::take();
    let notifier = Notifier::from_env();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way too, and are no errors.
            let _ = error.print();
            return if error.use_stderr() {
                exit::USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match args.command {
        Some(Command::Check(check)) => return check_command(check),
        Some(Command::Demo(options)) => return demo::main(options),
        None => {}
    }
    let log = match journal::init(Some(&args.run.log_level)) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("batond: {error}");
            return ExitCode::from(exit::USAGE);
        }
    };
    if let Err(error) = start_allocator() {
        tracing::warn!("memory is given back to the system late: {error}");
    }
    let outcome = inherited
        .map_err(|error| setup::StartError::Inherited { source: error })
        .and_then(|inherited| {
            let log = log.clone();
            let ways = life::Ways { notifier, log };
            life::live(args.run, arguments_after_program(), inherited, ways)
        });
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::from(error.exit_code())
        }
    };
    log.flush();
    code
}

fn arguments_after_program() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}
