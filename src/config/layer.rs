//! One file becomes one layer: values of known keys with the right types, each with its place.

use std::ops::Range;

use config::{ConfigError, Map, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::{Findings, Origin};
use super::key::KeyPath;
use super::schema::{self, Key, Shape};
use super::text::quoted;

/// What one file or the environment sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(pub(super) Map<String, Value>);

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// What the parser says about a key or table that stands in a file twice.
const TWICE: &str = "duplicate key";

/// Takes the file of this number apart. What cannot be taken is reported and left out.
pub(super) fn from_file(found: &mut Findings, file: usize) -> Layer {
    let content = found.content(file).to_owned();
    let (table, errors) = DeTable::parse_recoverable(&content);
    for error in errors {
        let span = error.span().unwrap_or(content.len()..content.len());
        if error.message() != TWICE {
            let message = format!("is not TOML: {}", error.message());
            found.text(file, &span, None, message);
            found.damage(KeyPath::root());
            // What follows may only be a consequence of this.
            return Layer::default();
        }
        let name = content.get(span.clone()).unwrap_or_default();
        let name = quoted(name.trim_matches(['"', '\'']));
        let message = format!("{name} stands in this file twice (keep one)");
        found.text(file, &span, None, message);
    }
    let mut reader = Reader { found, file };
    Layer(reader.table(&KeyPath::root(), table.get_ref(), schema::ROOT))
}

struct Reader<'a> {
    found: &'a mut Findings,
    file: usize,
}

impl Reader<'_> {
    fn table(
        &mut self,
        path: &KeyPath,
        table: &DeTable<'_>,
        keys: &'static [Key],
    ) -> Map<String, Value> {
        let mut values = Map::new();
        for (name, value) in table {
            match schema::find(keys, name.get_ref()) {
                Some(key) => {
                    if let Some(value) = self.entry(path, name, value, key.shape, key.example) {
                        values.insert(key.name.to_owned(), value);
                    }
                }
                None => self.unknown(path, name, keys),
            }
        }
        values
    }

    /// One `name = value` of a table, if it can be taken.
    fn entry(
        &mut self,
        table: &KeyPath,
        name: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        shape: Shape,
        example: &'static str,
    ) -> Option<Value> {
        let path = table.key(name.get_ref());
        match self.value(&path, value, shape, example) {
            Some(taken) => {
                self.record(path, name.span(), value.span());
                Some(taken)
            }
            None => {
                self.found.damage(path);
                None
            }
        }
    }

    fn value(
        &mut self,
        path: &KeyPath,
        value: &Spanned<DeValue<'_>>,
        shape: Shape,
        example: &'static str,
    ) -> Option<Value> {
        let kind: ValueKind = match (shape, value.get_ref()) {
            (Shape::Integer | Shape::Size, DeValue::Integer(number)) => {
                let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
                    self.wrong(path, value.span(), "is out of range".to_owned());
                    return None;
                };
                match shape {
                    Shape::Size => number.to_string().into(),
                    _ => number.into(),
                }
            }
            (Shape::Text | Shape::Size, DeValue::String(text)) => text.as_ref().into(),
            (Shape::Table(keys), DeValue::Table(table)) => self.table(path, table, keys).into(),
            (Shape::Named(keys), DeValue::Table(table)) => {
                let mut named = Map::<String, Value>::new();
                for (name, value) in table {
                    let shape = Shape::Table(keys);
                    if let Some(value) = self.entry(path, name, value, shape, example) {
                        named.insert(name.get_ref().clone().into_owned(), value);
                    }
                }
                named.into()
            }
            (Shape::Texts, DeValue::Array(elements)) => {
                let taken = elements.iter().enumerate().map(|(number, element)| {
                    self.element(&path.index(number), element, Shape::Text, example)
                });
                all(taken)?
            }
            (Shape::TextsOrTables(keys), DeValue::Array(elements)) => {
                let taken = elements.iter().enumerate().map(|(number, element)| {
                    let shape = match element.get_ref() {
                        DeValue::Table(_) => Shape::Table(keys),
                        _ => Shape::Text,
                    };
                    self.element(&path.index(number), element, shape, example)
                });
                all(taken)?
            }
            (_, other) => {
                let wanted = match shape.is_table() {
                    true => shape.description().to_owned(),
                    false => format!("{} such as {example}", shape.description()),
                };
                let message = format!("must be {wanted}, not {}", described(other));
                self.wrong(path, value.span(), message);
                return None;
            }
        };
        Some(Value::new(None, kind))
    }

    /// One element of a list, if it can be taken.
    fn element(
        &mut self,
        path: &KeyPath,
        element: &Spanned<DeValue<'_>>,
        shape: Shape,
        example: &'static str,
    ) -> Option<Value> {
        // The example shows a whole list; of an element it is what stands between the brackets.
        let example = example.trim_matches(['[', ']']);
        let taken = self.value(path, element, shape, example)?;
        self.record(path.clone(), element.span(), element.span());
        Some(taken)
    }

    fn record(&mut self, path: KeyPath, key: Range<usize>, value: Range<usize>) {
        let file = self.file;
        self.found.record(path, Origin::Text { file, key, value });
    }

    fn wrong(&mut self, path: &KeyPath, span: Range<usize>, message: String) {
        self.found.text(self.file, &span, Some(path), message);
    }

    fn unknown(
        &mut self,
        table: &KeyPath,
        name: &Spanned<toml::de::DeString<'_>>,
        keys: &'static [Key],
    ) {
        let path = table.key(name.get_ref());
        let near = schema::nearest(name.get_ref(), keys.iter().map(|key| key.name));
        let advice = match near {
            Some(near) => format!("did you mean {near}?"),
            None => {
                let known: Vec<&str> = keys.iter().map(|key| key.name).collect();
                format!("known here: {}", known.join(", "))
            }
        };
        self.wrong(&path, name.span(), format!("is not a known key ({advice})"));
        if let Some(near) = near {
            self.found.damage(table.key(near));
        }
    }
}

/// The list, if every element could be taken. All are looked at, so that all are reported.
fn all(elements: impl Iterator<Item = Option<Value>>) -> Option<ValueKind> {
    let elements: Vec<Option<Value>> = elements.collect();
    let elements: Option<Vec<Value>> = elements.into_iter().collect();
    Some(elements?.into())
}

/// The type of a value, as a message says it.
fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
