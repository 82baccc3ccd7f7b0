//! Whether the clock is kept, asked of somebody who answers for systemd.

use batond::control::clock::{Clock, ask};
use zbus::{connection, interface};

use crate::bus::Bus;
use crate::rerun;

struct Time {
    synchronised: bool,
}

#[interface(name = "org.freedesktop.timedate1")]
impl Time {
    #[zbus(property, name = "NTPSynchronized")]
    fn synchronised(&self) -> bool {
        self.synchronised
    }

    #[zbus(property, name = "CanNTP")]
    fn can(&self) -> bool {
        true
    }

    #[zbus(property, name = "NTP")]
    fn on(&self) -> bool {
        true
    }
}

struct Manager(&'static str);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(property)]
    fn virtualization(&self) -> &str {
        self.0
    }
}

#[test]
fn systemd_says_whether_the_clock_is_kept() {
    let Some(bus) = Bus::start() else {
        rerun::skip(
            "systemd_says_whether_the_clock_is_kept",
            "no dbus-daemon here",
        );
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let address = Some(bus.address.as_str());
        assert_eq!(ask(address).await, Clock::Unknown, "nobody to ask");
        for (synchronised, virtualization, clock) in [
            (true, "", Clock::Kept),
            (false, "kvm", Clock::Unsynchronised),
            (false, "docker", Clock::Unknown),
        ] {
            let host = connection::Builder::address(bus.address.as_str())
                .serve_at("/org/freedesktop/timedate1", Time { synchronised })
                .serve_at("/org/freedesktop/systemd1", Manager(virtualization))
                .name("org.freedesktop.timedate1")
                .name("org.freedesktop.systemd1")
                .build()
                .await
                .unwrap();
            assert_eq!(ask(address).await, clock, "{virtualization}");
            host.close().await.unwrap();
        }
    });
}
