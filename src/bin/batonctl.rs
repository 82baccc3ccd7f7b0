//! The operator's tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    batond::ctl::main()
}
