//! The command line of `batonctl`.

use clap::{Parser, Subcommand};

/// Commands the running batond, and shows what it does.
#[derive(Debug, Parser)]
#[command(name = "batonctl", version, after_help = EXIT_CODES)]
pub struct Args {
    /// D-Bus address of the bus that batond is on [default: the system bus]
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(super) bus: Option<String>,

    /// Write JSON for programs: one value, or with monitor one value a line
    #[arg(long, global = true)]
    pub(super) json: bool,

    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes are those of sysexits(3): 0 done, 64 the command line is wrong or a name is unknown,
69 batond or the bus is not there, 70 a job failed, 71 systemctl could not do what it was asked,
74 the output cannot be written, 75 something else is under way, or is in the way, 77 not allowed,
78 the configuration is wrong.

In JSON, times are RFC 3339 in UTC. Fields may be added, and none is removed or given another
meaning.";

/// What it is to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what batond is doing
    #[command(
        after_help = "JSON: {version, phase, generation, clients, problems: as of `problems`, \
                            jobs: those that run, as of `jobs`, services: as of `services`}"
    )]
    Status,
    /// List the services with their clients
    #[command(
        after_help = "JSON: [{name, clients, listeners: [name], hosts: [host] (none: any), \
                            paths: [prefix], backends: [{address, unit (\"\": none)}]}]"
    )]
    Services {
        /// This one only
        name: Option<String>,
    },
    /// List who is connected, those who came first first
    #[command(
        after_help = "JSON: {total, clients: [{service, listener, address (\"\": a Unix \
                            socket), since}]}"
    )]
    Clients {
        /// Of this service only
        service: Option<String>,
        /// List at most so many, up to 10000; all are counted
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// List the certificates that are in use
    #[command(
        after_help = "JSON: [{name, names: [host or address], not_before, not_after, \
                            chain_not_after (of all up to a root), fingerprint (SHA-256 of the \
                            leaf, hexadecimal), chain: path, listeners: [name], severity (\"\": \
                            nothing is wrong), breaks_clients, findings: [{name, severity, breaks, \
                            what, remedy}], swapped (null: served since the start), refused (why \
                            what is on disk is not served; \"\": it is), probe (what was seen \
                            through its listeners, as clients see it: good; bad: or not possible: \
                            and why; \"\": not yet)}]; with --forecast: [{certificate, at, severity \
                            (info, warning or critical), finding (its name), what}]"
    )]
    Certificates {
        /// This one only
        name: Option<String>,
        /// Show instead what will end or fail if nothing is done, and when, the soonest first
        #[arg(long)]
        forecast: bool,
    },
    /// Show how many TLS handshakes failed since batond started, and why, and the latest of them
    #[command(after_help = FAILURES)]
    Failures {
        /// Show at most so many of the latest, up to 256; all are counted
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// List what is wrong, the worst first
    #[command(
        after_help = "JSON: [{name, subject (\"\": batond as a whole), severity (warning, \
                            critical or emergency), what, remedy, since}]"
    )]
    Problems,
    /// List the jobs that run and those that ended lately
    #[command(after_help = JOBS)]
    Jobs,
    /// Read the configuration and the certificates again; exit status 78 if something is wrong,
    /// and then nothing has changed
    #[command(after_help = JOB)]
    Reload,
    /// Hand over to a new process of the program on disk, with the configuration on disk; returns
    /// when that serves
    #[command(after_help = JOB)]
    Upgrade,
    /// Show what a restart of a service would do, and what is in its way; exit status 75 if
    /// something is
    #[command(after_help = PLAN)]
    Plan {
        /// The service
        service: String,
    },
    /// Restart a service: hold newcomers, tell its clients in waves, restart its unit, let
    /// everybody in again
    #[command(after_help = JOB)]
    Restart {
        /// The service
        service: String,
        /// Go on against those refusals that may be overridden, and when the first clients do not
        /// come back
        #[arg(long)]
        force: bool,
    },
    /// Send the clients of a service away and hold newcomers, until `resume`; returns when all
    /// have left
    #[command(after_help = JOB)]
    Drain {
        #[command(flatten)]
        what: What,
        /// Go on against those refusals that may be overridden
        #[arg(long)]
        force: bool,
    },
    /// Let newcomers of a drained service in again; does not wait for them
    Resume {
        #[command(flatten)]
        what: What,
    },
    /// Return the service of a job to normal, from wherever the job stands
    #[command(after_help = JOB)]
    Cancel {
        /// The number of the job, as in `batonctl jobs`
        job: u32,
    },
    /// Make `systemctl restart UNIT` a coordinated restart: enable the companion unit that drains
    /// what UNIT serves before systemd stops it
    Attach {
        /// A service unit that a backend in the configuration names
        unit: String,
    },
    /// Take that back
    Detach {
        /// The service unit
        unit: String,
    },
    /// Follow what happens, until Ctrl-C
    #[command(
        after_help = "JSON, one line each: {time, event, …} with event one of present \
                            {version, phase, generation}, absent, job-new {id, kind, service}, \
                            job-progress {id, state, progress, counts}, job-removed {id, result, \
                            message}, problem-raised {name, subject, severity, what, remedy}, \
                            problem-cleared {name, subject}, changed {property: value}"
    )]
    Monitor,
}

/// What is drained or resumed.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct What {
    /// The service
    pub(super) service: Option<String>,
    /// What this systemd unit serves; nothing is drained unless systemd is about to stop it
    #[arg(long, value_name = "UNIT")]
    pub(super) unit: Option<String>,
}

const FAILURES: &str = "JSON: {counts: {reason: number}, latest (the newest first): [{at, \
                        listener, network (of the client: a /24 or /48, or local), family (who \
                        the client is by its greeting: chromium, node, python, openssl, gnutls, \
                        java, rustls, unknown), name (that it asked for, \"\": none), reason, \
                        alert (that it sent, 0: none), version (agreed on, or else the highest \
                        that it offers), certificate (that it was shown, \"\": none, or \
                        replaced since), cause (name of the finding that explains it, \"\": \
                        none), what}]}";

const PLAN: &str = "JSON: {service, clients, canary (told first), units: [name], rolling, \
                    reconnect_rate (clients a second), rate_is_known, drain_ms, restart_ms (null: \
                    unknown), length_ms, refusals: [{name, sentence, remedy, may_be_forced}]}";

const JOBS: &str = "JSON: [{id, kind, service (\"\": all of batond), state, progress (percent), \
                    counts: {name: number}, started, ended (null: it runs), result (\"\": it \
                    runs, done or failed), error (name, \"\": none), message, report: {name: \
                    value}}]";

const JOB: &str = "JSON: the job when it has ended, as in the list of `batonctl jobs`";
