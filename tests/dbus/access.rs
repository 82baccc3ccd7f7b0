//! Who may have something changed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use batond::control::dbus::{NAME, PATH};
use zbus::Connection;

use crate::caller::talk;
use crate::polkit::{self, Rules};
use crate::program::busctl_as_nobody;
use crate::world::{World, address, succeeded};

const MANAGER: &str = "org.batond.Baton1.Manager";

/// Only root can be another user; and `busctl` is the caller.
fn is_possible(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    let possible = root && Command::new("busctl").arg("--version").output().is_ok();
    if !possible {
        eprintln!("{test}: skipped, it takes root and busctl");
    }
    possible
}

/// Off the thread that answers for polkit.
async fn run(mut command: Command) -> Output {
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    run.await.unwrap()
}

async fn call(world: &World, method: &str, interactive: bool) -> Output {
    let mut command = busctl_as_nobody(world, interactive);
    command.args(["call", NAME, PATH, MANAGER, method, "a{sv}", "0"]);
    run(command).await
}

fn refused(output: &Output, reason: &str) {
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(reason), "{said}");
}

async fn with_rules(world: &World) -> (Arc<Mutex<Rules>>, Connection) {
    let rules = Arc::new(Mutex::new(Rules::default()));
    let served = polkit::serve(world, &rules).await;
    (rules, served)
}

#[test]
fn polkit_decides_about_other_users() {
    if !is_possible("polkit_decides_about_other_users") {
        return;
    }
    let world = World::with(&[("ws", address())]);
    talk(async {
        let (rules, _served) = with_rules(&world).await;
        refused(
            &call(&world, "Reload", true).await,
            "polkit does not allow user 65534 to do org.batond.reload",
        );
        rules.lock().unwrap().allowed.push("org.batond.reload");
        succeeded(&call(&world, "Reload", false).await);
        // What is allowed is no other thing.
        refused(
            &call(&world, "Upgrade", true).await,
            "polkit does not allow user 65534 to do org.batond.upgrade",
        );
        let asked = std::mem::take(&mut rules.lock().unwrap().asked);
        let asked: Vec<_> = asked
            .iter()
            .map(|(id, flag)| (id.as_str(), *flag))
            .collect();
        assert_eq!(
            asked,
            [
                ("org.batond.reload", true),
                ("org.batond.reload", false),
                ("org.batond.upgrade", true),
            ]
        );
    });
    // Jobs follow one another: when this one has ended, the one before has, too.
    world.reload();
    assert_eq!(world.status("generation"), 3);
    assert_eq!(world.batond.notifications.mains().len(), 1);
}

#[test]
fn a_person_is_asked_only_if_the_caller_waits_for_that() {
    if !is_possible("a_person_is_asked_only_if_the_caller_waits_for_that") {
        return;
    }
    let world = World::with(&[("ws", address())]);
    talk(async {
        let (rules, _served) = with_rules(&world).await;
        rules.lock().unwrap().challenged.push("org.batond.reload");
        refused(
            &call(&world, "Reload", false).await,
            "only after authentication",
        );
        succeeded(&call(&world, "Reload", true).await);
    });
    // Jobs follow one another: when this one has ended, the one before has, too.
    world.reload();
    assert_eq!(world.status("generation"), 3);
}

#[test]
fn without_polkit_only_root_and_batond_itself_may() {
    if !is_possible("without_polkit_only_root_and_batond_itself_may") {
        return;
    }
    let world = World::with(&[("ws", address())]);
    talk(async {
        refused(
            &call(&world, "Reload", true).await,
            "only root and the user that batond runs as may, since polkit is not installed",
        );
    });
    world.reload();
    assert_eq!(world.status("generation"), 2);
}

#[test]
fn root_is_not_asked_about() {
    let world = World::with(&[("ws", address())]);
    talk(async {
        let (rules, _served) = with_rules(&world).await;
        let command = world.ctl_command(&["reload"]);
        succeeded(&run(command).await);
        assert!(rules.lock().unwrap().asked.is_empty());
    });
}

#[test]
fn the_log_level_is_not_for_everybody() {
    if !is_possible("the_log_level_is_not_for_everybody") {
        return;
    }
    let world = World::with(&[("ws", address())]);
    talk(async {
        let (rules, _served) = with_rules(&world).await;
        let set = || {
            let mut command = busctl_as_nobody(&world, false);
            command
                .args(["set-property", NAME, "/org/freedesktop/LogControl1"])
                .args(["org.freedesktop.LogControl1", "LogLevel", "s", "debug"]);
            command
        };
        refused(&run(set()).await, "polkit does not allow user 65534");
        let allow = "org.batond.set-log-level";
        rules.lock().unwrap().allowed.push(allow);
        succeeded(&run(set()).await);
    });
}

#[test]
fn every_action_is_one_that_an_unprivileged_batond_may_ask_about() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/org.batond.Baton1.policy");
    let policy = fs::read_to_string(file).unwrap();
    let owner = "<annotate key=\"org.freedesktop.policykit.owner\">unix-user:batond</annotate>";
    let actions: Vec<&str> = policy.split("<action id=\"").skip(1).collect();
    let mut ids = Vec::new();
    for action in actions {
        let (id, body) = action.split_once('"').unwrap();
        let (body, _) = body.split_once("</action>").unwrap();
        assert!(body.contains(owner), "{id}");
        ids.push(id);
    }
    ids.sort_unstable();
    assert_eq!(
        ids,
        ["drain", "reload", "restart", "set-log-level", "upgrade"]
            .map(|id| format!("org.batond.{id}"))
    );
}
