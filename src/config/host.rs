//! Names of hosts, as a `Host` header or a certificate has them.

use std::net::{IpAddr, Ipv6Addr};

use super::checked::HostPattern;
use super::text::quoted;

/// Longest name and longest label in DNS, in bytes (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// Reads a host or `*.domain`.
pub(super) fn pattern(text: &str) -> Result<HostPattern, String> {
    if text == "*" {
        return Err("\"*\" is not a host (leave `hosts` out for any host)".to_owned());
    }
    if let Some(domain) = text.strip_prefix("*.") {
        return match exact(domain)? {
            name if name.parse::<IpAddr>().is_ok() => Err(format!(
                "{} puts a star before an address (use names)",
                quoted(text)
            )),
            name => Ok(HostPattern::Wildcard(name)),
        };
    }
    exact(text).map(HostPattern::Exact)
}

/// Reads a host without a star: a name, an IPv4 address, or an IPv6 address, with or without the
/// brackets of a `Host` header (RFC 3986 §3.2.2). The result is in lower case, without brackets
/// and without the dot that may end a name.
pub(super) fn exact(text: &str) -> Result<String, String> {
    if !text.is_ascii() {
        return Err(format!(
            "{} is not ASCII (write the name in punycode, as xn--…)",
            quoted(text)
        ));
    }
    if text.contains('*') {
        return Err(format!(
            "{} has a star in it (a star may only be the whole first label: \"*.example.org\")",
            quoted(text)
        ));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<Ipv6Addr>() {
        return Ok(address.to_string());
    }
    if text.contains(['/', ':', '@']) {
        return Err(format!(
            "{} is more than a host (write it without scheme, port and path)",
            quoted(text)
        ));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.len() > NAME_MAX {
        return Err(format!(
            "is {} bytes long, but a host name holds {NAME_MAX}",
            name.len()
        ));
    }
    match name.split('.').find(|label| !is_label(label)) {
        None => Ok(name),
        Some("") => Err(format!(
            "{} is not a host name (a part of it is empty)",
            quoted(text)
        )),
        Some(label) => Err(format!(
            "{} is not a host name (look at its part {label:?})",
            quoted(text)
        )),
    }
}

/// Letters, digits, hyphens inside, and underscores, which names on private networks have.
fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_is_compared() {
        for (text, host) in [
            ("Example.ORG", "example.org"),
            ("example.org.", "example.org"),
            ("localhost", "localhost"),
            ("chat_1.internal", "chat_1.internal"),
            ("xn--mller-kva.example", "xn--mller-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[2001:DB8::0]", "2001:db8::"),
        ] {
            assert_eq!(pattern(text), Ok(HostPattern::Exact(host.to_owned())));
        }
        assert_eq!(
            pattern("*.Example.org"),
            Ok(HostPattern::Wildcard("example.org".to_owned()))
        );
    }

    #[test]
    fn says_why_it_is_not_one() {
        for (text, part) in [
            ("", "a part of it is empty"),
            ("a..b", "a part of it is empty"),
            ("*", "for any host"),
            ("chat.*", "has a star in it"),
            ("*.*.example.org", "has a star in it"),
            ("*.127.0.0.1", "star before an address"),
            ("*.[::1]", "star before an address"),
            ("müller.example", "punycode"),
            ("example.org:443", "without scheme, port and path"),
            ("https://example.org", "without scheme, port and path"),
            ("-a.example", "look at its part \"-a\""),
            ("a b.example", "look at its part \"a b\""),
        ] {
            let error = pattern(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
        assert!(pattern(&"a".repeat(64)).is_err());
        assert!(pattern(&"a.".repeat(200)).is_err());
    }
}
