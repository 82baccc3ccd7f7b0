//! The host's end is announced, delayed, and told by its kind.

use batond::control::logind::{HostShutdown, Logind};
use batond::control::systemd1::StopKind;

use crate::logind::{Shared, asked, is_held, let_go, locks, prepare, serve};
use crate::{block_on, start};

#[test]
fn the_lock_is_held_from_the_start_until_it_is_released() {
    let Some(bus) = start("the_lock_is_held_from_the_start_until_it_is_released") else {
        return;
    };
    block_on(async {
        let known = Shared::default();
        let _logind = serve(&bus, &known).await;
        let watch = Logind::watch(Some(&bus.address)).await;
        assert!(watch.holds_lock());
        assert_eq!(asked(&known, 0), "shutdown batond delay");
        assert!(is_held(&known, 0));
        watch.release();
        let_go(&known, 0).await;
        assert!(!watch.holds_lock());
        // One that is dropped holds up nobody.
        let watch = Logind::watch(Some(&bus.address)).await;
        assert!(is_held(&known, 1));
        drop(watch);
        let_go(&known, 1).await;
    });
}

#[test]
fn reboot_and_power_off_are_told_apart() {
    let Some(bus) = start("reboot_and_power_off_are_told_apart") else {
        return;
    };
    block_on(async {
        let known = Shared::default();
        let logind = serve(&bus, &known).await;
        let mut watch = Logind::watch(Some(&bus.address)).await;
        for (scheduled, kind) in [
            ("reboot", StopKind::Restart),
            ("soft-reboot", StopKind::Restart),
            ("kexec", StopKind::Restart),
            ("poweroff", StopKind::Stop),
            ("halt", StopKind::Stop),
            ("dry-poweroff", StopKind::Stop),
            ("", StopKind::Unknown),
        ] {
            known.lock().unwrap().scheduled = scheduled.to_owned();
            prepare(&logind, &known, true).await;
            assert_eq!(
                watch.next().await,
                HostShutdown::Announced(kind),
                "{scheduled}"
            );
            watch.release();
            prepare(&logind, &known, false).await;
            assert_eq!(watch.next().await, HostShutdown::CalledOff);
            assert!(watch.holds_lock(), "for the next time");
        }
    });
}

#[test]
fn a_shutdown_that_began_before_is_seen() {
    let Some(bus) = start("a_shutdown_that_began_before_is_seen") else {
        return;
    };
    block_on(async {
        let known = Shared::default();
        known.lock().unwrap().scheduled = "reboot".to_owned();
        known.lock().unwrap().preparing = true;
        let _logind = serve(&bus, &known).await;
        let mut watch = Logind::watch(Some(&bus.address)).await;
        assert_eq!(
            watch.next().await,
            HostShutdown::Announced(StopKind::Restart)
        );
    });
}

#[test]
fn without_the_lock_it_is_announced_still() {
    let Some(bus) = start("without_the_lock_it_is_announced_still") else {
        return;
    };
    block_on(async {
        let known = Shared::default();
        known.lock().unwrap().refuses = true;
        let logind = serve(&bus, &known).await;
        let mut watch = Logind::watch(Some(&bus.address)).await;
        assert!(!watch.holds_lock());
        prepare(&logind, &known, true).await;
        assert_eq!(
            watch.next().await,
            HostShutdown::Announced(StopKind::Unknown)
        );
    });
}

#[test]
fn a_logind_that_began_anew_is_asked_again() {
    let Some(bus) = start("a_logind_that_began_anew_is_asked_again") else {
        return;
    };
    block_on(async {
        let known = Shared::default();
        let before = serve(&bus, &known).await;
        let mut watch = Logind::watch(Some(&bus.address)).await;
        before.close().await.unwrap();
        let logind = serve(&bus, &known).await;
        locks(&known, 2).await;
        let_go(&known, 0).await;
        assert!(is_held(&known, 1));
        prepare(&logind, &known, true).await;
        assert!(matches!(watch.next().await, HostShutdown::Announced(_)));
    });
}

#[test]
fn a_logind_that_comes_late_is_found() {
    let Some(bus) = start("a_logind_that_comes_late_is_found") else {
        return;
    };
    block_on(async {
        let mut watch = Logind::watch(Some(&bus.address)).await;
        assert!(!watch.holds_lock());
        let known = Shared::default();
        let logind = serve(&bus, &known).await;
        locks(&known, 1).await;
        prepare(&logind, &known, true).await;
        assert!(matches!(watch.next().await, HostShutdown::Announced(_)));
    });
}

#[test]
fn a_bus_that_began_anew_is_found_again() {
    let Some(mut bus) = start("a_bus_that_began_anew_is_found_again") else {
        return;
    };
    block_on(async {
        let known = Shared::default();
        let before = serve(&bus, &known).await;
        // A dbus-daemon that began anew has another id.
        let address = bus.address.split(',').next().unwrap().to_owned();
        let mut watch = Logind::watch(Some(&address)).await;
        bus.restart();
        drop(before);
        let logind = serve(&bus, &known).await;
        locks(&known, 2).await;
        prepare(&logind, &known, true).await;
        assert!(matches!(watch.next().await, HostShutdown::Announced(_)));
    });
}
