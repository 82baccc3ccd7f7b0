//! The handoff between real processes. This program is the test, and also what the tests start:
//! the launcher, the successor, and a predecessor that can be killed.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod death;
mod door;
mod hostile;
mod inherited;
mod leaks;
mod link;
mod new_side;
mod old_side;
mod roles;
mod stream;
mod unruly;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use batond::restart::handoff::{LAUNCH_SUBCOMMAND, SUCCESSOR_OPTION, launch_command};
use libtest_mimic::{Arguments, Trial};

/// For what must happen: only a broken program takes that long.
const LONG: Duration = Duration::from_secs(60);

macro_rules! trials {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Trial::test(stringify!($name), || {
            run(async {
                tokio::time::timeout(3 * LONG, $module::$name()).await.expect("it hangs");
            });
            Ok(())
        })),*]
    };
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let first = args.next().unwrap_or_default();
    match first.to_str() {
        Some(LAUNCH_SUBCOMMAND) => return launch_command(args),
        Some(SUCCESSOR_OPTION) => return roles::successor(text(args)),
        Some("predecessor") => return roles::predecessor(text(args)),
        Some("stand-in") => return unruly::stand_in(text(args)),
        Some("count-leaks") => return leaks::count(),
        Some("inherited") => return inherited::show(),
        _ => {}
    }
    let trials = trials![
        old_side::three_sockets_arrive_in_order,
        old_side::three_hundred_sockets_arrive_in_order,
        old_side::the_state_arrives,
        old_side::the_successor_is_not_a_child_and_inherits_nothing_else,
        old_side::the_successor_hears_how_the_drain_goes,
        old_side::a_successor_that_does_not_listen_never_holds_up_the_drain,
        old_side::an_offer_beyond_the_limits_starts_nothing,
        old_side::a_program_that_is_not_there_is_named,
        old_side::a_successor_that_exits_at_once_is_an_error,
        old_side::a_successors_own_reason_is_the_error,
        old_side::a_successor_that_hangs_is_killed_at_the_deadline,
        old_side::a_successor_that_never_speaks_is_killed_at_the_deadline,
        old_side::a_successor_that_hangs_at_the_commit_is_killed,
        old_side::a_handoff_that_is_dropped_leaves_no_successor,
        old_side::a_successor_that_is_dropped_ends,
        old_side::an_abandoned_successor_is_told_and_ends,
        death::a_successor_killed_at_any_step_is_noticed,
        death::the_end_of_a_successor_shows_even_if_its_child_keeps_the_channel,
        death::a_predecessor_killed_before_the_offer_takes_the_successor_along,
        death::a_predecessor_killed_after_the_offer_is_replaced,
        death::a_predecessor_killed_before_the_commit_is_replaced,
        death::a_predecessor_killed_while_it_drains_is_missed_by_nobody,
        hostile::another_version_is_refused_by_the_predecessor,
        hostile::what_is_not_a_message_is_refused_by_the_predecessor,
        hostile::messages_out_of_turn_are_refused_by_the_predecessor,
        hostile::a_process_that_was_not_started_for_it_is_refused,
        hostile::a_successor_out_of_descriptors_says_so,
        new_side::another_version_is_refused_by_the_successor,
        new_side::what_is_not_an_offer_is_refused_and_its_descriptors_closed,
        new_side::an_offer_that_breaks_off_is_an_error,
        new_side::a_silent_predecessor_is_not_waited_for_forever,
        new_side::a_refusal_is_passed_on_with_its_reason,
        new_side::only_a_channel_is_a_channel,
        new_side::garbage_instead_of_the_commit_is_no_commit,
        new_side::what_the_predecessor_said_last_decides_who_serves,
        new_side::the_predecessor_is_told_when_somebody_accepts_and_not_before,
        new_side::the_predecessor_is_known_by_its_id,
        stream::nobody_is_refused_while_the_sockets_change_hands,
        leaks::nothing_is_left_behind,
        inherited::sockets_are_taken_from_the_environment,
        inherited::what_is_meant_for_another_process_is_left_alone,
        inherited::a_descriptor_that_is_not_open_is_an_error,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn text(args: impl Iterator<Item = OsString>) -> Vec<String> {
    args.map(|arg| arg.into_string().unwrap()).collect()
}

/// As the daemon's control loop does, on one thread.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test)
}
