//! `batond check`: everything that is wrong with a configuration, before it is used.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::checked::Config;
use super::problem::Problems;
use super::source::Source;

/// EX_CONFIG of sysexits(3): something is wrong with the configuration, or it cannot be read.
const EX_CONFIG: u8 = 78;

/// Checks the configuration with its certificates, and tells everything that is wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The main file; `conf.d` beside it is read, too
    #[arg(long, value_name = "PATH", default_value = Source::DEFAULT_PATH)]
    pub config: PathBuf,
    /// Print the problems as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Try to bind the TCP addresses as well, which fails for those that a running batond has
    #[arg(long)]
    pub bind: bool,
}

/// Runs the command. Exits 0 if all is good, and 78 otherwise, with the problems on standard
/// error, or as JSON on standard output.
pub fn check_command(args: CheckArgs) -> ExitCode {
    let source = Source::from_process(Some(args.config));
    let outcome = super::read(&source).and_then(|(config, mut found)| {
        if args.bind {
            super::bind::check(&mut found, &config);
        }
        found.conclude(config)
    });
    // Nobody reads what cannot be written; the exit code still says it all.
    let _ = if args.json {
        writeln!(std::io::stdout(), "{}", json(outcome.as_ref().err()))
    } else {
        match &outcome {
            Ok(config) => writeln!(std::io::stdout(), "{}", summary(config)),
            Err(problems) => writeln!(std::io::stderr(), "{problems}"),
        }
    };
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(EX_CONFIG),
    }
}

fn json(problems: Option<&Problems>) -> serde_json::Value {
    match problems {
        Some(problems) => serde_json::json!(problems),
        None => serde_json::json!({ "problems": [] }),
    }
}

fn summary(config: &Config) -> String {
    let counted = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    format!(
        "configuration is good: {}, {}, {}",
        counted(config.listeners.len(), "listener"),
        counted(config.certificates.len(), "certificate"),
        counted(config.services.len(), "service")
    )
}
