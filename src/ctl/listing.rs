//! What `batonctl` lists: from properties to rows for people, and to JSON for programs.

use std::io;

use jiff::Timestamp;
use serde::Serialize;

use super::daemon::Daemon;
use super::failure::Failure;
use super::properties::{Properties, serialize_time, time};
use super::table::{self, Cell, Page, Style, span};

/// Something of which there are several.
pub(super) trait Row: Serialize + Sized {
    /// What stands over the columns.
    const HEAD: &'static [&'static str];

    /// What is said if there is none.
    const NONE: &'static str;

    fn cells(&self) -> Vec<Cell>;
}

/// Writes all of them.
pub(super) fn write<R: Row>(page: &mut Page<'_>, rows: &[R]) -> io::Result<()> {
    if page.json {
        return page.json(&rows);
    }
    if rows.is_empty() {
        return page.line(Style::Plain, R::NONE);
    }
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    table::write(page, R::HEAD, &cells)
}

/// What has a name that operators choose, and an object of its own.
pub(super) trait Named: Row {
    /// The last part of the interface's name.
    const INTERFACE: &'static str;

    /// What it is called.
    const WHAT: &'static str;

    fn read(properties: Properties) -> Result<Self, Failure>;

    fn name(&self) -> &str;
}

/// All of them by name, or one of them.
pub(super) async fn named<N: Named>(
    daemon: &Daemon,
    name: Option<&str>,
) -> Result<Vec<N>, Failure> {
    let objects = daemon.objects(N::INTERFACE).await?.into_iter();
    let mut all = objects.map(N::read).collect::<Result<Vec<N>, _>>()?;
    all.sort_by(|a, b| a.name().cmp(b.name()));
    let Some(name) = name else {
        return Ok(all);
    };
    match all.iter().position(|one| one.name() == name) {
        Some(place) => Ok(vec![all.swap_remove(place)]),
        None => {
            let names = all.iter().map(Named::name);
            Err(Failure::not_found(N::WHAT, name, names))
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Backend {
    address: String,
    unit: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) clients: u64,
    listeners: Vec<String>,
    hosts: Vec<String>,
    paths: Vec<String>,
    backends: Vec<Backend>,
}

impl Service {
    /// Whether a backend of it is this unit's.
    pub(super) fn has_unit(&self, unit: &str) -> bool {
        self.units().any(|one| one == unit)
    }

    /// Units that its backends name.
    pub(super) fn units(&self) -> impl Iterator<Item = &str> {
        let units = self.backends.iter().map(|one| one.unit.as_str());
        units.filter(|unit| !unit.is_empty())
    }
}

impl Row for Service {
    const HEAD: &'static [&'static str] = &[
        "SERVICE",
        "CLIENTS",
        "LISTENERS",
        "HOSTS",
        "PATHS",
        "BACKENDS",
    ];
    const NONE: &'static str = "no services";

    fn cells(&self) -> Vec<Cell> {
        let backend = |one: &Backend| match one.unit.as_str() {
            "" => one.address.clone(),
            unit => format!("{} ({unit})", one.address),
        };
        let backends: Vec<String> = self.backends.iter().map(backend).collect();
        vec![
            Cell::text(&self.name),
            Cell::number(self.clients),
            Cell::list(&self.listeners, ""),
            Cell::list(&self.hosts, "any"),
            Cell::list(&self.paths, ""),
            Cell::list(&backends, ""),
        ]
    }
}

impl Named for Service {
    const INTERFACE: &'static str = "Service";
    const WHAT: &'static str = "service";

    fn read(mut properties: Properties) -> Result<Self, Failure> {
        let backends: Vec<(String, String)> = properties.take("Backends")?;
        let backend = |(address, unit)| Backend { address, unit };
        Ok(Self {
            name: properties.take("Name")?,
            clients: properties.take("Clients")?,
            listeners: properties.take("Listeners")?,
            hosts: properties.take("Hosts")?,
            paths: properties.take("Paths")?,
            backends: backends.into_iter().map(backend).collect(),
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Problem {
    name: String,
    subject: String,
    severity: String,
    what: String,
    remedy: String,
    #[serde(serialize_with = "serialize_time")]
    since: Timestamp,
}

impl Problem {
    /// All, the worst first.
    pub(super) async fn all(daemon: &Daemon) -> Result<Vec<Self>, Failure> {
        type Rows = Vec<(String, String, String, String, String, u64)>;
        let rows: Rows = daemon.ask("ListProblems", &()).await?;
        let read = |(name, subject, severity, what, remedy, since)| Self {
            name,
            subject,
            severity,
            what,
            remedy,
            since: time(since),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// All of them, with what to do.
    pub(super) fn write(page: &mut Page<'_>, all: &[Self]) -> io::Result<()> {
        if page.json {
            return page.json(&all);
        }
        if all.is_empty() {
            return page.line(Style::Good, "no problems");
        }
        for problem in all {
            let style = match problem.severity.as_str() {
                "warning" => Style::Warning,
                _ => Style::Bad,
            };
            let severity = page.painted(style, &problem.severity);
            let since = span(problem.since, Timestamp::now());
            let Self {
                name,
                subject,
                what,
                remedy,
                ..
            } = problem;
            let of = if subject.is_empty() { "" } else { " " };
            writeln!(
                page.out,
                "{severity} {name}{of}{subject}, for {since}: {what}"
            )?;
            writeln!(page.out, "    {remedy}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Client {
    service: String,
    listener: String,
    address: String,
    #[serde(serialize_with = "serialize_time")]
    since: Timestamp,
}

impl Row for Client {
    const HEAD: &'static [&'static str] = &["SERVICE", "LISTENER", "ADDRESS", "SINCE"];
    const NONE: &'static str = "no clients";

    fn cells(&self) -> Vec<Cell> {
        let or = |text: &str, none: &str| if text.is_empty() { none } else { text }.to_owned();
        vec![
            Cell::text(&self.service),
            Cell::text(or(&self.listener, "(removed)")),
            Cell::text(or(&self.address, "unix")),
            Cell::text(format!("{} ago", span(self.since, Timestamp::now()))),
        ]
    }
}

/// Who is connected.
#[derive(Debug, Serialize)]
pub(super) struct Clients {
    total: u64,
    clients: Vec<Client>,
}

impl Clients {
    pub(super) async fn of(
        daemon: &Daemon,
        service: Option<&str>,
        limit: u32,
    ) -> Result<Self, Failure> {
        if service.is_some() {
            named::<Service>(daemon, service).await?;
        }
        type Rows = Vec<(String, String, String, u64)>;
        let asked = (service.unwrap_or_default(), limit);
        let (total, rows): (u64, Rows) = daemon.ask("ListClients", &asked).await?;
        let read = |(service, listener, address, since)| Client {
            service,
            listener,
            address,
            since: time(since),
        };
        Ok(Self {
            total,
            clients: rows.into_iter().map(read).collect(),
        })
    }

    pub(super) fn write(&self, page: &mut Page<'_>) -> io::Result<()> {
        if page.json {
            return page.json(self);
        }
        if self.total == 0 || !self.clients.is_empty() {
            write(page, &self.clients)?;
        }
        let more = self.total.saturating_sub(self.clients.len() as u64);
        if more > 0 {
            let text = format!("and {more} more, {} altogether (see --limit)", self.total);
            page.line(Style::Plain, &text)?;
        }
        Ok(())
    }
}
