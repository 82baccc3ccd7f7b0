//! Names that operators choose, and names of systemd units.

use super::schema;
use super::text::quoted;

/// Longest name of a listener, certificate or service, in bytes.
const NAME_MAX: usize = 64;
/// Longest name of a unit, in bytes (systemd.unit(5)).
const UNIT_MAX: usize = 255;
/// The name of the socket of `[metrics]` among those of the listeners, also in
/// `FileDescriptorName=`.
pub const METRICS_SOCKET: &str = "metrics";
/// Names that sd_listen_fds(3) gives to sockets that have none of their own.
const RESERVED: [&str; 3] = ["connection", "stored", "unknown"];

/// Checks the name of a listener, certificate or service. It stands in D-Bus object paths, in
/// metrics, on command lines and, of a listener, in `FileDescriptorName=`.
pub(super) fn chosen(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > NAME_MAX {
        return Err(format!(
            "has a name of {} bytes, but at most {NAME_MAX} are allowed",
            name.len()
        ));
    }
    let good =
        name.bytes().all(plain) && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if good {
        return Ok(());
    }
    Err(
        "may not be named so (use ASCII letters, digits, '-', '_' and '.', and begin with a \
         letter or a digit)"
            .to_owned(),
    )
}

/// Checks the name of a listener, by which it finds its socket among those that systemd passes.
pub(super) fn listener(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err(
            "may not be named so (systemd gives this name to sockets without a name)".to_owned(),
        );
    }
    if name == METRICS_SOCKET {
        return Err("may not be named so (it is the name of the socket of [metrics])".to_owned());
    }
    chosen(name)
}

/// Checks the name of a service unit, as systemd has it (systemd.unit(5)).
pub(super) fn service_unit(name: &str) -> Result<(), String> {
    let wrong = |advice: &str| Err(format!("{} {advice}", quoted(name)));
    let Some(prefix) = name.strip_suffix(".service") else {
        let meant = match name.rsplit_once('.') {
            Some((prefix, "socket" | "target" | "timer" | "scope" | "path" | "slice")) => {
                return wrong(&format!(
                    "is not a service unit (name the one that runs the program: {}?)",
                    quoted(&format!("{prefix}.service"))
                ));
            }
            Some((prefix, typo)) if schema::nearest(typo, ["service"]).is_some() => prefix,
            _ => name,
        };
        return wrong(&format!(
            "is not the name of a unit (did you mean {}?)",
            quoted(&format!("{meant}.service"))
        ));
    };
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.' | b'\\' | b'@')
    };
    if prefix.is_empty() || name.len() > UNIT_MAX || !name.bytes().all(plain) {
        return wrong("is not the name of a unit (see systemd.unit(5))");
    }
    if prefix.ends_with('@') {
        return wrong("is a template (name an instance of it, such as \"chat@1.service\")");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["wss", "chat-1", "chat_1", "a.b", "9"] {
            assert_eq!(chosen(name), Ok(()), "{name}");
        }
        for name in ["", "-a", ".a", "a b", "ä", "a:b", "a/b", "a\n"] {
            assert!(chosen(name).is_err(), "{name}");
        }
        assert!(chosen(&"a".repeat(65)).expect_err("long").contains("65"));
        assert!(listener("stored").is_err());
        assert!(listener("metrics").is_err());
        assert!(listener("wss").is_ok());
    }

    #[test]
    fn units_are_services() {
        for name in ["chat.service", "chat@1.service", "a\\x2db:c_d.service"] {
            assert_eq!(service_unit(name), Ok(()), "{name}");
        }
        for (name, part) in [
            ("chat", "did you mean \"chat.service\"?"),
            ("chat.sevice", "did you mean \"chat.service\"?"),
            ("chat.socket", "name the one that runs the program"),
            ("chat@.service", "is a template"),
            (".service", "see systemd.unit(5)"),
            ("a b.service", "see systemd.unit(5)"),
            ("../a.service", "see systemd.unit(5)"),
        ] {
            let error = service_unit(name).expect_err(name);
            assert!(error.contains(part), "{error}");
        }
        assert!(service_unit(&format!("{}.service", "a".repeat(250))).is_err());
    }
}
