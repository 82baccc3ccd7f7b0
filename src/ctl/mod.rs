//! `batonctl`, the operator's tool: a command line becomes a call on the bus, and what comes back
//! a table, JSON or a line, and an exit code.
//!
//! [`args`] says what there is, `daemon` makes the calls, `follow` waits for the end of a job, `listing`,
//! `job`, `status` and `monitor` read what comes back, `table` and `progress` show it.

pub mod args;
mod daemon;
mod failure;
mod follow;
mod job;
mod listing;
mod monitor;
mod progress;
mod properties;
mod status;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use self::daemon::Daemon;
use self::failure::Failure;
use self::job::Job;
use self::listing::{Certificate, Clients, Problem, Service};
use self::progress::Progress;
use self::status::Status;
use self::table::Page;

/// `batonctl`, from its arguments to its exit code, one of sysexits(3); the help lists them.
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
        // Who reads the output has seen enough of it.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "batonctl: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let (connection, bus) = daemon::connect(args.bus.as_deref()).await?;
    let mut out = io::stdout();
    let page = &mut Page::new(&mut out, args.json);
    if let Command::Monitor = args.command {
        return monitor::run(connection, &bus, page).await;
    }
    let daemon = Daemon::find(connection, &bus).await?;
    match args.command {
        Command::Status => Status::of(&daemon).await?.write(page)?,
        Command::Services { name } => {
            let all = listing::named::<Service>(&daemon, name.as_deref()).await?;
            listing::write(page, &all)?;
        }
        Command::Clients { service, limit } => {
            let clients = Clients::of(&daemon, service.as_deref(), limit).await?;
            clients.write(page)?;
        }
        Command::Certificates { name } => {
            let all = listing::named::<Certificate>(&daemon, name.as_deref()).await?;
            listing::write(page, &all)?;
        }
        Command::Problems => Problem::write(page, &Problem::all(&daemon).await?)?,
        Command::Jobs => listing::write(page, &Job::all(&daemon).await?)?,
        Command::Reload => carry_out(&daemon, "Reload", page).await?,
        Command::Upgrade => carry_out(&daemon, "Upgrade", page).await?,
        Command::Monitor => {}
    }
    page.out.flush().map_err(Failure::Output)
}

/// Has a job done, and fails if it does.
async fn carry_out(daemon: &Daemon, method: &str, page: &mut Page<'_>) -> Result<(), Failure> {
    let mut progress = Progress::new(page.json);
    let job = follow::follow(daemon, method, &mut progress).await?;
    job::write_end(&job, page)?;
    job.failure().map_or(Ok(()), Err)
}
