//! `batonctl`, the operator's tool: a command line becomes a call on the bus, and what comes back
//! a line or two and an exit code.

pub mod args;
mod failure;
mod manager;
mod status;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use self::failure::Failure;
use self::manager::Daemon;

/// `batonctl`, from its arguments to its exit code, one of sysexits(3): 0 done, 64 the command
/// line is wrong, 69 the daemon or the bus is not there, 70 the successor failed, 75 something
/// else is under way, 77 not allowed, 78 the configuration is wrong.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                failure::USAGE
            } else {
                0
            });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => Err(Failure::System(error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("batonctl: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let daemon = Daemon::reach(args.bus.as_deref()).await?;
    match args.command {
        Command::Reload => daemon.reload().await,
        Command::Upgrade => daemon.upgrade().await,
        Command::Status(wanted) => {
            let status = daemon.status().await?;
            // Nobody reads what cannot be written.
            let _ = status.write(wanted.json, &mut std::io::stdout());
            Ok(())
        }
    }
}
