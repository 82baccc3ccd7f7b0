//! The fields of a header, however they are kept: in hyper's map, or [as they came](super::head).

use std::borrow::Cow;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// What the rules for fields on their way need. Names mean the same in whatever case.
pub(super) trait Fields {
    /// Whether there is one of this name.
    fn has(&self, name: &'static str) -> bool;

    /// The values of one name that are text: visible ASCII, spaces and tabs.
    fn texts(&self, name: &'static str) -> impl Iterator<Item = &str>;

    /// Takes out all of certain names, which are asked for as they are spelled.
    fn remove(&mut self, is_doomed: impl Fn(&str) -> bool);

    /// Makes it the only one of its name. What cannot be a value is left out.
    fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>);

    /// Gives `to`, which is not there, the first value of `from`.
    fn copy(&mut self, from: &'static str, to: &'static str);
}

impl Fields for HeaderMap {
    fn has(&self, name: &'static str) -> bool {
        self.contains_key(name)
    }

    fn texts(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let values = self.get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    fn remove(&mut self, is_doomed: impl Fn(&str) -> bool) {
        let doomed = |name: &&HeaderName| is_doomed(name.as_str());
        let doomed: Vec<_> = self.keys().filter(doomed).cloned().collect();
        for name in doomed {
            HeaderMap::remove(self, name);
        }
    }

    fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        let value = match value.into() {
            Cow::Borrowed(value) => Ok(HeaderValue::from_static(value)),
            Cow::Owned(value) => HeaderValue::try_from(value),
        };
        if let Ok(value) = value {
            self.insert(name, value);
        }
    }

    fn copy(&mut self, from: &'static str, to: &'static str) {
        if let Some(value) = self.get(from).cloned() {
            self.insert(to, value);
        }
    }
}
