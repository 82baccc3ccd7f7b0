//! P2, never refused, and P4, nothing half-done: either side of a handoff is killed at each of
//! its steps.

use batond::control::message_id;

use crate::client::{Client, PATIENCE, PORT};
use crate::installation::serve;
use crate::journal::await_event;
use crate::machine::{Machine, Process, tell};
use crate::newcomers::{Fate, Newcomers};
use crate::steps::{Handoff, STEPS, Side, Step};
use crate::turnstile::Turnstile;

on_each_release! {
    whoever_is_killed_at_whichever_step_somebody_serves
}

/// Who serves in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// The predecessor, as if nothing had happened.
    Old,
    /// The successor.
    New,
    /// A process that systemd has started, on the same sockets: with the main process all others
    /// of the unit have ended.
    Next,
}

/// What the death of one side at a step leads to.
fn server_after(step: Step, killed: Side) -> Server {
    match (step, killed) {
        (_, Side::New) if step <= Step::Accepting => Server::Old,
        (Step::Draining, Side::Old) => Server::New,
        _ => Server::Next,
    }
}

fn whoever_is_killed_at_whichever_step_somebody_serves(machine: &Machine) {
    serve(machine);
    let mut turnstile = Turnstile::install(machine);
    let mut hit = Vec::new();
    for (step, sides) in STEPS {
        for side in sides {
            let fates = kill(machine, &mut turnstile, step, *side);
            tell(&format!("{step:?}, {side:?} killed: {fates}"));
            hit.push((step, *side));
        }
    }
    let all = STEPS
        .iter()
        .flat_map(|(step, sides)| sides.iter().map(|side| (*step, *side)));
    assert!(hit.into_iter().eq(all));
}

/// One death, and what comes of it.
fn kill(machine: &Machine, turnstile: &mut Turnstile, step: Step, side: Side) -> String {
    let restarts = machine.property("batond", "NRestarts");
    let newcomers = Newcomers::arrive(machine, PORT);
    let mut handoff = Handoff::stopped_at(step, machine, turnstile);
    handoff.kill(side);
    let server = server_after(step, side);
    let Handoff { old, new, .. } = &handoff;
    let main = match server {
        Server::Old => {
            assert!(new.wait_gone(PATIENCE), "the successor stays");
            let main = machine.main_process("batond");
            assert_eq!(main.pid(), old.pid());
            main
        }
        Server::New => {
            assert!(old.wait_gone(PATIENCE), "the predecessor stays");
            let main = machine.main_process("batond");
            assert_eq!(main.pid(), new.pid());
            main
        }
        Server::Next => {
            assert!(old.wait_gone(PATIENCE), "the predecessor stays");
            assert!(new.wait_gone(PATIENCE), "the successor stays");
            Client::open(machine).echo("served by the next one");
            let main = machine.main_process("batond");
            assert!(![old.pid(), new.pid()].contains(&main.pid()));
            await_event(machine, &main, message_id::READY);
            main
        }
    };
    Client::open(machine).echo("served");
    if let Some(upgrade) = handoff.upgrade.take() {
        let ended = upgrade.wait_with_output().expect("wait for batonctl");
        assert!(!ended.status.success(), "{ended:?}");
    }
    if let Some(restart) = handoff.restart.take() {
        let ended = restart.wait_with_output().expect("wait for systemctl");
        assert!(ended.status.success(), "{ended:?}");
    }
    if server == Server::Old {
        for client in &mut handoff.clients {
            client.echo("untouched");
        }
    }
    if server != Server::Next {
        assert_eq!(machine.property("batond", "NRestarts"), restarts);
    }
    assert_eq!(machine.property("batond", "ActiveState"), "active");
    assert_is_alone(machine, &main);

    let fates = newcomers.fates();
    let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
    let refused: Vec<_> = fates
        .iter()
        .filter(|one| matches!(one, Fate::Refused(_)))
        .collect();
    assert!(refused.is_empty(), "{step:?}, {side:?}: {refused:?}");
    let served = count(|one| *one == Fate::Served);
    let sent_away = count(|one| matches!(one, Fate::SentAway(_)));
    let cut = count(|one| matches!(one, Fate::Cut(_)));
    if server == Server::Old && step < Step::Accepting {
        // Who was killed had accepted nobody, and the other has sent nobody away.
        assert_eq!((cut, sent_away), (0, 0), "{step:?}, {side:?}: {fates:?}");
    }
    assert!(served > 0);
    format!("{served} newcomers served, {sent_away} sent away, {cut} cut off by the kill")
}

/// No other process of the unit lives on.
pub(crate) fn assert_is_alone(machine: &Machine, main: &Process) {
    for other in machine.processes("batond") {
        assert!(
            other.pid() == main.pid() || other.wait_gone(PATIENCE),
            "{other:?} stays beside {main:?}"
        );
    }
}
