//! `batond demo`: a planned restart to look at.

use std::process::ExitCode;

/// How the demo runs.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {}

/// Runs it.
pub fn main(_: DemoArgs) -> ExitCode {
    ExitCode::SUCCESS
}
