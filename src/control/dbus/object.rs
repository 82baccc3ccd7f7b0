//! Objects that show a part of the view, kept as the view has it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use zbus::fdo::Properties;
use zbus::object_server::Interface;
use zbus::{Connection, ObjectPath, OwnedVariant, Variant};

/// What an object shows. Calls read it while it is being replaced, so nobody locks the object.
pub(super) type Held<T> = Arc<ArcSwap<T>>;

/// An interface that shows a part of the view.
pub(super) trait Exhibit: Interface {
    /// The part.
    type Part: PartialEq + Send + Sync + 'static;

    /// Properties whose changes nobody is told: those with `emits_changed_signal = "false"`.
    const SILENT: &'static [&'static str];
}

/// All objects of a kind on one connection.
pub(super) struct Shelf<T> {
    objects: HashMap<ObjectPath<'static>, Held<T>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
        }
    }
}

impl<T: PartialEq + Send + Sync + 'static> Shelf<T> {
    /// Adds objects, removes objects and changes what objects show, with all the signals, so that
    /// there are these parts and no others.
    pub(super) async fn arrange<I: Exhibit<Part = T>>(
        &mut self,
        bus: &Connection,
        make: fn(Held<T>) -> I,
        parts: impl IntoIterator<Item = (ObjectPath<'static>, Arc<T>)>,
    ) -> zbus::Result<()> {
        let mut wanted = HashSet::new();
        for (path, part) in parts {
            wanted.insert(path.clone());
            match self.objects.get(&path) {
                Some(held) => replace::<I>(bus, &path, held, part).await?,
                None => {
                    let held = Arc::new(ArcSwap::new(part));
                    self.objects.insert(path.clone(), Arc::clone(&held));
                    bus.object_server().at(path, make(held)).await?;
                }
            }
        }
        let gone = |path: &&ObjectPath<'static>| !wanted.contains(*path);
        let gone: Vec<_> = self.objects.keys().filter(gone).cloned().collect();
        for path in gone {
            self.objects.remove(&path);
            bus.object_server().remove::<I, _>(path).await?;
        }
        Ok(())
    }
}

/// Changes what an object shows. One signal tells all properties that have changed.
pub(super) async fn replace<I: Exhibit>(
    bus: &Connection,
    path: &ObjectPath<'_>,
    held: &ArcSwap<I::Part>,
    part: Arc<I::Part>,
) -> zbus::Result<()> {
    if **held.load() == *part {
        return Ok(());
    }
    let before = properties::<I>(bus, path).await?;
    held.store(part);
    let now = properties::<I>(bus, path).await?;
    let told = |(name, value): &(&String, &OwnedVariant)| {
        !I::SILENT.contains(&name.as_str()) && before.get(*name) != Some(*value)
    };
    let changed = now
        .iter()
        .filter(told)
        .map(|(name, value)| Ok((name.as_str(), Variant::try_from(value)?)))
        .collect::<zbus::Result<HashMap<_, _>>>()?;
    if changed.is_empty() {
        return Ok(());
    }
    let object = bus.object_server().interface::<_, I>(path).await?;
    let emitter = object.signal_emitter();
    Properties::properties_changed(emitter, I::name(), changed, Cow::Borrowed(&[])).await
}

async fn properties<I: Exhibit>(
    bus: &Connection,
    path: &ObjectPath<'_>,
) -> zbus::Result<HashMap<String, OwnedVariant>> {
    let server = bus.object_server();
    let object = server.interface::<_, I>(path).await?;
    let interface = object.get().await;
    let emitter = object.signal_emitter();
    Ok(interface.get_all(server, bus, None, emitter).await?)
}
