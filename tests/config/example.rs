//! The example that the packages install is a good configuration, also with everything that it
//! shows switched on.

use std::time::Duration;

use batond::config::{Address, BackendAddress, HostPattern, Restart, Spread};
use rcgen::generate_simple_self_signed;

use crate::folder::Folder;

const EXAMPLE: &str = include_str!("../../packaging/batond.toml");

#[test]
fn as_installed_it_is_idle() {
    let (installed, nothing) = (Folder::with(EXAMPLE).good(), Folder::with("").good());
    assert_eq!(installed, nothing);
    assert!(nothing.listeners.is_empty() && nothing.services.is_empty());
    assert!(nothing.workers >= 1);
    assert_eq!(nothing.metrics, None);
}

/// The example with everything that is commented out by a "#" alone.
pub(crate) fn switched_on() -> String {
    let lines: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .collect();
    lines.join("\n")
}

/// The same, with certificate files that exist.
fn with_certificate() -> Folder {
    let folder = "/etc/letsencrypt/live/example.org/";
    let text = switched_on();
    assert_eq!(text.matches(folder).count(), 2);
    let pair = generate_simple_self_signed(["example.org".to_owned()]).expect("a certificate");
    Folder::with(text.replace(folder, ""))
        .and("fullchain.pem", pair.cert.pem())
        .and("privkey.pem", pair.signing_key.serialize_pem())
}

#[test]
fn everything_that_it_shows_is_right() {
    let config = with_certificate().good();
    let listener = &config.listeners[0];
    assert_eq!(
        listener.address,
        Address::Tcp("[::]:443".parse().expect("an address"))
    );
    assert_eq!(listener.certificates, ["example"]);
    assert_eq!(listener.trusted.len(), 2);
    assert_eq!(config.certificates[0].names.len(), 2);
    let [chat, news] = config.services.as_slice() else {
        panic!("two services: {:?}", config.services);
    };
    assert_eq!(
        chat.hosts[1],
        HostPattern::Wildcard("example.org".to_owned())
    );
    assert_eq!(chat.backends[0].unit.as_deref(), Some("chat.service"));
    assert_eq!(
        news.backends[1].address,
        BackendAddress::Tcp("127.0.0.1:8082".to_owned())
    );
    assert_eq!(news.backends[1].unit.as_deref(), Some("news@2.service"));
    assert_eq!(news.restart.deadline, Duration::from_secs(60));
    assert!(config.metrics.is_some());
}

#[test]
fn the_values_that_it_shows_are_the_defaults() {
    let (shown, nothing) = (with_certificate().good(), Folder::with("").good());
    assert_eq!(shown.workers, nothing.workers);
    assert_eq!(shown.limits, nothing.limits);
    let restart = &shown.services[0].restart;
    assert_eq!(*restart, Restart::default());
    assert_eq!(restart.close_code.value(), 1012);
    assert_eq!(restart.lost_code.value(), 1014);
    assert_eq!(restart.spread, Spread::Auto);
    assert_eq!(
        restart.reason_with(Some(Duration::from_millis(2400))),
        "service restart; retry in 2.4s"
    );
}
