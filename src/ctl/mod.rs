//! `batonctl`, the operator's tool: a command line becomes a call on the bus, and what comes back
//! a table, JSON or a line, and an exit code.
//!
//! [`args`] says what there is, `daemon` makes the calls, `follow` waits for the end of a job, `listing`,
//! `forecast`, `failures`, `job`, `status` and `monitor` read what comes back, `table` and `progress` show it.

pub mod args;
mod attach;
mod certificates;
mod daemon;
mod failure;
mod failures;
mod follow;
mod forecast;
mod job;
mod listing;
mod monitor;
mod plan;
mod progress;
mod properties;
mod status;
mod table;

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use zbus::{DynamicType, OwnedObjectPath, Variant};

use self::args::{Args, Command};
use self::certificates::Certificate;
use self::daemon::Daemon;
use self::failure::Failure;
use self::failures::Failures;
use self::forecast::Change;
use self::job::Job;
use self::listing::{Clients, Problem, Service};
use self::progress::Progress;
use self::status::Status;
use self::table::{Page, Style};

/// The state of a drain in which all clients have left.
const AWAY: &str = "away";

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
        Command::Certificates {
            name,
            forecast: true,
        } => listing::write(page, &Change::all(&daemon, name.as_deref()).await?)?,
        Command::Certificates { name, .. } => {
            let all = listing::named::<Certificate>(&daemon, name.as_deref()).await?;
            listing::write(page, &all)?;
        }
        Command::Failures { limit } => Failures::of(&daemon, limit).await?.write(page)?,
        Command::Problems => Problem::write(page, &Problem::all(&daemon).await?)?,
        Command::Jobs => listing::write(page, &Job::all(&daemon).await?)?,
        Command::Reload => carry_out(&daemon, "Reload", &none(), None, page).await?,
        Command::Upgrade => carry_out(&daemon, "Upgrade", &none(), None, page).await?,
        Command::Plan { service } => plan::show(&daemon, &service, page).await?,
        Command::Restart { service, force } => {
            let body = (service, how(force));
            carry_out(&daemon, "Restart", &body, None, page).await?;
        }
        Command::Drain { what, force } => match (what.service, what.unit) {
            (Some(service), _) => {
                let body = (service, how(force));
                carry_out(&daemon, "Drain", &body, Some(AWAY), page).await?;
            }
            (None, unit) => drain_unit(&daemon, &unit.unwrap_or_default(), force, page).await?,
        },
        Command::Resume { what } => {
            let jobs: Vec<OwnedObjectPath> = match (what.service, what.unit) {
                (Some(service), _) => vec![daemon.begin("Resume", &(service, none())).await?],
                (None, unit) => {
                    let body = (unit.unwrap_or_default(), none());
                    daemon.begin("ResumeUnit", &body).await?
                }
            };
            resumed(&jobs, page)?;
        }
        Command::Cancel { job } => {
            let _: OwnedObjectPath = daemon.begin("CancelJob", &(job, none())).await?;
            page.line(Style::Plain, &format!("job {job} is being cancelled"))?;
        }
        Command::Attach { unit } => attach::attach(&daemon, &unit, page).await?,
        Command::Detach { unit } => attach::detach(&unit, page)?,
        Command::Monitor => {}
    }
    page.out.flush().map_err(Failure::Output)
}

/// Says which jobs go on to their end.
fn resumed(jobs: &[OwnedObjectPath], page: &mut Page<'_>) -> io::Result<()> {
    let numbers = jobs.iter().filter_map(|path| path.rsplit('/').next());
    let numbers: Vec<&str> = numbers.collect();
    let text = match numbers.as_slice() {
        [] => "nothing was drained".to_owned(),
        [one] => format!("job {one} lets newcomers in"),
        more => format!("jobs {} let newcomers in", more.join(", ")),
    };
    page.line(Style::Plain, &text)
}

/// Has a job done, and fails if it does.
async fn carry_out(
    daemon: &Daemon,
    method: &str,
    body: &(impl serde::Serialize + DynamicType),
    until: Option<&str>,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let mut progress = Progress::new(page.json);
    let job = follow::follow(daemon, method, body, until, &mut progress).await?;
    ended(&job, until, page)
}

/// What systemd calls before it stops a unit.
async fn drain_unit(
    daemon: &Daemon,
    unit: &str,
    force: bool,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let mut progress = Progress::new(page.json);
    let body = (unit, how(force));
    let jobs = follow::follow_all(daemon, "DrainUnit", &body, Some(AWAY), &mut progress).await?;
    if jobs.is_empty() {
        page.line(
            Style::Plain,
            &format!("nothing to drain: {unit} is not about to be stopped, or is told already"),
        )?;
    }
    for job in jobs {
        ended(&job, Some(AWAY), page)?;
    }
    Ok(())
}

/// Says how a job ended, or that it waits; fails if it did.
fn ended(job: &Job, until: Option<&str>, page: &mut Page<'_>) -> Result<(), Failure> {
    if until == Some(job.state.as_str()) && !page.json {
        let text = format!(
            "service {}: all clients have left (job {})",
            job.service, job.id
        );
        page.line(Style::Plain, &text)?;
        return Ok(());
    }
    job::write_end(job, page)?;
    if job.runs() {
        return Ok(());
    }
    if !page.json {
        job.tell_last_words();
    }
    job.failure().map_or(Ok(()), Err)
}

/// No options.
fn none() -> HashMap<&'static str, Variant<'static>> {
    HashMap::new()
}

fn how(force: bool) -> HashMap<&'static str, Variant<'static>> {
    HashMap::from([("force", Variant::from(force))])
}
