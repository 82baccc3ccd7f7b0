//! Where a client comes from, no closer than its network: as many addresses as one site has.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The network of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The host itself: it came through a Unix socket, or from a loopback address.
    Host,
    /// A /24 of IPv4.
    V4([u8; 3]),
    /// A /48 of IPv6.
    V6([u16; 3]),
}

impl Network {
    /// Of an address; none on a Unix socket.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Host,
            Some(address) if address.is_loopback() => Self::Host,
            Some(IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                Self::V6([a, b, c])
            }
        }
    }
}

/// As `192.0.2.0/24`; `local` for the host itself.
impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => out.write_str("local"),
            Self::V4([a, b, c]) => write!(out, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c]) => write!(out, "{}/48", Ipv6Addr::new(*a, *b, *c, 0, 0, 0, 0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_site_are_one_network() {
        let network = |address: &str| Network::of(Some(address.parse().expect("an address")));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.254"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("2001:db8:1:2::3"), network("2001:db8:1:ffff::"));
        assert_ne!(network("2001:db8:1::"), network("2001:db8:2::"));
        assert_eq!(network("127.0.0.1"), network("127.9.9.9"));
        assert_eq!(network("::1"), Network::of(None));
        assert_eq!(network("192.0.2.1").to_string(), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2::3").to_string(), "2001:db8:1::/48");
        assert_eq!(network("::1").to_string(), "local");
    }
}
