//! The first bytes of a connection that should be TLS and is not.

/// TLS's first byte: a record of a handshake (RFC 8446 §5.1), or an alert of a client that cannot
/// even begin.
const RECORDS: [u8; 2] = [22, 21];

/// The header of version 2 of the PROXY protocol begins so (HAProxy, proxy-protocol.txt).
const PROXY_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const METHODS: &[&[u8]] = &[
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PRI ",
];

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A request of HTTP.
    Http,
    /// A header of the PROXY protocol, of either version.
    Proxy,
    /// The greeting of SSL 2 (RFC 5246, appendix E.2), which also very old TLS clients sent.
    OldHello,
    /// Something else.
    Other,
}

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// It may be TLS.
    Tls,
    /// It is not.
    NotTls(Opening),
    /// Too few to tell.
    More,
}

impl Glance {
    /// At what has come so far.
    pub fn at(bytes: &[u8]) -> Self {
        let [first, ..] = bytes else {
            return Self::More;
        };
        if RECORDS.contains(first) {
            return Self::Tls;
        }
        let mut more = false;
        for (known, opening) in METHODS
            .iter()
            .map(|method| (*method, Opening::Http))
            .chain([(&b"PROXY "[..], Opening::Proxy), (PROXY_2, Opening::Proxy)])
        {
            if bytes.starts_with(known) {
                return Self::NotTls(opening);
            }
            more |= known.starts_with(bytes);
        }
        match bytes {
            _ if more => Self::More,
            // The length with its highest bit set, then the kind of message.
            [0x80..=0xff, _, 1, ..] => Self::NotTls(Opening::OldHello),
            [0x80..=0xff, ..] if bytes.len() < 3 => Self::More,
            _ => Self::NotTls(Opening::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_it_is() {
        for (bytes, glance) in [
            (&b""[..], Glance::More),
            (b"\x16", Glance::Tls),
            (b"\x16\x03\x01", Glance::Tls),
            (b"\x15\x03\x01", Glance::Tls),
            (b"G", Glance::More),
            (b"GET / HTTP/1.1\r\n", Glance::NotTls(Opening::Http)),
            (b"P", Glance::More),
            (b"PR", Glance::More),
            (b"PRI * HTTP/2.0", Glance::NotTls(Opening::Http)),
            (b"PROXY TCP4 ", Glance::NotTls(Opening::Proxy)),
            (b"\r\n\r", Glance::More),
            (b"\r\n\r\n\0\r\nQUIT\n\x21", Glance::NotTls(Opening::Proxy)),
            (b"\r\nhello", Glance::NotTls(Opening::Other)),
            (b"\x80\x2e", Glance::More),
            (b"\x80\x2e\x01\x03\x01", Glance::NotTls(Opening::OldHello)),
            (b"\x80\x2e\x02", Glance::NotTls(Opening::Other)),
            (b"SSH-2.0-", Glance::NotTls(Opening::Other)),
            (b"\0", Glance::NotTls(Opening::Other)),
        ] {
            assert_eq!(Glance::at(bytes), glance, "{bytes:?}");
        }
    }
}
