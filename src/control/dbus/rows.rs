//! What the lists of the Manager are made of.

use std::collections::HashMap;

use serde_json::{Map, Value};
use zbus::{ObjectPath, OwnedVariant};

use super::parts::{Job, figure, microseconds};
use crate::certificate::ledger::joined::{Joined, version_name};
use crate::control::jobs::JobView;
use crate::control::problem::Problem;
use crate::control::view::{ClientView, Failures, Foretold};
use crate::restart::interlock::Plan;

/// Figures, and each refusal: name, what is in the way, what to do about it, and whether `force`
/// overrides it.
pub(super) type PlanRow = (
    HashMap<String, OwnedVariant>,
    Vec<(String, String, String, bool)>,
);

/// Name and path of an object.
pub(super) type Named = (String, ObjectPath<'static>);

/// Number, kind, service, result (empty: it runs), and path.
pub(super) type JobRow = (u32, String, String, String, ObjectPath<'static>);

/// Name, subject, severity, what is wrong, what to do about it, and since when.
pub(super) type ProblemRow = (String, String, String, String, String, u64);

/// Certificate, when, severity, name of the finding, and what changes.
pub(super) type ForecastRow = (String, u64, String, String, String);

/// When, listener, network, family, name, reason, alert, version, certificate, cause, and all of
/// it in words.
pub(super) type FailureRow = (
    u64,
    String,
    String,
    String,
    String,
    String,
    u32,
    String,
    String,
    String,
    String,
);

/// Service, listener, address, and since when.
pub(super) type ClientRow = (String, String, String, u64);

pub(super) fn plan(mut plan: Plan) -> PlanRow {
    let refusals = std::mem::take(&mut plan.refusals);
    let refusals = refusals.into_iter().map(|one| {
        let name = one.obstacle.name().to_owned();
        (name, one.sentence, one.remedy, one.may_be_forced)
    });
    let figures = match serde_json::to_value(&plan) {
        Ok(Value::Object(figures)) => figures,
        _ => Map::new(),
    };
    let figures = figures
        .iter()
        .filter(|(name, _)| *name != "refusals")
        .filter_map(|(name, value)| Some((name.clone(), figure(value)?)))
        .collect();
    (figures, refusals.collect())
}

pub(super) fn foretold(one: Foretold) -> ForecastRow {
    let change = one.change;
    (
        one.certificate,
        microseconds(change.at),
        change.severity.to_string(),
        change.finding.to_string(),
        change.what,
    )
}

pub(super) fn job(job: &JobView) -> JobRow {
    let result = job.result.as_ref().map_or("", |result| result.word());
    let service = job.service.clone().unwrap_or_default();
    let (kind, path) = (job.kind.word().to_owned(), Job::path(job.id));
    (job.id, kind, service, result.to_owned(), path)
}

pub(super) fn problem(one: &Problem) -> ProblemRow {
    (
        one.name.to_owned(),
        one.subject.clone(),
        one.severity.to_string(),
        one.what.clone(),
        one.remedy.clone(),
        microseconds(one.since),
    )
}

pub(super) fn client(one: ClientView) -> ClientRow {
    let address = one.address.map(|address| address.to_string());
    let since = microseconds(one.since);
    (
        one.service,
        one.listener,
        address.unwrap_or_default(),
        since,
    )
}

pub(super) fn failures(failures: Failures) -> (HashMap<String, u64>, Vec<FailureRow>) {
    let counts = failures.counts.into_iter();
    let counts = counts.map(|(reason, count)| (reason.word().to_owned(), count));
    let latest = failures.latest.iter().map(|one| failure(one));
    (counts.collect(), latest.collect())
}

fn failure(joined: &Joined) -> FailureRow {
    let failure = &joined.failure;
    (
        microseconds(failure.at),
        failure.listener.clone(),
        failure.network.to_string(),
        failure.family.to_string(),
        failure.name.as_deref().unwrap_or_default().to_owned(),
        failure.reason.word().to_owned(),
        failure.alert.unwrap_or_default().into(),
        failure.version.map(version_name).unwrap_or_default(),
        joined.certificate.clone(),
        joined.cause.clone(),
        joined.what.clone(),
    )
}
