//! The environment becomes a layer: `BATOND_LIMITS__CLIENTS=5000` sets `limits.clients`.

use std::collections::HashMap;

use config::{Map, Value, ValueKind};

use super::findings::{Findings, Origin};
use super::key::KeyPath;
use super::layer::Layer;
use super::schema::{self, Key, Shape};
use super::text::quoted;

/// What the names of all variables begin with.
pub(super) const PREFIX: &str = "BATOND_";
/// What stands between two levels, since keys contain single underscores.
const SEPARATOR: &str = "__";

/// Takes the variables apart; the files have been read before, so that their names are known.
pub(super) fn layer(found: &mut Findings, env: &[(String, String)]) -> Layer {
    let mut env: Vec<_> = env
        .iter()
        .filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value)))
        .collect();
    env.sort();
    let mut values = Map::new();
    let mut setters: HashMap<Vec<String>, &str> = HashMap::new();
    for (rank, (name, levels, value)) in env.into_iter().enumerate() {
        let mut reader = Reader { found, name, rank };
        let Some(target) = reader.target(levels) else {
            continue;
        };
        let path = target.path();
        if let Some(other) = setters.insert(target.steps.clone(), name) {
            reader.wrong(
                &path,
                format!("is set by {other}, too (remove one of them)"),
            );
            continue;
        }
        match reader.value(&path, value, target.key) {
            Some(value) => {
                reader.record(&target.steps, value.1);
                insert(&mut values, &target.steps, value.0);
            }
            None => reader.found.damage(path),
        }
    }
    Layer(values)
}

/// What a variable sets.
struct Target {
    steps: Vec<String>,
    key: &'static Key,
}

impl Target {
    fn path(&self) -> KeyPath {
        joined(&self.steps)
    }
}

struct Reader<'a> {
    found: &'a mut Findings,
    name: &'a str,
    rank: usize,
}

impl Reader<'_> {
    /// The key that the levels of a name lead to, if they lead to one.
    fn target(&mut self, levels: &str) -> Option<Target> {
        let mut steps = Vec::new();
        let mut keys = schema::ROOT;
        let mut levels = levels.split(SEPARATOR);
        loop {
            let level = levels.next();
            let Some(key) = level.and_then(|level| {
                let same = |key: &&Key| key.name.eq_ignore_ascii_case(level);
                keys.iter().find(same)
            }) else {
                self.lost(&steps, level, keys);
                return None;
            };
            steps.push(key.name.to_owned());
            keys = match key.shape {
                Shape::Table(keys) => keys,
                Shape::Named(keys) => {
                    let Some(name) = levels.next().filter(|name| !name.is_empty()) else {
                        let example = format!("{}__NAME__{}", self.name, upper(keys[0].name));
                        let message = format!("needs a name and a key (for example {example})");
                        self.wrong(&joined(&steps), message);
                        return None;
                    };
                    let name = self.name_in(&joined(&steps), name)?;
                    steps.push(name);
                    keys
                }
                _ => {
                    let rest: Vec<&str> = levels.collect();
                    if rest.is_empty() {
                        return Some(Target { steps, key });
                    }
                    let path = joined(&steps);
                    let message = format!("has no keys below it (remove __{})", rest.join("__"));
                    self.wrong(&path, message);
                    return None;
                }
            };
        }
    }

    /// The listener, certificate or service of this name. Variables are mostly written in capital
    /// letters, and cannot contain `-` and `.`; a name that no file knows is a new one.
    fn name_in(&mut self, table: &KeyPath, level: &str) -> Option<String> {
        let known = self.found.names(table);
        if known.iter().any(|name| name == level) {
            return Some(level.to_owned());
        }
        let alike: Vec<&String> = known
            .iter()
            .filter(|name| folded(name) == folded(level))
            .collect();
        match alike.as_slice() {
            [] => Some(level.to_lowercase()),
            [name] => Some((*name).clone()),
            [one, other, ..] => {
                let message = format!("{level} may be {one:?} or {other:?} (set it in a file)");
                self.wrong(table, message);
                None
            }
        }
    }

    /// The value in the type that the key takes, and the number of elements of a list.
    fn value(&mut self, path: &KeyPath, text: &str, key: &Key) -> Option<(Value, usize)> {
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.wrong(path, "is not UTF-8".to_owned());
            return None;
        }
        let mut elements = 0;
        let kind: ValueKind = match key.shape {
            Shape::Integer => match text.trim().parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => {
                    let example = key.example;
                    let message =
                        format!("must be an integer such as {example}, not {}", quoted(text));
                    self.wrong(path, message);
                    return None;
                }
            },
            Shape::Texts | Shape::TextsOrTables(_) => {
                let list: Vec<&str> = match text.trim() {
                    "" => Vec::new(),
                    list => list.split(',').map(str::trim).collect(),
                };
                elements = list.len();
                list.into()
            }
            _ => text.into(),
        };
        Some((Value::new(None, kind), elements))
    }

    /// Keeps the variable as the origin of its key, of the tables around it, and of the elements
    /// of its list.
    fn record(&mut self, steps: &[String], elements: usize) {
        let path = joined(steps);
        let tables = (1..steps.len()).map(|depth| joined(&steps[..depth]));
        let elements = (0..elements).map(|number| path.index(number));
        for path in tables.chain([path.clone()]).chain(elements) {
            let origin = Origin::Variable {
                name: self.name.to_owned(),
                rank: self.rank,
            };
            self.found.record(path, origin);
        }
    }

    /// The levels lead to no key: `level` is not one, or there is no level left.
    fn lost(&mut self, steps: &[String], level: Option<&str>, keys: &[Key]) {
        let table = joined(steps);
        let mut around: String = PREFIX.to_owned();
        for step in steps {
            around += &upper(step);
            around += SEPARATOR;
        }
        let names = keys.iter().map(|key| key.name);
        let Some(level) = level else {
            let names: Vec<&str> = names.collect();
            let message = format!("is a table (set one of its keys: {})", names.join(", "));
            return self.wrong(&table, message);
        };
        let lower = level.to_lowercase();
        let joined_by_one = keys.iter().find_map(|key| {
            let rest = lower.strip_prefix(key.name)?.strip_prefix('_')?;
            key.shape
                .is_table()
                .then(|| format!("{}{SEPARATOR}{}", upper(key.name), upper(rest)))
        });
        let near = schema::nearest(level, names.clone());
        let advice = match (joined_by_one, near) {
            (Some(meant), _) => {
                format!("two underscores stand between levels: {around}{meant}?")
            }
            (None, Some(near)) => {
                self.found.damage(table.key(near));
                format!("did you mean {around}{}?", upper(near))
            }
            (None, None) => {
                let names: Vec<String> = names
                    .map(|name| format!("{around}{}", upper(name)))
                    .collect();
                format!("known: {}", names.join(", "))
            }
        };
        let path = table.key(&lower);
        self.wrong(&path, format!("is not a known key ({advice})"));
    }

    fn wrong(&mut self, path: &KeyPath, message: String) {
        self.found
            .variable(self.name, self.rank, Some(path), message);
    }
}

/// Puts a value into nested tables.
fn insert(values: &mut Map<String, Value>, steps: &[String], value: Value) {
    match steps {
        [] => {}
        [key] => {
            values.insert(key.clone(), value);
        }
        [table, rest @ ..] => {
            let inner = values
                .entry(table.clone())
                .or_insert_with(|| Value::new(None, Map::<String, Value>::new()));
            if let ValueKind::Table(inner) = &mut inner.kind {
                insert(inner, rest, value);
            }
        }
    }
}

fn joined(steps: &[String]) -> KeyPath {
    steps
        .iter()
        .fold(KeyPath::root(), |path, step| path.key(step))
}

/// How a name is written in a variable.
fn upper(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}

/// What two ways to write a name have in common.
fn folded(name: &str) -> String {
    upper(name)
}
