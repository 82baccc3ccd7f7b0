//! The paths of the objects.

use std::fmt::Write;

use zbus::ObjectPath;

use super::PATH;

/// The path of an object of a kind by its name.
pub(super) fn of(kind: &str, name: &str) -> ObjectPath<'static> {
    let path = format!("{PATH}/{kind}/{}", escaped(name));
    // Escaping leaves nothing that may not stand in a path.
    ObjectPath::try_from(path).unwrap_or_default()
}

/// A name as one element of a path, in the way of systemd (`sd_bus_path_encode(3)`): what is
/// neither an ASCII letter nor a digit becomes `_` and two hexadecimal digits, and so does a digit
/// at the beginning; an empty name becomes `_`.
fn escaped(name: &str) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for (place, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && place > 0) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "_{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_systemd_does() {
        for (name, expected) in [
            ("chat", "chat"),
            ("chat-2", "chat_2d2"),
            ("a.b_c", "a_2eb_5fc"),
            ("4chat", "_34chat"),
            ("", "_"),
        ] {
            assert_eq!(escaped(name), expected);
        }
        let path = of("service", "chat-2");
        assert_eq!(path.as_str(), "/org/batond/Baton1/service/chat_2d2");
    }
}
