//! The figures of services.

use std::fmt;

use super::Page;
use crate::control::metrics::source::Service;
use crate::edge::farewells::{CODES, Codes};

/// Writes all of them.
pub(super) fn write(services: &[Service], page: &mut Page<'_>) -> fmt::Result {
    clients(services, page)?;
    held(services, page)?;
    leaving(services, page)?;
    backends(services, page)
}

/// One sample for each service.
fn each<V>(
    services: &[Service],
    value: impl Fn(&Service) -> V,
) -> impl Iterator<Item = ([(&'static str, &str); 1], V)> {
    services
        .iter()
        .map(move |one| ([("service", one.name.as_str())], value(one)))
}

/// Two samples for each service: client to backend, and back.
fn both_ways(
    services: &[Service],
    value: impl Fn(&Service) -> (u64, u64),
) -> impl Iterator<Item = ([(&'static str, &str); 2], u64)> {
    services.iter().flat_map(move |one| {
        let (up, down) = value(one);
        let name = ("service", one.name.as_str());
        [
            ([name, ("direction", "up")], up),
            ([name, ("direction", "down")], down),
        ]
    })
}

fn clients(services: &[Service], page: &mut Page<'_>) -> fmt::Result {
    page.gauge(
        "batond_clients",
        "Clients with a WebSocket.",
        each(services, |one| one.counts.clients),
    )?;
    page.counter(
        "batond_upgrade_requests",
        "Requests for a WebSocket.",
        each(services, |one| one.counts.arrived),
    )?;
    page.counter(
        "batond_upgrades",
        "Requests for a WebSocket that became one.",
        each(services, |one| one.counts.upgraded),
    )?;
    page.counter(
        "batond_relayed_bytes",
        "Bytes of WebSockets passed on: up from clients, down from backends.",
        both_ways(services, |one| {
            (one.counts.passed.bytes_up, one.counts.passed.bytes_down)
        }),
    )?;
    page.counter(
        "batond_relayed_messages",
        "Whole data messages passed on: up from clients, down from backends.",
        both_ways(services, |one| {
            (
                one.counts.passed.messages_up,
                one.counts.passed.messages_down,
            )
        }),
    )?;
    let violations =
        |one: &'_ Service| (one.counts.client_violations, one.counts.backend_violations);
    page.counter(
        "batond_protocol_violations",
        "Breaches of RFC 6455 that ended a WebSocket, by who committed them.",
        services.iter().flat_map(|one| {
            let (client, backend) = violations(one);
            let name = ("service", one.name.as_str());
            [
                ([name, ("peer", "client")], client),
                ([name, ("peer", "backend")], backend),
            ]
        }),
    )
}

fn held(services: &[Service], page: &mut Page<'_>) -> fmt::Result {
    page.gauge(
        "batond_held",
        "Newcomers that wait for a backend.",
        each(services, |one| one.held),
    )?;
    page.gauge(
        "batond_held_limit",
        "How many newcomers may wait for a backend.",
        each(services, |one| one.max_held),
    )?;
    page.counter(
        "batond_held_requests",
        "Requests that had to wait for a backend.",
        each(services, |one| one.counts.held),
    )?;
    page.counter(
        "batond_released_requests",
        "Requests that had to wait for a backend and reached one.",
        each(services, |one| one.counts.released),
    )?;
    page.counter(
        "batond_refused_requests",
        "Requests answered with 502 or 503: no backend could be reached, too many waited already, \
         or the time to wait was over.",
        services.iter().flat_map(|one| {
            let name = ("service", one.name.as_str());
            [
                ([name, ("reason", "unreachable")], one.counts.refused),
                ([name, ("reason", "overdue")], one.counts.overdue),
                ([name, ("reason", "full")], one.counts.full),
            ]
        }),
    )
}

fn leaving(services: &[Service], page: &mut Page<'_>) -> fmt::Result {
    page.counter(
        "batond_told_clients",
        "Clients that were to be told to leave, by what came of it: clean answered with their \
         Close, timed-out did not in time, gone were away before, cut could not be told.",
        services.iter().flat_map(|one| {
            let name = ("service", one.name.as_str());
            [
                ([name, ("result", "clean")], one.counts.closed_cleanly),
                ([name, ("result", "timed-out")], one.counts.timed_out),
                ([name, ("result", "gone")], one.counts.gone),
                ([name, ("result", "cut")], one.counts.cut),
            ]
        }),
    )?;
    page.counter(
        "batond_discarded_messages",
        "Whole messages of backends that came after a client had been told to leave.",
        each(services, |one| one.counts.discarded),
    )?;
    page.counter(
        "batond_close_frames_sent",
        "Close frames sent to clients, by their code; those of libraries and applications together.",
        codes(services, |one| &one.counts.closes_sent),
    )?;
    page.counter(
        "batond_close_frames_received",
        "Close frames that clients sent, by their code; those of libraries and applications together.",
        codes(services, |one| &one.counts.closes_received),
    )
}

fn codes<'a>(
    services: &'a [Service],
    counts: impl Fn(&'a Service) -> &'a Codes,
) -> impl Iterator<Item = ([(&'static str, &'a str); 2], u64)> {
    services.iter().flat_map(move |one| {
        let name = ("service", one.name.as_str());
        let counts = CODES.iter().zip(counts(one));
        counts.map(move |(code, count)| ([name, ("code", *code)], *count))
    })
}

fn backends(services: &[Service], page: &mut Page<'_>) -> fmt::Result {
    page.gauge(
        "batond_backend_clients",
        "Clients whose WebSocket goes to a backend.",
        services.iter().flat_map(|one| {
            let name = ("service", one.name.as_str());
            let backends = one.backends.iter();
            backends
                .map(move |(address, clients)| ([name, ("backend", address.as_str())], *clients))
        }),
    )?;
    page.counter(
        "batond_lost_websockets",
        "WebSockets whose backend was gone without a Close.",
        each(services, |one| one.counts.lost),
    )
}
