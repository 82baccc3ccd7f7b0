//! The name, the help and the labels of each figure. Everything of one family stands together, and
//! the families of one topic in one function.

mod services;

use std::fmt;

use jiff::Timestamp;

use super::page::Page;
use super::source::Snapshot;
use crate::control::problem::Severity;

/// The phases in which scrapes are answered, see [`Phase::word`](crate::restart::lifecycle::Phase).
const PHASES: [&str; 3] = ["serving", "handing-off", "stopping"];

/// Writes all of them.
///
/// # Errors
/// Those of [`Page`].
pub fn write(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    daemon(now, page)?;
    connections(now, page)?;
    limits(now, page)?;
    services::write(&now.services, page)?;
    jobs(now, page)?;
    certificates(now, page)?;
    problems(now, page)?;
    log(now, page)?;
    process(now, page)
}

fn log(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    let (lost, left_out) = now.log;
    page.counter(
        "batond_log_entries_lost",
        "Log entries that were lost, because journald or the reader of stderr took none.",
        [([], lost)],
    )?;
    page.counter(
        "batond_log_entries_left_out",
        "Log entries that were left out, because 20 of their kind had been written in 30 s.",
        [([], left_out)],
    )
}

fn daemon(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    page.gauge(
        "batond_build_info",
        "The version of the process that answers.",
        [([("version", env!("CARGO_PKG_VERSION"))], 1u64)],
    )?;
    let phase = |one: &&'static str| ([("phase", *one)], u64::from(*one == now.view.phase.word()));
    page.gauge(
        "batond_phase",
        "1 for the phase that the process is in.",
        PHASES.iter().map(phase),
    )?;
    page.gauge(
        "batond_configuration_generation",
        "1 for the configuration of the start, and one more for every reload that worked.",
        [([], now.view.generation)],
    )?;
    page.gauge(
        "batond_predecessor_clients",
        "Clients that have yet to leave the process that this one took over from.",
        [([], now.view.predecessor_clients.unwrap_or(0))],
    )
}

fn connections(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    let counts = &now.counts;
    page.gauge(
        "batond_connections",
        "Connections from clients, WebSockets or not.",
        [([], now.connections)],
    )?;
    page.counter(
        "batond_accepted",
        "Connections taken from a listening socket.",
        [([], counts.accepted)],
    )?;
    page.counter(
        "batond_accept_errors",
        "Connections that could not be taken, for want of descriptors or because the peer was gone.",
        [([], counts.accept_errors)],
    )?;
    page.counter(
        "batond_tls_handshakes",
        "TLS handshakes that ended, by how they did.",
        [
            ([("result", "full")], counts.handshakes_full),
            ([("result", "resumed")], counts.handshakes_resumed),
            ([("result", "failed")], counts.handshakes_failed),
        ],
    )?;
    page.counter(
        "batond_tls_handshake_failures",
        "TLS handshakes that failed, or were done in vain, by reason (batonctl failures).",
        now.failures
            .iter()
            .map(|(reason, count)| ([("reason", reason.word())], *count)),
    )?;
    page.counter(
        "batond_requests",
        "HTTP requests that were not for a WebSocket.",
        [([], counts.requests)],
    )
}

fn limits(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    let counts = &now.counts;
    let full = now.services.iter().map(|one| one.counts.full).sum();
    page.counter(
        "batond_limit_reached",
        "Times that a limit of the configuration took effect on a connection or a request.",
        [
            ([("limit", "clients")], counts.refused),
            ([("limit", "handshakes")], counts.handshake_waits),
            ([("limit", "handshake_timeout")], counts.handshake_timeouts),
            ([("limit", "stall_timeout")], counts.stalled),
            ([("limit", "header_bytes")], counts.headers_too_large),
            ([("limit", "max_held")], full),
        ],
    )?;
    page.gauge(
        "batond_limit",
        "Limits of the configuration on what is there at once.",
        [
            ([("limit", "clients")], now.limits.clients as u64),
            ([("limit", "handshakes")], now.limits.handshakes as u64),
        ],
    )
}

fn jobs(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    page.counter(
        "batond_jobs",
        "Jobs that ended, by what they were to do and how they did.",
        now.view.ended.iter().map(|((kind, outcome), count)| {
            ([("kind", kind.word()), ("outcome", *outcome)], *count)
        }),
    )?;
    let running = now.view.jobs.iter().filter(|job| job.result.is_none());
    page.gauge(
        "batond_job_progress_ratio",
        "How much of a job that runs is done.",
        running.map(|job| {
            let service = job.service.as_deref().unwrap_or_default();
            let labels = [("kind", job.kind.word()), ("service", service)];
            (labels, f64::from(job.progress) / 100.0)
        }),
    )
}

fn certificates(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    let certificates = &now.view.certificates;
    let seconds = |time: Timestamp| time.as_second();
    page.gauge(
        "batond_certificate_not_before_timestamp_seconds",
        "From when on a certificate in use is valid.",
        certificates.iter().map(|one| {
            (
                [("certificate", one.name.as_str())],
                seconds(one.not_before),
            )
        }),
    )?;
    page.gauge(
        "batond_certificate_not_after_timestamp_seconds",
        "Until when a certificate in use is valid.",
        certificates
            .iter()
            .map(|one| ([("certificate", one.name.as_str())], seconds(one.not_after))),
    )?;
    page.gauge(
        "batond_certificate_chain_not_after_timestamp_seconds",
        "When the first certificate of the chain that is served ends, the certificate included.",
        certificates.iter().map(|one| {
            (
                [("certificate", one.name.as_str())],
                seconds(one.chain_not_after),
            )
        }),
    )
}

fn problems(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    let problems = &now.view.problems;
    let severities = [Severity::Warning, Severity::Critical, Severity::Emergency];
    page.gauge(
        "batond_problems",
        "What is wrong now, how many of each severity.",
        severities.map(|severity| {
            let such = problems.iter().filter(|one| one.severity == severity);
            ([("severity", severity.word())], such.count())
        }),
    )?;
    page.gauge(
        "batond_problem",
        "1 for everything that is wrong now; batonctl problems says what to do about it.",
        problems.iter().map(|one| {
            let labels = [
                ("problem", one.name),
                ("subject", one.subject.as_str()),
                ("severity", one.severity.word()),
            ];
            (labels, 1u64)
        }),
    )
}

fn process(now: &Snapshot, page: &mut Page<'_>) -> fmt::Result {
    let process = &now.process;
    page.gauge(
        "process_open_fds",
        "Open file descriptors.",
        process.open_fds.map(|open| ([], open)),
    )?;
    page.gauge(
        "process_max_fds",
        "File descriptors that may be open.",
        process.max_fds.map(|max| ([], max)),
    )?;
    page.gauge(
        "process_resident_memory_bytes",
        "Memory in use.",
        process.resident_bytes.map(|bytes| ([], bytes)),
    )?;
    page.counter(
        "process_cpu_seconds",
        "Processor time used, in the kernel and outside.",
        [([], process.cpu.as_secs_f64())],
    )?;
    page.gauge(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970.",
        process.started.map(|at| ([], at)),
    )
}
