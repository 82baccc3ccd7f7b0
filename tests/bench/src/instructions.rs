//! batond's instructions per message and per connection, counted by callgrind. Unlike times they
//! hardly vary between runs and machines, so they can be compared between commits. They are those
//! of user space alone: system calls, most of the cost of a small message, are not in them.
//!
//! Each figure is the difference of two runs with different numbers of messages, so what starting,
//! connecting and stopping take is not in it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::load::{Round, Until};
use crate::peer::{Peer, Programs, Site};
use crate::process::{Launch, Process};
use crate::run::{Loader, PROXY_CORE, Stage, Table, free_addresses};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    programs: Programs,
    /// Also write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One kind of work: arguments of the load generator, and the two numbers of units.
struct Work {
    label: &'static str,
    arguments: &'static [&'static str],
    units: [u64; 2],
}

const MESSAGES: [u64; 2] = [500, 2500];
const CONNECTIONS: [u64; 2] = [20, 120];

/// One thing at a time: how messages under way together are batched depends on the moment, and the
/// count with it.
const WORK: [Work; 4] = [
    Work {
        label: "64 B",
        arguments: &["relay", "--clients", "1"],
        units: MESSAGES,
    },
    Work {
        label: "16 KiB",
        arguments: &["relay", "--clients", "1", "--size", "16384"],
        units: MESSAGES,
    },
    Work {
        label: "handshake",
        arguments: &["handshake", "--threads", "1"],
        units: CONNECTIONS,
    },
    Work {
        label: "resumed",
        arguments: &["handshake", "--threads", "1", "--resume"],
        units: CONNECTIONS,
    },
];

#[derive(Serialize)]
struct Figure {
    work: &'static str,
    instructions_per_unit: u64,
}

/// `batond-bench instructions`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let program = Peer::Batond
        .program(&options.programs)
        .map_err(anyhow::Error::msg)?;
    let stage = Stage::set(2 * WORK.len())?;
    let mut backends = stage.backends.iter().copied();
    let mut table = Table::new(["", "instructions"]);
    let mut figures = Vec::new();
    for work in WORK {
        let mut counts = [0; 2];
        for (units, count) in work.units.into_iter().zip(&mut counts) {
            let backend = backends
                .next()
                .context("the application has no port left")?;
            *count = count_instructions(&program, &stage, backend, &work, units)
                .with_context(|| format!("{} × {units}", work.label))?;
        }
        let [few, many] = counts;
        ensure!(
            many > few,
            "{}: more work took fewer instructions: {counts:?}",
            work.label
        );
        let instructions_per_unit = (many - few) / (work.units[1] - work.units[0]);
        table.row(vec![
            work.label.to_owned(),
            instructions_per_unit.to_string(),
        ]);
        figures.push(Figure {
            work: work.label,
            instructions_per_unit,
        });
    }
    println!("\nbatond's instructions in user space per round trip or connection, one client\n");
    print!("{table}");
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The instructions of one whole life of batond in which it did `units` units of work.
fn count_instructions(
    program: &Path,
    stage: &Stage,
    backend: SocketAddr,
    work: &Work,
    units: u64,
) -> Result<u64> {
    let name = format!("batond-{}", backend.port());
    let folder = stage.folder.path().join(&name);
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let listen = free_addresses(1)?[0];
    let site = Site {
        listen,
        backend,
        certificate: &stage.certificate,
        folder: &folder,
    };
    let batond = Peer::Batond.configure(program.to_owned(), &site)?;
    let counted = folder.join("callgrind.out");
    let mut arguments = vec!["--tool=callgrind".into(), "--quiet".into()];
    arguments.push(format!("--callgrind-out-file={}", counted.display()).into());
    arguments.push(batond.program.into());
    arguments.extend(batond.arguments);

    let launch = Launch {
        program: "valgrind".into(),
        arguments,
    };
    let mut process = Process::start(&name, &[PROXY_CORE], &launch, &folder, false)?;
    process.wait_until_listening(listen)?;
    let words: Vec<String> = work.arguments.iter().map(|&word| word.to_owned()).collect();
    let authority = Some(stage.certificate.authority.as_path());
    let mut loader = Loader::start("load", listen, authority, &words, &folder)
        .with_context(|| process.last_words())?;
    let outcome = loader.round(Round {
        until: Until::Units(units),
        active: 1,
        rotate: false,
    })?;
    ensure!(
        outcome.units == units,
        "only {} units were done",
        outcome.units
    );
    drop(loader);
    process.end()?;

    let text = fs::read_to_string(&counted)
        .with_context(|| format!("callgrind wrote no {}", counted.display()))?;
    let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
    summary
        .and_then(|count| count.trim().parse().ok())
        .context("callgrind wrote no summary")
}
