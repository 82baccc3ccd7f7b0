//! What changes in a request and a response on the way: hop-by-hop fields go, forwarding fields
//! come (RFC 9110 §7.6, and the X-Forwarded convention). Everything else stays as it is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Request, Version};

use super::fields::Fields;
use crate::config::TrustedPeer;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";

/// Fields that concern one connection only. Content-Length stays: it frames the body again.
const HOP_BY_HOP: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The request asks for a WebSocket (RFC 6455 §4.1).
pub(super) fn asks_for_websocket(fields: &impl Fields) -> bool {
    has_token(fields, "connection", "upgrade") && has_token(fields, "upgrade", "websocket")
}

fn has_token(fields: &impl Fields, name: &'static str, token: &str) -> bool {
    tokens(fields, name).any(|one| one.eq_ignore_ascii_case(token))
}

fn tokens<'a>(fields: &'a impl Fields, name: &'static str) -> impl Iterator<Item = &'a str> {
    let texts = fields.texts(name);
    texts
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// Takes out what concerned the connection that the message came on.
pub(super) fn remove_hop_by_hop(fields: &mut impl Fields) {
    let named: BTreeSet<String> = tokens(fields, "connection")
        .filter(|name| !is_one_of(&HOP_BY_HOP, name) && !name.eq_ignore_ascii_case("host"))
        .map(str::to_ascii_lowercase)
        .collect();
    let is_named = |name: &str| !named.is_empty() && named.contains(&name.to_ascii_lowercase());
    fields.remove(|name| is_one_of(&HOP_BY_HOP, name) || is_named(name));
}

/// Says again that the connection is to become a WebSocket.
pub(super) fn set_websocket_upgrade(fields: &mut impl Fields) {
    fields.set("Connection", "Upgrade");
    fields.set("Upgrade", "websocket");
}

/// Makes Host say what the request line says, if that names a host (RFC 9112 §3.2.2), so that
/// batond and the backend cannot be of two minds. Nor may they be about what is no host (§3.2).
pub(super) fn settle_host<B>(request: &mut Request<B>) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match hosts.next() {
        None if request.version() == Version::HTTP_11 => return Err("no Host field"),
        Some(host) if !is_host(host.as_bytes()) => return Err("the Host field names no host"),
        _ if hosts.next().is_some() => return Err("more than one Host field"),
        _ => {}
    }
    if let Some(authority) = request.uri().authority() {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let value = HeaderValue::from_str(host).map_err(|_| "the request names no valid host")?;
        request.headers_mut().insert(HOST, value);
    }
    Ok(())
}

/// A host, and a port or none.
pub(super) fn is_host(value: &[u8]) -> bool {
    let host = Authority::try_from(value);
    host.is_ok_and(|host| {
        let port = host.as_str().strip_prefix(host.host());
        port.is_some_and(|port| port.is_empty() || host.port_u16().is_some())
    })
}

/// HTTP/1.0 knows requests without a host, HTTP/1.1, in which they go on, does not
/// (RFC 9112 §3.2).
pub(super) fn set_host(fields: &mut impl Fields, host: &str) {
    if !fields.has("host") {
        fields.set("host", host.to_owned());
    }
}

/// Says where the request came from. What the peer itself says about that is believed, and
/// extended, only when it is trusted.
pub(super) fn set_forwarded(
    fields: &mut impl Fields,
    peer: Option<IpAddr>,
    is_tls: bool,
    trusted: &[TrustedPeer],
) {
    let believed = is_trusted(peer, trusted);
    fields.remove(|name| {
        // The wait for 100 Continue ends here: the body is streamed on as it comes.
        name.eq_ignore_ascii_case("expect") || (!believed && is_claim(name))
    });
    if let Some(peer) = peer {
        let before: Vec<&str> = tokens(fields, FORWARDED_FOR).collect();
        let mut chain = before.join(", ");
        if !chain.is_empty() {
            chain.push_str(", ");
        }
        chain.push_str(&peer.to_canonical().to_string());
        fields.set(FORWARDED_FOR, chain);
    }
    if !fields.has(FORWARDED_PROTO) {
        fields.set(FORWARDED_PROTO, if is_tls { "https" } else { "http" });
    }
    if !fields.has(FORWARDED_HOST) {
        fields.copy("host", FORWARDED_HOST);
    }
}

/// Says where a request came from.
fn is_claim(name: &str) -> bool {
    if !matches!(name.as_bytes(), [b'f' | b'F' | b'x' | b'X', ..]) {
        return false;
    }
    // Where fields become variables (RFC 3875 §4.1.18) the two signs are the same.
    let name = name.to_ascii_lowercase().replace('_', "-");
    name.starts_with("x-forwarded-") || ["x-real-ip", "forwarded"].contains(&&*name)
}

fn is_trusted(peer: Option<IpAddr>, trusted: &[TrustedPeer]) -> bool {
    trusted.iter().any(|one| match (one, peer) {
        (TrustedPeer::Unix, None) => true,
        (TrustedPeer::Net(net), Some(peer)) => net.contains(&peer.to_canonical()),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn fields_named_by_connection_go_with_it() {
        let mut fields = headers(&[
            ("connection", "keep-alive, X-Hop"),
            ("connection", "host"),
            ("host", "example.org"),
            ("x-hop", "1"),
            ("x-stays", "1"),
            ("te", "trailers"),
        ]);
        remove_hop_by_hop(&mut fields);
        assert_eq!(
            fields,
            headers(&[("host", "example.org"), ("x-stays", "1")])
        );
    }

    #[test]
    fn forged_forwarding_fields_are_dropped() {
        let mut fields = headers(&[
            ("host", "example.org"),
            ("x-forwarded-for", "10.9.9.9"),
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-port", "1"),
            ("x_forwarded_for", "10.9.9.9"),
            ("x-real-ip", "10.9.9.9"),
            ("x-real_ip", "10.9.9.9"),
            ("forwarded", "for=10.9.9.9"),
        ]);
        set_forwarded(&mut fields, Some([192, 0, 2, 7].into()), true, &[]);
        let expected = headers(&[
            ("host", "example.org"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.org"),
        ]);
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_trusted_peer_is_believed_and_added() {
        let trusted = [TrustedPeer::Net("192.0.2.0/24".parse().expect("a block"))];
        let mut fields = headers(&[
            ("host", "inner"),
            ("x-forwarded-for", "198.51.100.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.org"),
        ]);
        set_forwarded(&mut fields, Some([192, 0, 2, 7].into()), false, &trusted);
        let expected = headers(&[
            ("host", "inner"),
            ("x-forwarded-for", "198.51.100.4, 192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.org"),
        ]);
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_websocket_is_asked_for_by_both_fields() {
        for (connection, upgrade, asked) in [
            ("keep-alive, Upgrade", "WebSocket", true),
            ("upgrade", "h2c", false),
            ("close", "websocket", false),
        ] {
            let fields = headers(&[("connection", connection), ("upgrade", upgrade)]);
            assert_eq!(asks_for_websocket(&fields), asked);
        }
    }
}
