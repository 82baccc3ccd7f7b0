//! batond under a real systemd: what happens to its clients when the service manager starts,
//! restarts, stops and kills it, and that the unit files hold what they promise.
//!
//! Each test boots a machine of its own. Without root, or where nothing may be mounted, the tests
//! say so and pass; `tests/system/install` installs what they need.

/// Makes a test for each Debian release out of a function that takes a booted machine.
macro_rules! on_each_release {
    ($($promise:ident)*) => {
        $(mod $promise {
            use crate::machine::{Machine, Release};

            #[test]
            fn debian_12() {
                let Some(machine) = Machine::boot(Release::Bookworm) else { return };
                super::$promise(&machine);
            }

            #[test]
            fn debian_13() {
                let Some(machine) = Machine::boot(Release::Trixie) else { return };
                super::$promise(&machine);
            }
        })*
    };
}

#[path = "../crowd/mod.rs"]
mod crowd;
#[path = "../renewal/pki.rs"]
#[allow(dead_code)]
mod pki;
#[path = "../support/mod.rs"]
mod support;

mod channel;
mod client;
mod installation;
mod journal;
mod machine;
mod newcomers;
mod steps;
mod tracer;
mod turnstile;

mod backend;
mod boot;
mod bus;
mod confined;
mod coordinator;
mod crash;
mod death;
mod drain;
mod farewell;
mod handoff;
mod package;
mod reload;
mod renewal;
mod sockets;
mod store;
mod story;
mod successors;
mod under_load;
mod units;
