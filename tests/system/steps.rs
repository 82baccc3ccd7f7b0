//! The steps of a handoff under systemd, and how to stop it at each of them: a side that is
//! stopped leaves the other one in its step, and what waits in the channel shows which that is.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use batond::control::message_id;
use batond::restart::handoff::LAUNCH_SUBCOMMAND;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::channel::unread;
use crate::client::{Client, PATIENCE};
use crate::installation::CONFIGURATION_FILE;
use crate::journal::await_event;
use crate::machine::{Machine, Process, parent};
use crate::tracer::Tracer;
use crate::turnstile::{PROGRAM, Turnstile};

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The predecessor, and what it starts.
    Old,
    /// The successor, at first the launcher in its place.
    New,
}

/// Where both sides are, in the order in which they get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Old waits for the launcher, which has not started the successor yet.
    Launching,
    /// Old waits for the introduction; new is there and has said nothing.
    Started,
    /// Old has not heard the introduction; new waits for the offer.
    Introduced,
    /// Old waits until new is ready; new has not looked at the offer.
    Offered,
    /// Old waits until new is ready; new has everything and opens the configuration.
    Received,
    /// Old has not heard that new is ready; new waits for the commit.
    Ready,
    /// Old has stopped to accept; new has not heard that it is its turn.
    Committed,
    /// Old has not heard that new accepts, and systemd has not heard of new.
    Accepting,
    /// Old drains; new is the main process.
    Draining,
    /// Old drains; new was told to end, has nobody left, and waits for old.
    Outwaiting,
    /// Old is done and gone; new has not heard it.
    Left,
}

use Side::{New, Old};

/// Every step with the sides that can be killed in it.
pub(crate) const STEPS: [(Step, &[Side]); 11] = [
    (Step::Launching, &[Old, New]),
    (Step::Started, &[Old, New]),
    (Step::Introduced, &[Old, New]),
    (Step::Offered, &[Old, New]),
    (Step::Received, &[Old, New]),
    (Step::Ready, &[Old, New]),
    (Step::Committed, &[Old, New]),
    (Step::Accepting, &[Old, New]),
    (Step::Draining, &[Old, New]),
    (Step::Outwaiting, &[Old, New]),
    (Step::Left, &[New]),
];

/// A handoff that is stopped at a step.
pub(crate) struct Handoff<'m> {
    machine: &'m Machine,
    turnstile: &'m mut Turnstile,
    pub(crate) old: Process,
    pub(crate) new: Process,
    /// Clients of old, who answer nothing.
    pub(crate) clients: Vec<Client>,
    /// `batonctl upgrade`, while it runs.
    pub(crate) upgrade: Option<Child>,
    /// `systemctl restart`, if it was run.
    pub(crate) restart: Option<Child>,
    tracer: Option<Tracer>,
    /// What new waits for while it reads the configuration, and what is to be in it.
    configuration: Option<(File, Vec<u8>)>,
}

impl<'m> Handoff<'m> {
    /// Begins a handoff and stops it at a step.
    ///
    /// # Panics
    ///
    /// If it does not come to pass that both sides are there.
    pub(crate) fn stopped_at(
        step: Step,
        machine: &'m Machine,
        turnstile: &'m mut Turnstile,
    ) -> Self {
        let old = machine.main_process("batond");
        let clients = Vec::from([(); 2].map(|()| Client::open(machine)));
        turnstile.close();
        let mut tracer = (step == Step::Launching).then(|| Tracer::delay_exec(&old, PROGRAM));
        let upgrade = machine.background(&["batonctl", "upgrade"]);
        let new = match &mut tracer {
            Some(tracer) => launcher(tracer),
            None => turnstile.newcomer(machine),
        };
        let mut handoff = Self {
            machine,
            turnstile,
            old,
            new,
            clients,
            upgrade: Some(upgrade),
            restart: None,
            tracer,
            configuration: None,
        };
        for (next, _) in STEPS.iter().skip(1).take_while(|(next, _)| *next <= step) {
            // The last one is not reached through the one before.
            if *next != Step::Outwaiting || step == Step::Outwaiting {
                handoff.go_on_to(*next);
            }
        }
        handoff
    }

    /// From the step before to this one.
    fn go_on_to(&mut self, step: Step) {
        let Self { old, new, .. } = self;
        match step {
            Step::Launching => {}
            Step::Started => {
                // Old has heard of the launcher's success when it has the handle that came with it.
                let deadline = Instant::now() + PATIENCE;
                while !old.watches(new) {
                    assert!(Instant::now() < deadline, "{old:?} never hears of {new:?}");
                    let gone = new.wait_gone(Duration::from_millis(1));
                    assert!(!gone, "{new:?} ends before it has begun");
                }
            }
            Step::Introduced => {
                old.signal(Signal::STOP);
                self.turnstile.let_on();
                self.old_has_unread("Hello");
            }
            Step::Offered => {
                new.signal(Signal::STOP);
                old.signal(Signal::CONT);
                assert_eq!(unread(new).name(), "Offer");
            }
            Step::Received => self.have_configuration_opened(),
            Step::Ready => {
                old.signal(Signal::STOP);
                let (mut pipe, text) = self.configuration.take().expect("it is opened");
                pipe.write_all(&text).expect("give the configuration");
                drop(pipe);
                self.old_has_unread("Ready");
            }
            Step::Committed => {
                new.signal(Signal::STOP);
                old.signal(Signal::CONT);
                assert_eq!(unread(new).name(), "Commit");
            }
            Step::Accepting => {
                old.signal(Signal::STOP);
                new.signal(Signal::CONT);
                self.old_has_unread("Accepting");
            }
            Step::Draining => {
                old.signal(Signal::CONT);
                let upgrade = self.upgrade.take().expect("batonctl runs");
                let done = upgrade.wait_with_output().expect("wait for batonctl");
                assert!(done.status.success(), "{done:?}");
                let main = self.machine.main_process("batond");
                assert_eq!(main.pid(), self.new.pid());
            }
            Step::Outwaiting => {
                let restart = ["systemctl", "restart", "batond"];
                self.restart = Some(self.machine.background(&restart));
                await_event(self.machine, &self.new, message_id::DRAIN_FINISHED);
            }
            Step::Left => {
                new.signal(Signal::STOP);
                self.clients.clear();
                assert!(old.wait_gone(PATIENCE), "the predecessor stays");
                let last = unread(&self.new).name();
                assert!(["Progress", "Done"].contains(&last), "{last}");
            }
        }
    }
    /// Sees what old, which is stopped, will read next.
    fn old_has_unread(&self, message: &str) {
        assert_eq!(unread(&self.old).name(), message);
    }

    /// Puts a pipe in the place of the configuration until new reads it.
    fn have_configuration_opened(&mut self) {
        let path = self.machine.path(CONFIGURATION_FILE);
        let [pipe, file] = ["pipe", "file"].map(|name| path.with_extension(name));
        let text = fs::read(&path).expect("read the configuration");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("make a pipe");
        fs::rename(&path, &file).expect("put the configuration aside");
        fs::rename(&pipe, &path).expect("put a pipe in its place");
        self.new.signal(Signal::CONT);
        let (opened, wait) = mpsc::channel();
        let target = path.clone();
        // Opens when somebody reads it (fifo(7)).
        thread::spawn(move || opened.send(OpenOptions::new().write(true).open(target)));
        let pipe = wait
            .recv_timeout(PATIENCE)
            .expect("new opens the configuration");
        fs::rename(&file, &path).expect("put the configuration back");
        self.configuration = Some((pipe.expect("open a pipe"), text));
    }

    /// Kills one side, and has the other one go on.
    pub(crate) fn kill(&mut self, side: Side) {
        let (killed, other) = match side {
            Old => (&self.old, &self.new),
            New => (&self.new, &self.old),
        };
        assert!(
            !killed.wait_gone(Duration::ZERO),
            "{killed:?} is gone already"
        );
        killed.signal(Signal::KILL);
        assert!(killed.wait_gone(PATIENCE), "{killed:?} outlives SIGKILL");
        other.signal(Signal::CONT);
        self.turnstile.let_on();
        self.tracer = None;
        self.configuration = None;
    }
}

/// The process that starts the successor, which has made a process of its own for that.
fn launcher(tracer: &mut Tracer) -> Process {
    loop {
        let started = tracer.attached();
        let words = fs::read(format!("/proc/{started}/cmdline")).unwrap_or_default();
        let parent = parent(started);
        if is_launcher(&words)
            && let Some(parent) = parent
            && is_launcher(&fs::read(format!("/proc/{parent}/cmdline")).unwrap_or_default())
        {
            return Process::open(parent).expect("the launcher waits");
        }
    }
}

/// Whether this is the command line of the launcher (proc_pid_cmdline(5)).
fn is_launcher(words: &[u8]) -> bool {
    words.split(|byte| *byte == 0).nth(1) == Some(LAUNCH_SUBCOMMAND.as_bytes())
}
