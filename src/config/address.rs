//! Addresses to listen on and to connect to.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::checked::{Address, BackendAddress, TrustedPeer};
use super::host;
use super::text::quoted;

/// What begins the address of a Unix socket.
const UNIX: &str = "unix:";
/// Longest path of a Unix socket, in bytes, with room for the final zero (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// Reads where to listen: an IP address with a port, or a Unix socket.
pub(super) fn listen(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return unix(path).map(Address::Unix);
    }
    if let Ok(address) = text.parse() {
        return Ok(Address::Tcp(address));
    }
    let advice = match text.rsplit_once(':') {
        Some(("" | "*", port)) => format!("write \"[::]:{port}\" for all addresses"),
        Some((name, port)) if host::exact(name).is_ok() && port.parse::<u16>().is_ok() => {
            "write the address itself: a name may have several, and may not be known when the \
             host starts"
                .to_owned()
        }
        _ => "write it as \"[::]:443\", \"192.0.2.1:443\" or \"unix:/run/x.sock\"".to_owned(),
    };
    Err(format!(
        "{} is not an address to listen on ({advice})",
        quoted(text)
    ))
}

/// Reads where a backend is: a host name or IP address with a port, or a Unix socket.
pub(super) fn backend(text: &str) -> Result<BackendAddress, String> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return unix(path).map(BackendAddress::Unix);
    }
    let advice = if text.contains("://") {
        "leave out the scheme and the path: batond speaks plain HTTP to backends"
    } else if is_host_and_port(text) {
        return Ok(BackendAddress::Tcp(text.to_owned()));
    } else if text.parse::<IpAddr>().is_ok() || host::exact(text).is_ok() {
        "add the port"
    } else if text.ends_with(":0") {
        "nothing listens on port 0"
    } else {
        "write it as \"127.0.0.1:8080\", \"[::1]:8080\", \"name:8080\" or \"unix:/run/x.sock\""
    };
    Err(format!(
        "{} is not an address to connect to ({advice})",
        quoted(text)
    ))
}

/// Reads whom to trust: a block of addresses, one address, or `unix`.
pub(super) fn trusted(text: &str) -> Result<TrustedPeer, String> {
    if text == "unix" {
        return Ok(TrustedPeer::Unix);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(TrustedPeer::Net(address.into()));
    }
    match text.parse::<IpNet>() {
        Ok(net) if net == net.trunc() => Ok(TrustedPeer::Net(net)),
        // Trust is no place to guess which of the two was meant.
        Ok(net) => Err(format!(
            "{} has bits behind its prefix (write \"{}\" for the block, or \"{}\" for the one \
             address)",
            quoted(text),
            net.trunc(),
            net.addr()
        )),
        Err(_) => Err(format!(
            "{} is neither a block of addresses nor \"unix\" (write it as \"10.0.0.0/8\", \
             \"::1\" or \"unix\")",
            quoted(text)
        )),
    }
}

/// Whether a socket on `one` keeps `other` from being bound: the same place, or the wildcard
/// address and an address that it takes in. `[::]` takes IPv4 in, too.
pub(super) fn overlap(one: &Address, other: &Address) -> bool {
    let takes_in = |one: &SocketAddr, other: &SocketAddr| {
        one.ip() == other.ip() || one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4())
    };
    match (one, other) {
        (Address::Unix(one), Address::Unix(other)) => one == other,
        (Address::Tcp(one), Address::Tcp(other)) => {
            // The kernel chooses another port for each 0.
            one.port() == other.port()
                && one.port() != 0
                && (takes_in(one, other) || takes_in(other, one))
        }
        _ => false,
    }
}

fn is_host_and_port(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    text.rsplit_once(':').is_some_and(|(name, port)| {
        !name.contains([':', '[', ']'])
            && host::exact(name).is_ok()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

fn unix(path: &str) -> Result<PathBuf, String> {
    if !path.starts_with('/') {
        return Err(format!(
            "{} is not an absolute path (write it as \"unix:/run/x.sock\")",
            quoted(path)
        ));
    }
    if path.len() > UNIX_PATH_MAX {
        return Err(format!(
            "has a path of {} bytes, but that of a Unix socket holds {UNIX_PATH_MAX}",
            path.len()
        ));
    }
    if path.contains('\0') || path.ends_with('/') {
        return Err(format!("{} is not the path of a socket", quoted(path)));
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        for text in ["[::]:443", "0.0.0.0:443", "127.0.0.1:0", "[::1]:8080"] {
            assert_eq!(
                listen(text),
                Ok(Address::Tcp(text.parse().expect("an address")))
            );
        }
        assert_eq!(
            listen("unix:/run/x.sock"),
            Ok(Address::Unix("/run/x.sock".into()))
        );
        for (text, part) in [
            ("example.org:443", "write the address itself"),
            ("localhost:443", "write the address itself"),
            (":443", "write \"[::]:443\" for all"),
            ("*:443", "write \"[::]:443\" for all"),
            ("443", "write it as"),
            ("::1", "write it as"),
            ("127.0.0.1:99999", "write it as"),
            ("unix:x.sock", "not an absolute path"),
            ("unix:@x", "not an absolute path"),
            ("unix:/run/", "is not the path of a socket"),
            ("unix:/run/\0", "is not the path of a socket"),
        ] {
            let error = listen(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(listen(&long).expect_err("long").contains("108 bytes"));
        assert!(listen(&long[..long.len() - 1]).is_ok());
    }

    #[test]
    fn addresses_of_backends() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "chat.internal:80",
            "chat_1:8080",
        ] {
            assert_eq!(backend(text), Ok(BackendAddress::Tcp(text.to_owned())));
        }
        assert_eq!(
            backend("unix:/run/chat.sock"),
            Ok(BackendAddress::Unix("/run/chat.sock".into()))
        );
        for (text, part) in [
            ("http://127.0.0.1:8080", "leave out the scheme"),
            ("127.0.0.1", "add the port"),
            ("chat.internal", "add the port"),
            ("127.0.0.1:0", "port 0"),
            ("chat:+80", "write it as"),
            (":8080", "write it as"),
            ("a b:80", "write it as"),
            ("unix:run/chat.sock", "not an absolute path"),
        ] {
            let error = backend(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn trust_is_exact() {
        assert_eq!(trusted("unix"), Ok(TrustedPeer::Unix));
        let net = |text: &str| TrustedPeer::Net(text.parse().expect("a block"));
        assert_eq!(trusted("10.0.0.0/8"), Ok(net("10.0.0.0/8")));
        assert_eq!(trusted("::1"), Ok(net("::1/128")));
        assert_eq!(
            trusted("10.1.2.3/8").expect_err("ambiguous"),
            "\"10.1.2.3/8\" has bits behind its prefix (write \"10.0.0.0/8\" for the block, or \
             \"10.1.2.3\" for the one address)"
        );
        assert!(trusted("10.0.0.0/33").is_err());
        assert!(trusted("example.org").is_err());
    }

    #[test]
    fn wildcards_overlap_what_they_take_in() {
        let over = |one: &str, other: &str| {
            let (one, other) = (listen(one).expect(one), listen(other).expect(other));
            assert_eq!(overlap(&one, &other), overlap(&other, &one));
            overlap(&one, &other)
        };
        assert!(over("[::]:443", "0.0.0.0:443"));
        assert!(over("[::]:443", "192.0.2.1:443"));
        assert!(over("0.0.0.0:443", "192.0.2.1:443"));
        assert!(over("[::1]:443", "[::1]:443"));
        assert!(over("unix:/a", "unix:/a"));
        assert!(!over("unix:/a", "unix:/b"));
        assert!(!over("0.0.0.0:443", "[::1]:443"));
        assert!(!over("0.0.0.0:443", "0.0.0.0:80"));
        assert!(!over("192.0.2.1:443", "192.0.2.2:443"));
        assert!(!over("127.0.0.1:0", "127.0.0.1:0"));
    }
}
