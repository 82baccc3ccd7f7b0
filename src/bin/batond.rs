//! The daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    batond::daemon::main()
}
