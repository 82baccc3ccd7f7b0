//! What was found while reading: where each key stands, what could not be read, and what is
//! wrong. The `config` crate merges the layers but forgets positions, so they are kept here and
//! looked up again by key.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::key::KeyPath;
use super::problem::{Order, Place, Problem, Problems};
use super::schema;
use super::text::{Text, quoted};

/// Where one layer sets a key.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// In the file of this number; bytes of the key and of its value.
    Text {
        file: usize,
        key: Range<usize>,
        value: Range<usize>,
    },
    /// In an environment variable; its rank among them.
    Variable { name: String, rank: usize },
}

#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The main file, to which problems without a place of their own go.
    main: PathBuf,
    /// In the order of the layers.
    texts: Vec<Text>,
    /// In the order of the layers, so the last one is in force.
    origins: HashMap<KeyPath, Vec<Origin>>,
    /// Keys whose values could not be taken or are wrong. What depends on them is not judged, since that
    /// would blame the wrong place.
    damaged: HashSet<KeyPath>,
    problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn new(main: PathBuf) -> Self {
        Self {
            main,
            ..Self::default()
        }
    }

    /// Whether nothing was found to be wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The result: `checked`, or what is wrong with it.
    pub(super) fn conclude<T>(&mut self, checked: T) -> Result<T, Problems> {
        match Problems::new(std::mem::take(&mut self.problems)) {
            None => Ok(checked),
            Some(problems) => Err(problems),
        }
    }

    /// Keeps the text of a file; the number stands for it in [`Origin::Text`].
    pub(super) fn add_text(&mut self, text: Text) -> usize {
        self.texts.push(text);
        self.texts.len() - 1
    }

    /// The text of a file.
    pub(super) fn content(&self, file: usize) -> &str {
        self.texts[file].content()
    }

    /// A layer sets this key.
    pub(super) fn record(&mut self, path: KeyPath, origin: Origin) {
        self.origins.entry(path).or_default().push(origin);
    }

    /// What stands at this key could not be taken, or is wrong.
    pub(super) fn damage(&mut self, path: KeyPath) {
        self.damaged.insert(path);
    }

    /// Whether what was written for this key itself could be taken and is not known to be wrong;
    /// what lies below it may be.
    pub(super) fn is_whole(&self, path: &KeyPath) -> bool {
        !self.damaged.iter().any(|damaged| path.is_within(damaged))
    }

    /// As [`Self::is_whole`], of the key and of all that lies below it.
    pub(super) fn is_whole_within(&self, path: &KeyPath) -> bool {
        self.is_whole(path) && !self.damaged.iter().any(|damaged| damaged.is_within(path))
    }

    /// The names in a table, whether their entries could be taken or not, in the order in which
    /// the layers bring them up first.
    pub(super) fn names(&self, table: &KeyPath) -> Vec<String> {
        let mut names: Vec<String> = self
            .origins
            .keys()
            .chain(&self.damaged)
            .filter_map(|path| path.name_in(table))
            .map(str::to_owned)
            .collect();
        names.sort_by_cached_key(|name| (self.first_seen(&table.key(name)), name.clone()));
        names.dedup();
        names
    }

    /// Where a key is first brought up.
    fn first_seen(&self, path: &KeyPath) -> Order {
        let first = self.origins.get(path).and_then(|origins| origins.first());
        first.map_or((usize::MAX, usize::MAX), Origin::order)
    }

    /// The file that the value in force was written in; none for a variable.
    pub(super) fn file_of(&self, path: &KeyPath) -> Option<&Path> {
        match self.origins.get(path)?.last()? {
            Origin::Text { file, .. } => Some(self.texts[*file].path()),
            Origin::Variable { .. } => None,
        }
    }

    /// Whether any layer sets this key.
    pub(super) fn is_set(&self, path: &KeyPath) -> bool {
        self.origins.contains_key(path)
    }

    /// The value at `path` is wrong, so nothing that depends on it is judged.
    pub(super) fn value(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.damage(path.clone());
        let (place, order) = self.place_of_value(path);
        self.add(place, Some(path), message, order);
    }

    /// As [`Self::value`], and nothing is found to be wrong by it.
    pub(super) fn remark(&self, path: &KeyPath, message: String) -> Problem {
        let (place, order) = self.place_of_value(path);
        Problem::new(place, Some(path.to_string()), message, order)
    }

    /// Something is wrong with a key itself, or with the table or list that it names. Where no
    /// layer has it, the one that it would stand in is shown.
    pub(super) fn key(&mut self, path: &KeyPath, message: impl Into<String>) {
        let (place, order) = self.place_of_nearest(path);
        self.add(place, Some(path), message, order);
    }

    fn place_of_value(&self, path: &KeyPath) -> (Place, Order) {
        match self.origins.get(path).and_then(|origins| origins.last()) {
            Some(Origin::Text { file, value, .. }) => self.place_in_text(*file, value),
            Some(origin) => self.place_of_key(origin),
            None => self.place_of_nearest(path),
        }
    }

    fn place_of_nearest(&self, path: &KeyPath) -> (Place, Order) {
        let mut shown = Some(path.clone());
        while let Some(at) = shown {
            if let Some(origin) = self.origins.get(&at).and_then(|origins| origins.first()) {
                return self.place_of_key(origin);
            }
            shown = at.parent();
        }
        (Place::File(self.main.clone()), (0, 0))
    }

    /// A key must be set but is not: shown at the table that lacks it.
    pub(super) fn missing(&mut self, table: &KeyPath, key: &str, example: &str) {
        let path = table.key(key);
        if self.is_whole(&path) {
            self.key(
                &path,
                format!("is missing (add it, for example {key} = {example})"),
            );
        }
    }

    /// A name that nothing has.
    pub(super) fn unknown_name(&mut self, at: &KeyPath, kind: &str, name: &str, known: &[String]) {
        let advice = match schema::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => format!("there is none yet: add a table [{kind}.NAME]"),
            None => format!("there are: {}", known.join(", ")),
        };
        self.value(
            at,
            format!("no {kind} is named {} ({advice})", quoted(name)),
        );
    }

    /// Something is wrong at a place in a file.
    pub(super) fn text(
        &mut self,
        file: usize,
        span: &Range<usize>,
        path: Option<&KeyPath>,
        message: impl Into<String>,
    ) {
        let (place, order) = self.place_in_text(file, span);
        self.add(place, path, message, order);
    }

    /// Something is wrong with a file or folder as a whole; it comes after the files read so far.
    pub(super) fn file(&mut self, path: &Path, message: impl Into<String>) {
        let order = (self.texts.len(), 0);
        self.add(Place::File(path.to_owned()), None, message, order);
    }

    /// Something is wrong with an environment variable.
    pub(super) fn variable(
        &mut self,
        name: &str,
        rank: usize,
        path: Option<&KeyPath>,
        message: impl Into<String>,
    ) {
        let place = Place::Variable(name.to_owned());
        self.add(place, path, message, (usize::MAX, rank));
    }

    fn place_of_key(&self, origin: &Origin) -> (Place, Order) {
        match origin {
            Origin::Text { file, key, .. } => self.place_in_text(*file, key),
            Origin::Variable { name, .. } => (Place::Variable(name.clone()), origin.order()),
        }
    }

    fn place_in_text(&self, file: usize, span: &Range<usize>) -> (Place, Order) {
        let text = &self.texts[file];
        let (line, column) = text.position(span.start);
        let place = Place::Text {
            path: text.path().to_owned(),
            line,
            column,
            excerpt: text.excerpt(span),
        };
        (place, (file, span.start))
    }

    fn add(
        &mut self,
        place: Place,
        path: Option<&KeyPath>,
        message: impl Into<String>,
        order: Order,
    ) {
        let key = path.map(KeyPath::to_string);
        self.problems
            .push(Problem::new(place, key, message.into(), order));
    }
}

impl Origin {
    fn order(&self) -> Order {
        match self {
            Self::Text { file, key, .. } => (*file, key.start),
            Self::Variable { rank, .. } => (usize::MAX, *rank),
        }
    }
}
