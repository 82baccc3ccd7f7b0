//! The first message of a TLS client, as far as it tells who the client is and what it wants.

use std::net::IpAddr;

use super::family::{Family, Features};

/// The record layer's header, RFC 8446 §5.1.
const RECORD_HEADER: usize = 5;

/// What a client says before anything else (ClientHello, RFC 8446 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name that it asks for (SNI, RFC 6066 §3), in lower case, without a dot at its end. An
    /// address is none.
    pub name: Option<Box<str>>,
    /// Who it is, where that can be told.
    pub family: Family,
    /// The highest version that it offers, as on the wire: 0x0303 is TLS 1.2.
    pub highest: u16,
    /// It offers the protocol that only this process's own probes know.
    pub is_probe: bool,
}

impl Hello {
    /// Reads the first record of a connection. None: it is not here in full, or it is something
    /// else, or the message is spread over several records, which no usual client does.
    ///
    /// `probe` is what this process's own probes offer as a protocol (ALPN, RFC 7301).
    pub fn read(bytes: &[u8], probe: &[u8]) -> Option<Self> {
        let length = u16::from_be_bytes([*bytes.get(3)?, *bytes.get(4)?]);
        if bytes[0] != 22 {
            return None;
        }
        let mut record = Input(bytes.get(RECORD_HEADER..RECORD_HEADER + usize::from(length))?);
        if record.u8()? != 1 {
            return None;
        }
        let length = usize::from(record.u8()?) << 16 | usize::from(record.u16()?);
        let mut message = Input(record.take(length)?);
        let mut hello = Self {
            name: None,
            family: Family::Unknown,
            highest: message.u16()?,
            is_probe: false,
        };
        message.take(32)?;
        let session = message.u8()?;
        message.take(session.into())?;
        let mut features = Features {
            ciphers: message.prefixed()?,
            ..Features::default()
        };
        let methods = message.u8()?;
        message.take(methods.into())?;
        let mut extensions = Input(message.prefixed().unwrap_or_default());
        while let Some(kind) = extensions.u16() {
            let mut body = Input(extensions.prefixed()?);
            features.extension(kind, body.0);
            match kind {
                0 => hello.name = server_name(&mut body),
                16 => hello.is_probe = offers(&mut body, probe),
                43 => hello.highest = highest(&mut body).unwrap_or(hello.highest),
                _ => {}
            }
        }
        hello.family = features.family();
        Some(hello)
    }
}

/// RFC 6066 §3: there is one name, of the one kind that there is.
fn server_name(body: &mut Input<'_>) -> Option<Box<str>> {
    let mut list = Input(body.prefixed()?);
    if list.u8()? != 0 {
        return None;
    }
    let name = std::str::from_utf8(list.prefixed()?).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    // It is shown to people, so it is not taken on trust. RFC 1035 §2.3.4 for the length.
    let fits = !name.is_empty() && name.len() <= 253 && name.chars().all(is_name);
    // Addresses are not permitted here, and sent all the same by some.
    let fits = fits && name.parse::<IpAddr>().is_err();
    fits.then(|| name.to_ascii_lowercase().into())
}

fn offers(body: &mut Input<'_>, protocol: &[u8]) -> bool {
    let mut list = Input(body.prefixed().unwrap_or_default());
    while let Some(length) = list.u8() {
        match list.take(length.into()) {
            Some(one) if one == protocol => return true,
            Some(_) => {}
            None => return false,
        }
    }
    false
}

/// The supported_versions extension (RFC 8446 §4.2.1), without the values that mean nothing
/// (GREASE, RFC 8701).
fn highest(body: &mut Input<'_>) -> Option<u16> {
    let length = body.u8()?;
    let mut list = Input(body.take(length.into())?);
    let versions = std::iter::from_fn(|| list.u16());
    versions.filter(|version| version >> 8 == 3).max()
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What a length of two bytes stands before.
    fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_names() {
        for (sent, name) in [
            ("Chat.Example.org", Some("chat.example.org")),
            ("chat.example.org.", Some("chat.example.org")),
            ("192.0.2.7", None),
            ("192.0.2.7.", None),
            ("2001:db8::7", None),
            ("1.2.3.4.example", Some("1.2.3.4.example")),
            (".", None),
            ("", None),
            ("a b", None),
        ] {
            let length = u8::try_from(sent.len()).unwrap();
            let mut body = vec![0, length + 3, 0, 0, length];
            body.extend(sent.as_bytes());
            assert_eq!(server_name(&mut Input(&body)).as_deref(), name, "{sent}");
        }
    }
}
