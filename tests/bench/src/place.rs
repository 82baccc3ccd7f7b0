//! The step between the conductor and every process that it starts: pin to its cores, raise the
//! descriptor limit, end with the conductor, then become the program. All three survive exec and
//! are inherited by its workers (except the last, which the program's own main process looks after).

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CpuSet, sched_setaffinity};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The cores to run on, with commas between
    #[arg(long, value_delimiter = ',', required = true)]
    cores: Vec<usize>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// Returns only on failure.
pub(crate) fn become_program(options: &Options) -> Result<()> {
    let mut cores = CpuSet::new();
    for &core in &options.cores {
        cores.set(core);
    }
    sched_setaffinity(None, &cores)
        .with_context(|| format!("cannot pin to the cores {:?}", options.cores))?;

    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .context("cannot raise the soft limit of descriptors to the hard one")?;

    set_parent_process_death_signal(Some(Signal::TERM))
        .context("cannot ask for a signal at the conductor's death")?;

    let (program, arguments) = options.program.split_first().context("no program given")?;
    let error = Command::new(program).args(arguments).exec();
    Err(anyhow!(error).context(format!("cannot execute {}", program.display())))
}
