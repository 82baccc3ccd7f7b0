//! batond beside HAProxy, nginx and Sōzu: what one message, one handshake and one idle client cost
//! each of them, in one run, on one core each. `README.md` says how to read the result.
//!
//! The modules in reading order:
//!
//! 1. [`run`]: the conductor. Starts everybody, asks for rounds in turn, prints the tables.
//! 2. [`peer`]: who takes part, and the configuration that each gets.
//! 3. [`load`]: the load generator, a process of its own per peer and measure.
//! 4. [`echo`]: the application behind every proxy.
//! 5. [`process`]: starting on a core, counting CPU time and memory, stopping.
//! 6. [`instructions`]: the same work for batond alone, counted in instructions.

mod certificate;
mod echo;
mod instructions;
mod load;
mod peer;
mod place;
mod process;
mod run;
mod websocket;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Compares batond with other proxies for WebSocket services.
#[derive(Parser)]
#[command(name = "batond-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure all peers in turn and print the tables
    Run(run::Options),
    /// Count batond's instructions per message and per handshake (needs valgrind)
    Instructions(instructions::Options),
    /// Serve as the application: echo every WebSocket message
    Echo(echo::Options),
    /// Generate load, on command from standard input
    Load(load::Options),
    /// Become another program, on one core, with all descriptors, and not outliving the parent
    #[command(hide = true)]
    Place(place::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Echo(options) => echo::serve(&options),
        Command::Load(options) => load::serve(&options),
        Command::Place(options) => place::become_program(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("batond-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
