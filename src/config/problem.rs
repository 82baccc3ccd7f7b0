//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::text::Excerpt;

/// One thing that is wrong. Displayed as `file:line:column: key: what is wrong (what to do)` with
/// the line and carets below; or as `BATOND_X: key: what is wrong` for an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Place,
    key: Option<String>,
    message: String,
    order: Order,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file or folder as a whole.
    File(PathBuf),
    /// At a place in a file.
    Text {
        path: PathBuf,
        line: usize,
        column: usize,
        excerpt: Option<Excerpt>,
    },
    /// In an environment variable.
    Variable(String),
}

/// Problems are told in the order of the layers, and of the text within one.
pub(super) type Order = (usize, usize);

impl Problem {
    pub(super) fn new(place: Place, key: Option<String>, message: String, order: Order) -> Self {
        Self {
            place,
            key,
            message,
            order,
        }
    }

    /// What is wrong, and what to do about it; without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The key, as TOML writes it: `service.chat.backends[0]`. None where the problem is not
    /// with a key.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Line and column, both from 1, the column in characters. None where the problem is not at
    /// a place in a file.
    pub fn position(&self) -> Option<(usize, usize)> {
        match self.place {
            Place::Text { line, column, .. } => Some((line, column)),
            Place::File(_) | Place::Variable(_) => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => write!(out, "{}: ", path.display())?,
            Place::Text {
                path, line, column, ..
            } => write!(out, "{}:{line}:{column}: ", path.display())?,
            Place::Variable(name) => write!(out, "{name}: ")?,
        }
        if let Some(key) = &self.key {
            write!(out, "{key}: ")?;
        }
        out.write_str(&self.message)?;
        if let Place::Text {
            excerpt: Some(excerpt),
            ..
        } = &self.place
        {
            write!(out, "\n    {}\n    {}", excerpt.line, excerpt.carets)?;
        }
        Ok(())
    }
}

/// `file`, `variable`, `line`, `column`, `key` and `message`; null where one does not apply.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (file, variable) = match &self.place {
            Place::File(path) | Place::Text { path, .. } => (Some(path.to_string_lossy()), None),
            Place::Variable(name) => (None, Some(name)),
        };
        let position = self.position();
        let mut object = serializer.serialize_struct("Problem", 6)?;
        object.serialize_field("file", &file)?;
        object.serialize_field("variable", &variable)?;
        object.serialize_field("line", &position.map(|(line, _)| line))?;
        object.serialize_field("column", &position.map(|(_, column)| column))?;
        object.serialize_field("key", &self.key)?;
        object.serialize_field("message", &self.message)?;
        object.end()
    }
}

/// Everything that is wrong with a configuration: at least one thing, in the order of the files
/// and of their lines, environment variables last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None if there are none.
    pub(super) fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|problem| problem.order);
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One problem after the other, without a newline at the end.
impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}

/// `{"problems": […]}`.
impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Problems", 1)?;
        object.serialize_field("problems", &self.0)?;
        object.end()
    }
}
