//! `batond demo`: a planned restart to look at. A backend, a certificate, some hundred clients
//! and newcomers that keep coming, all in this process; and batond as a process of its own, which
//! passes its sockets on to a successor while everyone watches.
//!
//! The parts are public so that tests can stage restarts of their own.

pub mod backend;
pub mod certificate;
pub mod client;
pub mod connection;
pub mod crowd;
pub mod daemon;
pub mod descriptors;
mod display;
mod error;
mod event_loop;
pub mod folder;
pub mod log;
mod page;
mod patience;
pub mod prober;
pub mod report;
pub mod stage;
pub mod timeline;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, timeout};

use self::crowd::{Crowd, Progress};
use self::daemon::{Daemon, Exit, Process};
use self::descriptors::{Room, needed_for};
use self::display::Display;
use self::error::{DemoError, exit, failed};
use self::log::Log;
use self::patience::{Interruption, within};
use self::prober::Prober;
use self::report::{Facts, Report};
use self::stage::Stage;
use self::timeline::Timeline;

/// Clients, unless another number is asked for or the descriptors do not suffice.
const CLIENTS: usize = 500;

/// What the demo's batond does at a restart: everyone is told at once, and is to come back
/// within four seconds.
const SETTINGS: &str = "
[restart]
retry = \"1s-4s\"
spread = \"0s\"

[limits]
clients = 8000
";

/// Each client sends a message so often, ...
const MESSAGE_EVERY: Duration = Duration::from_millis(250);

/// ... unless they are so many that all together would send more often than this. It is a restart
/// that is shown here, and not what a small machine can bear.
const ANY_MESSAGE_EVERY: Duration = Duration::from_micros(250);

/// A newcomer comes so often.
const NEWCOMER_EVERY: Duration = Duration::from_millis(20);

/// Clients that may be connecting at the same time.
const CONNECTING: usize = 64;

/// How long the demo shows echoes before the restart, and after it.
const STEADY: Duration = Duration::from_millis(1_500);

/// How long any one step may take before the demo gives up.
const STEP: Duration = Duration::from_secs(30);

/// How long a client or a newcomer waits for a connection, and for its end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lines of batond's log that are shown when the demo fails.
const LOG_TAIL: usize = 20;

/// How the demo runs.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// How many clients take part, 1 to 5000 [default: 500, or as many as `ulimit -n` allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=5000))]
    clients: Option<u16>,

    /// Print the report as JSON, and nothing else
    #[arg(long)]
    json: bool,

    /// Show batond's own log as it comes
    #[arg(long, short)]
    verbose: bool,
}

/// Runs it: exit code 0 if every promise held, 1 if one did not, 64, 71 or 130 if it did not come
/// to that.
pub fn main(args: DemoArgs) -> ExitCode {
    let display = Display::new(args.json);
    let shown = display.clone();
    let log = Arc::new(if args.verbose {
        Log::followed(move |line| shown.note(line))
    } else {
        Log::default()
    });
    let runtime = Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(failed("start an event loop"))
        .and_then(|runtime| {
            runtime.block_on(async {
                let mut interruption = Interruption::expect().map_err(failed("mind Ctrl-C"))?;
                tokio::select! {
                    report = perform(&args, &display, Arc::clone(&log)) => report,
                    () = interruption.comes() => Err(DemoError::Interrupted),
                }
            })
        });
    display.end();
    match outcome {
        Ok(report) => {
            display.report(&report);
            if report.broken.is_empty() {
                ExitCode::SUCCESS
            } else {
                display.log(&log.last(LOG_TAIL));
                ExitCode::from(exit::BROKEN)
            }
        }
        Err(error) => {
            eprintln!("batond demo: {error}");
            if !matches!(error, DemoError::Interrupted) {
                display.log(&log.last(LOG_TAIL));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// The demo from its first to its last moment.
async fn perform(args: &DemoArgs, display: &Display, log: Arc<Log>) -> Result<Report, DemoError> {
    let clients = size_of_crowd(args.clients, display)?;
    let program = std::env::current_exe().map_err(failed("find the own program"))?;
    display.title(&format!("a planned restart, seen by {clients} clients"));

    display.wait("the stage is set");
    let (stage, socket) = Stage::set(SETTINGS)?;
    display.done(&format!(
        "an echo backend on {}, a certificate for localhost",
        stage.backend.address()
    ));
    let mut daemon = stage.start(&program, socket, log)?;
    within("the start of batond", daemon.ready()).await??;
    display.done(&format!(
        "batond serves {} (process {})",
        stage.destination().url(),
        daemon.process().id()
    ));

    let began = Instant::now();
    let interval = MESSAGE_EVERY.max(ANY_MESSAGE_EVERY * clients as u32);
    let mut crowd = Crowd::gather(crowd::Plan {
        destination: stage.destination(),
        clients,
        interval,
        connecting: CONNECTING,
        patience: PATIENCE,
    })
    .map_err(failed("start the clients"))?;
    display.begin("clients connect", clients);
    let progress = until(&mut crowd, clients, display, |now| now.working).await;
    if progress.working < clients {
        return Err(DemoError::Stuck { clients, progress });
    }
    display.done(&format!(
        "{clients} clients are connected ({:.1} s), each has a message echoed every {} ms",
        began.elapsed().as_secs_f64(),
        interval.as_millis()
    ));
    let prober = Prober::start(prober::Plan {
        destination: stage.destination(),
        every: NEWCOMER_EVERY,
        patience: PATIENCE,
    })
    .map_err(failed("start the newcomers"))?;
    display.wait("messages are echoed, newcomers arrive");
    sleep(STEADY).await;
    display.done(&format!(
        "newcomers arrive all the time, {} a second",
        Duration::from_secs(1).as_millis() / NEWCOMER_EVERY.as_millis()
    ));

    let restarted = restart(&mut daemon, &mut crowd, clients, display).await?;
    display.wait("messages are echoed by the successor");
    sleep(STEADY).await;

    let probes = within("the last newcomer", prober.stop()).await?;
    let probes = probes.map_err(failed("wait for the newcomers"))?;
    let echoes = crowd.echoes();
    let stories = within("the end of the clients", crowd.dismiss()).await?;
    let stories = stories.map_err(failed("wait for the clients"))?;
    restarted.successor.signal(Signal::TERM)?;
    within("the end of the successor", restarted.successor.ended()).await?;
    display.done(&format!(
        "{echoes} messages have been echoed, and everyone has left"
    ));

    let facts = Facts {
        stories: &stories,
        probes: &probes,
        received: stage.backend.received(),
        discarded: timeout(STEP, daemon.log().first("discarded")).await.ok(),
        exit: restarted.exit,
    };
    let mut timeline = restarted.timeline;
    timeline.add_stories(&stories);
    Ok(Report::new(&facts, timeline))
}

/// What a restart leaves.
struct Restarted {
    successor: Process,
    /// How the first process ended, if it did.
    exit: Option<Exit>,
    timeline: Timeline,
}

/// The restart itself, until every client is back.
async fn restart(
    daemon: &mut Daemon,
    crowd: &mut Crowd,
    clients: usize,
    display: &Display,
) -> Result<Restarted, DemoError> {
    let pid = daemon.process().id();
    let mut timeline = Timeline::begin(&format!("restart asked for (SIGUSR2 to process {pid})"));
    daemon.process().signal(Signal::USR2)?;
    display.wait("a successor starts");
    let successor = within("the start of the successor", daemon.successor()).await??;
    let id = successor.id();
    timeline.add(Instant::now(), format!("successor ready (process {id})"));
    display.done(&format!(
        "restart: process {id} has taken over the listening socket"
    ));

    let crowd_moves = async {
        display.begin("clients are told 1012", clients);
        let told = until(crowd, clients, display, |now| now.told).await.told;
        display.done(&format!(
            "restart: {told} clients were told \"1012 service restart; retry in …\""
        ));
        display.begin("clients come back", clients);
        let back = |now: &Progress| now.working.saturating_sub(clients);
        let back = back(&until(crowd, clients, display, back).await);
        display.done(&format!("restart: {back} clients are back"));
    };
    let first_ends = async {
        let exit = timeout(STEP, daemon.ended()).await;
        (Instant::now(), exit)
    };
    let ((), (ended, exit)) = tokio::join!(crowd_moves, first_ends);
    let exit = exit.ok().transpose()?;
    if let Some(exit) = exit {
        timeline.add(ended, format!("first process has ended ({exit})"));
    }
    Ok(Restarted {
        successor,
        exit,
        timeline,
    })
}

/// Shows a step of the crowd. It ends when `count` has reached the number of clients, or never
/// will, or has not in time: the report tells.
async fn until(
    crowd: &mut Crowd,
    clients: usize,
    display: &Display,
    count: impl Fn(&Progress) -> usize,
) -> Progress {
    let complete = crowd.until(|progress| {
        let counted = count(progress);
        display.count(counted);
        counted + progress.failed + progress.cut >= clients
    });
    match timeout(STEP, complete).await {
        Ok(progress) => progress,
        Err(_) => crowd.progress(),
    }
}

/// As many clients as asked for; otherwise 500, or as many as there is room for.
fn size_of_crowd(asked: Option<u16>, display: &Display) -> Result<usize, DemoError> {
    let room = Room::here();
    let no_room = |asked: usize| DemoError::NoRoom {
        limit: room.limit.unwrap_or(0),
        room: room.clients,
        asked,
        needed: needed_for(asked),
    };
    match asked.map(usize::from) {
        Some(asked) if asked > room.clients => Err(no_room(asked)),
        Some(asked) => Ok(asked),
        None if room.clients == 0 => Err(no_room(CLIENTS)),
        None if room.clients < CLIENTS => {
            display.note(&format!(
                "`ulimit -n` allows {} descriptors, enough for {} clients",
                room.limit.unwrap_or(0),
                room.clients
            ));
            Ok(room.clients)
        }
        None => Ok(CLIENTS),
    }
}
