//! What unfriendly clients and broken backends try, and what becomes of it: the real daemon, real
//! sockets, everything bounded in number and time. While each attempt goes on healthy clients
//! exchange messages, and the memory of the process is watched. The table of it is printed at the
//! end; README.md beside this file has one.

mod backends;
mod clients;
mod crowds;
mod recorder;
mod scene;
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
    let all = [
        strict::TRIALS,
        clients::TRIALS,
        backends::TRIALS,
        crowds::TRIALS,
    ];
    let trials = all.into_iter().flatten().map(|&(name, trial)| {
        Trial::test(name, move || {
            trial();
            Ok::<(), Failed>(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if !arguments.list {
        println!("{}", scene::table());
    }
    conclusion.exit_code()
}
