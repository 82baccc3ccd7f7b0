//! Which keys there are, and what each of them takes. The example of a key stands in the message
//! about a value of the wrong type.

/// A key that may be set.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// A value as TOML writes it.
    pub(super) example: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Integer,
    Text,
    /// A text, or an integer, which is then read as that number of bytes.
    Size,
    /// A list of texts.
    Texts,
    /// A list of texts or tables with these keys.
    TextsOrTables(&'static [Key]),
    Table(&'static [Key]),
    /// A table for each name that the operator chooses.
    Named(&'static [Key]),
}

impl Shape {
    /// Whether it has keys below it.
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Table(_) | Self::Named(_))
    }

    /// As a message says it.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Integer => "an integer",
            Self::Text | Self::Size => "a string",
            Self::Texts | Self::TextsOrTables(_) => "a list",
            Self::Table(_) | Self::Named(_) => "a table",
        }
    }
}

const fn key(name: &'static str, shape: Shape, example: &'static str) -> Key {
    Key {
        name,
        shape,
        example,
    }
}

/// The whole configuration.
pub(super) const ROOT: &[Key] = &[
    key("workers", Shape::Integer, "0"),
    key("listener", Shape::Named(LISTENER), "[listener.wss]"),
    key(
        "certificate",
        Shape::Named(CERTIFICATE),
        "[certificate.example]",
    ),
    key("service", Shape::Named(SERVICE), "[service.chat]"),
    key("restart", Shape::Table(RESTART), "[restart]"),
    key("limits", Shape::Table(LIMITS), "[limits]"),
    key("metrics", Shape::Table(METRICS), "[metrics]"),
];

const LISTENER: &[Key] = &[
    key("address", Shape::Text, "\"[::]:443\""),
    key("certificates", Shape::Texts, "[\"example\"]"),
    key("trusted", Shape::Texts, "[\"10.0.0.0/8\"]"),
];

const CERTIFICATE: &[Key] = &[
    key("chain", Shape::Text, "\"/etc/ssl/example.pem\""),
    key("key", Shape::Text, "\"/etc/ssl/example.key\""),
    key("names", Shape::Texts, "[\"example.org\"]"),
    key("roots", Shape::Text, "\"public\""),
    key("renew_unit", Shape::Text, "\"certbot.service\""),
];

const SERVICE: &[Key] = &[
    key("listeners", Shape::Texts, "[\"wss\"]"),
    key("hosts", Shape::Texts, "[\"example.org\"]"),
    key("paths", Shape::Texts, "[\"/chat\"]"),
    key(
        "backends",
        Shape::TextsOrTables(BACKEND),
        "[\"127.0.0.1:8080\"]",
    ),
    key("unit", Shape::Text, "\"chat.service\""),
    key("restart", Shape::Table(RESTART), "[service.chat.restart]"),
];

const BACKEND: &[Key] = &[
    key("address", Shape::Text, "\"127.0.0.1:8080\""),
    key("unit", Shape::Text, "\"chat@1.service\""),
];

const RESTART: &[Key] = &[
    key("close_code", Shape::Integer, "1012"),
    key("lost_code", Shape::Integer, "1014"),
    key("reason", Shape::Text, "\"service restart\""),
    key("retry", Shape::Text, "\"1s-5s\""),
    key("spread", Shape::Text, "\"auto\""),
    key("deadline", Shape::Text, "\"30s\""),
    key("close_timeout", Shape::Text, "\"5s\""),
    key("hold", Shape::Text, "\"20s\""),
    key("max_held", Shape::Integer, "10000"),
];

const LIMITS: &[Key] = &[
    key("clients", Shape::Integer, "100000"),
    key("handshakes", Shape::Integer, "1000"),
    key("handshake_timeout", Shape::Text, "\"10s\""),
    key("stall_timeout", Shape::Text, "\"2m\""),
    key("header_bytes", Shape::Size, "\"16KiB\""),
];

const METRICS: &[Key] = &[key("listen", Shape::Text, "\"127.0.0.1:9912\"")];

/// The key of this very name.
pub(super) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// The name that is meant, most likely, by one that does not exist.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = name.to_lowercase();
    known
        .into_iter()
        .map(|known| {
            let wrong = strsim::damerau_levenshtein(&written, &known.to_lowercase());
            (wrong, known)
        })
        .filter(|(wrong, known)| *wrong <= (known.len() / 3).max(1))
        .min_by_key(|(wrong, _)| *wrong)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let known = ["close_code", "close_timeout", "retry", "hold"];
        assert_eq!(nearest("close_cod", known), Some("close_code"));
        assert_eq!(nearest("closetimeout", known), Some("close_timeout"));
        assert_eq!(nearest("Retry", known), Some("retry"));
        assert_eq!(nearest("hodl", known), Some("hold"));
        assert_eq!(nearest("colour", known), None);
    }

    const EXAMPLE: &str = include_str!("../../packaging/batond.toml");

    /// Every key of a table with its example, as TOML.
    fn written(table: &str, keys: &[Key]) -> String {
        let mut text = String::new();
        let mut below = String::new();
        for Key {
            name,
            shape,
            example,
        } in keys
        {
            let table = format!("{table}.{name}");
            match shape {
                Shape::Table(keys) => below += &written(&table, keys),
                Shape::Named(keys) => below += &written(&format!("{table}.x"), keys),
                _ => text += &format!("{name} = {example}\n"),
            }
        }
        match table {
            "" => text + &below,
            table => format!("[{}]\n{text}{below}", &table[1..]),
        }
    }

    #[test]
    fn what_the_schema_knows_can_be_read() {
        let text = written("", ROOT);
        assert!(
            text.contains("[service.x.restart]\nclose_code = 1012\n"),
            "{text}"
        );
        if let Err(error) = toml::from_str::<super::super::raw::RawConfig>(&text) {
            panic!("{error}");
        }
    }

    #[test]
    fn the_example_shows_every_key() {
        let mut tables = vec![ROOT];
        while let Some(keys) = tables.pop() {
            for key in keys {
                match key.shape {
                    Shape::Table(keys) | Shape::Named(keys) | Shape::TextsOrTables(keys) => {
                        tables.push(keys);
                        assert!(EXAMPLE.contains(key.name), "{}", key.name);
                    }
                    _ => {
                        let shown = format!("\n#{} = ", key.name);
                        assert!(EXAMPLE.contains(&shown), "{}", key.name);
                    }
                }
            }
        }
    }

    const PAGE: &str = include_str!("../../packaging/man/batond.toml.5");

    /// Every key with its example must stand in the section of its table.
    fn is_explained(section: &str, keys: &[Key]) {
        let heading = format!("\n.SS {section}\n");
        let (_, text) = PAGE
            .split_once(&heading)
            .unwrap_or_else(|| panic!("no section {section}"));
        let text = text.split("\n.S").next().unwrap_or_default();
        for key in keys {
            let below = match section {
                "Outside of any table" => key.name.to_owned(),
                _ => format!("{}.{}", section.trim_matches(['[', ']']), key.name),
            };
            match key.shape {
                Shape::Table(keys) if key.name != "restart" || section.starts_with('O') => {
                    is_explained(&format!("[{below}]"), keys);
                    continue;
                }
                Shape::Named(keys) => {
                    is_explained(&format!("[{below}.NAME]"), keys);
                    continue;
                }
                Shape::TextsOrTables(keys) => is_explained(&format!("[[{below}]]"), keys),
                _ => {}
            }
            let example = key.example.replace('-', "\\-");
            let shown = format!("\n\\fB{}\\fR = {example}\n", key.name);
            assert!(text.contains(&shown), "{section} lacks {shown}");
        }
    }

    #[test]
    fn the_manual_page_explains_every_key() {
        is_explained("Outside of any table", ROOT);
    }
}
