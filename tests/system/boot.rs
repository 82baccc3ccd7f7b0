//! The machines themselves.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::machine::{Machine, Process, Release};

#[test]
fn debian_12_boots_with_the_oldest_systemd_supported() {
    let Some(machine) = Machine::boot(Release::Bookworm) else {
        return;
    };
    let version = machine.check(&["systemctl", "--version"]);
    assert!(version.starts_with("systemd 252"), "{version}");
}

#[test]
fn debian_13_boots() {
    let Some(machine) = Machine::boot(Release::Trixie) else {
        return;
    };
    let version = machine.check(&["systemctl", "--version"]);
    assert!(version.starts_with("systemd 257"), "{version}");
}

#[test]
fn machines_do_not_see_each_other() {
    let Some(one) = Machine::boot(Release::Trixie) else {
        return;
    };
    let Some(other) = Machine::boot(Release::Trixie) else {
        return;
    };
    one.put("/etc/mark", "one");
    assert_eq!(
        other.run(&["test", "-e", "/etc/mark"]).status.code(),
        Some(1)
    );
    one.check(&["systemd-run", "--unit=mark", "sleep", "infinity"]);
    assert_eq!(one.property("mark", "ActiveState"), "active");
    assert_eq!(other.property("mark", "LoadState"), "not-found");
    assert_eq!(one.main_process("mark").parent(), Some(1));
    drop(other);
    assert_eq!(one.check(&["systemctl", "is-system-running"]), "running");
}

/// Says what would be left behind, then waits to be killed.
#[test]
#[ignore = "is started by another test"]
fn waits_to_be_killed() {
    let Some(machine) = Machine::boot(Release::Trixie) else {
        return;
    };
    println!("\nmachine {} {}", machine.name(), machine.last());
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn nothing_is_left_of_a_machine_whose_test_is_killed() {
    // Also builds the root file system, so that the other need not.
    let Some(_) = Machine::boot(Release::Trixie) else {
        return;
    };
    let mut test = Command::new(env::current_exe().expect("the path of this test"))
        .args([
            "--exact",
            "boot::waits_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start this test program again");
    let said = BufReader::new(test.stdout.take().expect("a pipe from the test"));
    let words = said.lines().map_while(Result::ok).find_map(|line| {
        let (name, pid) = line.strip_prefix("machine ")?.split_once(' ')?;
        Some((name.to_owned(), pid.parse().ok()?))
    });
    let (name, pid) = words.expect("the other test boots a machine");
    let last = Process::open(pid).expect("the machine runs");
    assert!(!last.wait_gone(Duration::ZERO));

    test.kill().expect("kill the other test");
    test.wait().expect("wait for the other test");
    assert!(
        last.wait_gone(Duration::from_secs(30)),
        "the machine lives on"
    );

    // The next one removes the control groups.
    drop(Machine::boot(Release::Trixie));
    let mut places = vec!["/run/systemd/nspawn".to_owned()];
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read the mounts");
    assert!(!mounts.contains(&name), "{mounts}");
    places.extend(mounts.lines().filter_map(|line| {
        let place = line.split(' ').nth(4)?;
        place
            .starts_with("/sys/fs/cgroup")
            .then(|| place.to_owned())
    }));
    for place in places {
        let found = Command::new("find").args([&place, "-name", &name]).output();
        let found = found.expect("run find");
        assert!(
            found.stdout.is_empty(),
            "{}",
            String::from_utf8_lossy(&found.stdout)
        );
    }
}
