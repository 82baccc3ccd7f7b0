//! The daemon.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Memory that a crowd of clients leaves behind goes back to the system, which the C library's
/// allocator keeps.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    // By default jemalloc looks for what it can give back only when it is called.
    batond::daemon::main(|| tikv_jemalloc_ctl::background_thread::write(true))
}
