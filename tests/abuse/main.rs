//! What unfriendly clients and broken backends try, and what becomes of it: the real daemon, real
//! sockets, everything bounded in number and time. While each attempt goes on healthy clients
//! exchange messages, and the memory of the process is watched. The table of it is printed at the
//! end; README.md beside this file has one.

mod recorder;
mod strict;

#[path = "../relay/frame.rs"]
#[allow(dead_code)]
mod frame;
#[path = "../relay/http.rs"]
#[allow(dead_code)]
mod http;
#[path = "../relay/peer.rs"]
#[allow(dead_code)]
mod peer;
#[path = "../support/mod.rs"]
mod support;
#[path = "../relay/world.rs"]
#[allow(dead_code)]
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = strict::TRIALS.iter().map(|&(name, trial)| {
        Trial::test(name, move || {
            trial();
            Ok::<(), Failed>(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
