//! The life of the process as its clients and its service manager see it.

use std::fs;

use rustix::process::Signal;

use crate::frame::Frame;
use crate::http::upgrade;
use crate::world::{HOST, Plan, World, leave};

#[test]
fn a_successor_with_a_broken_configuration_changes_nothing() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    let path = world.batond.config();
    let good = fs::read_to_string(&path).expect("read the configuration");
    let old = world.batond.main();
    for (time, broken) in [
        good.replace("workers = 1", "workers = -1"),
        good.replace("server.key", "nothing.key"),
        "[listener.".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        fs::write(&path, broken).expect("write the configuration");
        old.signal(Signal::USR2);
        // Nobody is refused or reset meanwhile.
        let failed = "the successor does not serve, this process goes on: ";
        let mut served = 0;
        while served == 0 || world.batond.log().matches(failed).count() <= time {
            world.secure_pair();
            served += 1;
        }
        client.say(&[Frame::text("still")]);
        backend.hear(&[Frame::text("still")]);
        world.pair();
    }
    let log = world.batond.log();
    for reason in ["workers", "nothing.key", "batond.toml:1"] {
        let failed = log
            .lines()
            .skip_while(|line| !line.contains("does not serve"));
        let told = failed.collect::<Vec<_>>().join("\n");
        assert!(told.contains(reason), "{reason}:\n{log}");
    }
    assert_eq!(world.batond.main().pid(), old.pid());

    fs::write(&path, &good).expect("write the configuration");
    let old = world.batond.hand_over();
    leave(&mut client, &mut backend);
    assert_ne!(world.batond.main().pid(), old.pid());
    world.pair();
    world
        .batond
        .wait_for_log("serving in the place of the predecessor", 1);
}

#[test]
fn without_clients_it_ends_at_once_with_a_report() {
    let mut world = World::start();
    world.batond.main().signal(Signal::TERM);
    let report = world.report();
    for (what, count) in [
        ("told", 0),
        ("closed cleanly", 0),
        ("timed out", 0),
        ("gone", 0),
        ("cut", 0),
        ("messages discarded", 0),
        ("still open", 0),
    ] {
        assert_eq!(report[what], count, "{what}");
    }
}

#[test]
fn the_service_manager_hears_of_readiness_clients_and_the_stop() {
    let mut world = World::start();
    let (mut client, mut backend) = world.pair();
    let notifications = &world.batond.notifications;
    notifications.wait_for("a status with the client", |heard| {
        let mut all = heard.all.iter();
        // Problems, if there are any, stand before it.
        let serving = |status: &str| status.ends_with("serving 1 clients");
        all.find(|one| one.value("STATUS").is_some_and(serving))
            .map(|_| ())
    });
    world.batond.main().signal(Signal::TERM);
    notifications.wait_for("STOPPING=1 and more time", |heard| {
        let stopping = heard
            .all
            .iter()
            .position(|one| one.value("STOPPING") == Some("1"))?;
        let later = &heard.all[stopping..];
        let usec = later
            .iter()
            .find_map(|one| one.value("EXTEND_TIMEOUT_USEC"))?;
        let status = "1 of 1 clients have yet to leave";
        later
            .iter()
            .find(|one| one.value("STATUS") == Some(status))?;
        usec.parse::<u64>().ok().filter(|usec| *usec >= 1_000_000)
    });
    leave(&mut client, &mut backend);
    world.report();
    let all = world.batond.notifications.all();
    let said = |name: &str| {
        all.iter()
            .filter(|one| one.value(name) == Some("1"))
            .count()
    };
    assert_eq!((said("READY"), said("STOPPING")), (1, 1));
    assert_eq!(
        all[0].value("READY"),
        Some("1"),
        "nothing is said before it"
    );
}

#[test]
fn the_watchdog_is_fed_while_clients_are_served_and_while_they_leave() {
    let mut world = Plan::new().variable("WATCHDOG_USEC", "200000").start();
    let (mut client, mut backend) = world.pair();
    let feedings = |times: usize| {
        world.batond.notifications.wait_for("WATCHDOG=1", |heard| {
            let fed = heard
                .all
                .iter()
                .filter(|one| one.value("WATCHDOG") == Some("1"));
            let fed = fed.count();
            (fed >= times).then_some(fed)
        })
    };
    let before = feedings(2);
    let half = &Frame::text("x".repeat(200)).plain()[..100];
    backend.send(half);
    client.take(half.len());
    world.batond.main().signal(Signal::TERM);
    feedings(before + 2);
    backend.send(&Frame::text("x".repeat(200)).plain()[100..]);
    client.take(104);
    leave(&mut client, &mut backend);
    world.report();
}

#[test]
fn a_newcomer_during_the_drain_waits_for_the_next_process() {
    let mut world = World::start();
    let (mut client, mut backend) = world.pair();
    world.announce();
    // The socket is not ours to close: the connection waits in its queue.
    let mut newcomer = world.client();
    newcomer.send(upgrade("/", HOST, ""));
    assert!(newcomer.is_still());
    leave(&mut client, &mut backend);
    world.report();
    assert!(newcomer.is_still());
}

#[test]
fn a_successor_outwaits_its_predecessor_so_that_nobody_is_killed_with_it() {
    let world = World::start();
    let (mut client, mut backend) = world.pair();
    let old = world.batond.hand_over();
    let new = world.batond.main();
    new.signal(Signal::TERM);
    // It has nothing left to do, and still asks for time.
    world
        .batond
        .notifications
        .wait_for("the successor's patience", |heard| {
            let mut all = heard.all.iter();
            all.find(|one| one.value("STOPPING") == Some("1"))?;
            let more = all.filter(|one| {
                one.sender == new.pid() && one.value("EXTEND_TIMEOUT_USEC").is_some()
            });
            (more.count() >= 3).then_some(())
        });
    leave(&mut client, &mut backend);
    old.wait_gone();
    new.wait_gone();
}
