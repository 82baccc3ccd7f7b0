//! Where a key stands in the tree: `service.chat.backends[1].unit`.

use std::fmt;

/// One step down the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root to a key, a table or an element of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    /// The whole configuration.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// The key `name` in this table.
    pub(super) fn key(&self, name: &str) -> Self {
        self.with(Step::Key(name.to_owned()))
    }

    /// An element of this list, counted from 0.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The table or list that holds it; none for the root.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, steps) = self.0.split_last()?;
        Some(Self(steps.to_vec()))
    }

    /// Whether it is `other` or lies somewhere below it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Its name in `table`, if it is a direct entry of that.
    pub(super) fn name_in(&self, table: &Self) -> Option<&str> {
        match self.0.strip_prefix(table.0.as_slice())? {
            [Step::Key(name)] => Some(name),
            _ => None,
        }
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

/// As TOML writes a dotted key, with the index of a list's element in brackets.
impl fmt::Display for KeyPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(out, "[{index}]")?,
                Step::Key(name) => {
                    if place > 0 {
                        out.write_str(".")?;
                    }
                    if is_bare(name) {
                        out.write_str(name)?;
                    } else {
                        write!(out, "{name:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether TOML takes the key without quotes.
fn is_bare(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_toml_would_write_it() {
        let backends = KeyPath::root().key("service").key("chat").key("backends");
        assert_eq!(
            backends.index(1).key("unit").to_string(),
            "service.chat.backends[1].unit"
        );
        assert_eq!(
            KeyPath::root().key("service").key("a.b").to_string(),
            "service.\"a.b\""
        );
        assert_eq!(KeyPath::root().key("").to_string(), "\"\"");
    }

    #[test]
    fn knows_what_it_lies_in() {
        let service = KeyPath::root().key("service");
        let chat = service.key("chat");
        assert_eq!(chat.name_in(&service), Some("chat"));
        assert_eq!(chat.key("hosts").name_in(&service), None);
        assert!(chat.key("hosts").is_within(&service));
        assert!(!service.is_within(&chat));
        assert_eq!(chat.parent(), Some(service));
        assert_eq!(KeyPath::root().parent(), None);
    }
}
