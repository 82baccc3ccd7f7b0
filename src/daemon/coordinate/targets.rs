//! Which backends a job is about.

use crate::config::BackendAddress;
use crate::control::command::Refusal;
use crate::edge::route::Service;
use crate::edge::{Backend, Edge};
use crate::restart::job::Target;

/// A service, or some of its backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Wanted {
    pub(super) service: String,
    pub(super) targets: Vec<Target>,
}

impl Wanted {
    /// All of a service, to be restarted: one unit at a time if it has several, each of a backend
    /// of its own; else all at once.
    pub(super) fn restart(edge: &Edge, name: &str) -> Result<Self, Refusal> {
        let service = find(edge, name)?;
        let backends = service.backends();
        let units: Vec<Option<&str>> = backends.iter().map(|one| one.unit()).collect();
        let mut distinct: Vec<&str> = units.iter().copied().flatten().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let each_has_its_own = backends.len() > 1 && distinct.len() == backends.len();
        let targets = if each_has_its_own {
            backends
                .iter()
                .map(|one| Target {
                    unit: one.unit().map(str::to_owned),
                    backend: Some(one.address().clone()),
                })
                .collect()
        } else if let [unit] = distinct.as_slice() {
            vec![Target {
                unit: Some((*unit).to_owned()),
                backend: None,
            }]
        } else {
            // The interlock says that there is no unit; several units with several backends each
            // cannot be told apart.
            Vec::new()
        };
        Ok(Self {
            service: name.to_owned(),
            targets,
        })
    }

    /// All of a service at once; its unit does not matter.
    pub(super) fn all(edge: &Edge, name: &str) -> Result<Self, Refusal> {
        let service = find(edge, name)?;
        Ok(Self {
            service: name.to_owned(),
            targets: vec![Target {
                unit: service
                    .backends()
                    .iter()
                    .find_map(|one| one.unit())
                    .map(str::to_owned),
                backend: None,
            }],
        })
    }

    /// What a unit serves: of each service all, or the backend that is its own.
    pub(super) fn of_unit(edge: &Edge, unit: &str) -> Result<Vec<Self>, Refusal> {
        let mut all = Vec::new();
        for service in edge.services() {
            let its = |one: &&std::sync::Arc<Backend>| one.unit() == Some(unit);
            let backends = service.backends();
            let own: Vec<_> = backends.iter().filter(its).collect();
            if own.is_empty() {
                continue;
            }
            let whole = own.len() == backends.len();
            let target = |backend: Option<BackendAddress>| Self {
                service: service.name.clone(),
                targets: vec![Target {
                    unit: Some(unit.to_owned()),
                    backend,
                }],
            };
            if whole {
                all.push(target(None));
            } else {
                all.extend(own.iter().map(|one| target(Some(one.address().clone()))));
            }
        }
        if all.is_empty() {
            let known = edge.services();
            let known = known.iter().flat_map(|one| one.backends());
            let known = known.filter_map(|one| one.unit());
            return Err(Refusal::unknown("unit", unit, known));
        }
        Ok(all)
    }

    /// Both cannot be under way at once.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let backend = |one: &Target, two: &Target| match (&one.backend, &two.backend) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        let any = |one: &Target| other.targets.iter().any(|two| backend(one, two));
        self.service == other.service && self.targets.iter().any(any)
    }

    pub(super) fn includes(&self, service: &str, backend: &Backend) -> bool {
        let is = |one: &Target| {
            let address = one.backend.as_ref();
            address.is_none_or(|address| address == backend.address())
        };
        self.service == service && self.targets.iter().any(is)
    }
}

fn find(edge: &Edge, name: &str) -> Result<std::sync::Arc<Service>, Refusal> {
    edge.service(name).ok_or_else(|| {
        let services = edge.services();
        Refusal::unknown(
            "service",
            name,
            services.iter().map(|one| one.name.as_str()),
        )
    })
}
