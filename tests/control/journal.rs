use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use batond::control::journal;
use batond::control::message_id;
use batond::event;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::rerun;

const JOURNALD: &str = "/usr/lib/systemd/systemd-journald";

/// What every logging role says.
fn say() {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 443));
    event!(INFO, message_id::LISTENER_BOUND, baton_listener = "wss", baton_address = %address,
        "bound {address}");
    event!(
        WARN,
        message_id::DRAIN_DEADLINE_PASSED,
        baton_clients = 3,
        "3 clients cut off"
    );
    event!(
        ERROR,
        message_id::HANDOFF_FAILED,
        baton_error = "a\nb",
        "failed: {}",
        "a\nb"
    );
    tracing::debug!(detail = ?Some("x"), "debugging");
    tracing::trace!("tracing");
}

#[test]
fn stderr_gets_readable_lines() {
    const NAME: &str = "journal::stderr_gets_readable_lines";
    if rerun::role().is_some() {
        let log = journal::init(None).unwrap();
        say();
        return log.flush();
    }
    let output = rerun::succeed(rerun::command(NAME, "logger"));
    let lines = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = lines
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let texts: Vec<_> = lines.iter().map(|(_, text)| *text).collect();
    assert_eq!(
        texts,
        [
            " INFO bound 127.0.0.1:443 listener=wss address=127.0.0.1:443",
            " WARN 3 clients cut off clients=3",
            "ERROR failed: a",
            "   b error=a\\nb",
        ]
    );
    // Its second line has none.
    for (time, _) in lines.iter().take(3) {
        time.parse::<jiff::Timestamp>().unwrap();
    }
}

#[test]
fn the_level_is_set_at_start_and_changed_later() {
    const NAME: &str = "journal::the_level_is_set_at_start_and_changed_later";
    if rerun::role().is_some() {
        assert!(journal::init(Some("loud")).is_err());
        let log = journal::init(Some("debug")).unwrap();
        tracing::debug!("shown at debug");
        log.set_level("warning").unwrap();
        tracing::info!("hidden at warning");
        tracing::warn!("shown at warning");
        assert!(log.set_level("loud").is_err());
        assert_eq!(log.level().to_string(), "warn");
        log.set_level("trace").unwrap();
        tracing::trace!("shown at trace");
        assert!(journal::init(None).is_err());
        return log.flush();
    }
    let output = rerun::succeed(rerun::command(NAME, "logger"));
    let lines = String::from_utf8(output.stderr).unwrap();
    let texts: Vec<_> = lines
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(
        texts,
        [
            "DEBUG shown at debug",
            " WARN shown at warning",
            "TRACE shown at trace"
        ]
    );
}

/// The journal at the other end of stderr, but journald's own socket out of reach.
#[test]
fn without_journalds_socket_the_stream_gets_priorities() {
    const NAME: &str = "journal::without_journalds_socket_the_stream_gets_priorities";
    match rerun::role().as_deref() {
        Some("namespace") => {
            empty_run();
            log_to_stream(NAME);
        }
        Some(_) => {
            let log = journal::init(Some("debug")).unwrap();
            say();
            log.flush();
        }
        None => {
            let Some(command) = in_namespace(NAME) else {
                return;
            };
            let output = rerun::succeed(command);
            let lines = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                lines.lines().collect::<Vec<_>>(),
                [
                    "<6>bound 127.0.0.1:443 listener=wss address=127.0.0.1:443",
                    "<4>3 clients cut off clients=3",
                    "<3>failed: a",
                    "<3>    b error=a\\nb",
                    "<7>debugging detail=Some(\"x\")",
                ]
            );
        }
    }
}

#[test]
fn a_stream_that_is_not_stderr_is_not_the_journal() {
    const NAME: &str = "journal::a_stream_that_is_not_stderr_is_not_the_journal";
    if rerun::role().is_some() {
        let log = journal::init(None).unwrap();
        say();
        return log.flush();
    }
    let mut command = rerun::command(NAME, "logger");
    command.env("JOURNAL_STREAM", "1:1");
    let lines = String::from_utf8(rerun::succeed(command).stderr).unwrap();
    assert!(lines.contains(" INFO bound 127.0.0.1:443"), "{lines}");
}

/// The network decides how often something is worth a word; the log gets the first ones.
#[test]
fn what_repeats_itself_is_left_out() {
    const NAME: &str = "journal::what_repeats_itself_is_left_out";
    if rerun::role().is_some() {
        let log = journal::init(None).unwrap();
        for number in 0..1000 {
            for service in ["one", "two"] {
                event!(
                    WARN,
                    message_id::PROTOCOL_VIOLATION,
                    baton_service = service,
                    baton_client = number,
                    "{service}: breach {number}"
                );
            }
        }
        tracing::warn!("something else");
        log.flush();
        assert_eq!((log.left_out(), log.lost()), (2 * 980, 0));
        return;
    }
    let output = rerun::succeed(rerun::command(NAME, "logger"));
    let lines = String::from_utf8(output.stderr).unwrap();
    let count = |what: &str| lines.lines().filter(|line| line.contains(what)).count();
    assert_eq!(
        (count(" WARN one: breach"), count(" WARN two: breach")),
        (20, 20)
    );
    assert_eq!(count("something else"), 1);
}

/// journald stands still and its socket is full: whoever logs must not notice.
#[test]
fn a_journald_that_stands_still_holds_nobody_up() {
    const NAME: &str = "journal::a_journald_that_stands_still_holds_nobody_up";
    const ENTRIES: u64 = 20_000;
    match rerun::role().as_deref() {
        Some("namespace") => {
            empty_run();
            fs::create_dir_all("/run/systemd/journal").unwrap();
            let journald = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
            let mut logger = rerun::command(NAME, "stream")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(logger.stdout.take().unwrap()).lines();
            let said = lines
                .by_ref()
                .map_while(Result::ok)
                .find(|line| line.contains("lost"));
            println!("{}", said.expect("the logger did not come to its end"));
            // Now it goes on, and is told what it has missed.
            let mut entry = [0; 64 * 1024];
            while !String::from_utf8_lossy(&entry).contains("log entries were lost") {
                journald.recv(&mut entry).unwrap();
            }
            drop(logger.stdin.take());
            assert!(logger.wait().unwrap().success());
        }
        Some("stream") => log_to_stream(NAME),
        Some(_) => {
            let log = journal::init(Some("debug")).unwrap();
            for number in 0..ENTRIES {
                tracing::debug!("entry {number}");
            }
            println!("{} entries lost", log.lost());
            // One after journald has gone on.
            io::stdin().read_to_end(&mut Vec::new()).unwrap();
            log.flush();
        }
        None => {
            let Some(command) = in_namespace(NAME) else {
                return;
            };
            let output = String::from_utf8(rerun::succeed(command).stdout).unwrap();
            let lost = output
                .lines()
                .find_map(|line| line.split_once(" entries lost"));
            let lost = lost.and_then(|(lost, _)| lost.rsplit(' ').next()?.parse().ok());
            assert!(lost.is_some_and(|lost: u64| lost > ENTRIES / 2), "{output}");
        }
    }
}

/// A real journald in namespaces of its own, so that the machine's journal sees nothing of it.
#[test]
fn journald_gets_every_field() {
    const NAME: &str = "journal::journald_gets_every_field";
    match rerun::role().as_deref() {
        Some("namespace") => serve_journal(NAME),
        Some("stream") => log_to_stream(NAME),
        Some(_) => {
            let log = journal::init(Some("trace")).unwrap();
            say();
            log.flush();
        }
        None => {
            if fs::metadata(JOURNALD).is_err() {
                return rerun::skip(NAME, &format!("no {JOURNALD} here"));
            }
            let Some(command) = in_namespace(NAME) else {
                return;
            };
            check(&String::from_utf8(rerun::succeed(command).stdout).unwrap());
        }
    }
}

fn check(output: &str) {
    let entries: Vec<Value> = output
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let entry = |message: &str| {
        let found = entries.iter().find(|entry| entry["MESSAGE"] == message);
        found.unwrap_or_else(|| panic!("no {message} in {output}"))
    };

    let bound = entry("bound 127.0.0.1:443");
    assert_eq!(bound["MESSAGE_ID"], message_id::LISTENER_BOUND.as_str());
    assert_eq!(bound["PRIORITY"], "6");
    assert_eq!(bound["SYSLOG_IDENTIFIER"], "batond");
    assert_eq!(bound["BATON_LISTENER"], "wss");
    assert_eq!(bound["BATON_ADDRESS"], "127.0.0.1:443");
    assert_eq!(bound["_TRANSPORT"], "journal");
    assert!(
        bound["CODE_FILE"]
            .as_str()
            .unwrap()
            .ends_with("tests/control/journal.rs")
    );

    let cut = entry("3 clients cut off");
    assert_eq!(
        cut["MESSAGE_ID"],
        message_id::DRAIN_DEADLINE_PASSED.as_str()
    );
    assert_eq!(
        (&cut["PRIORITY"], &cut["BATON_CLIENTS"]),
        (&"4".into(), &"3".into())
    );
    let failed = entry("failed: a\nb");
    assert_eq!(
        (&failed["PRIORITY"], &failed["BATON_ERROR"]),
        (&"3".into(), &"a\nb".into())
    );
    assert_eq!(entry("debugging")["PRIORITY"], "7");
    assert_eq!(entry("tracing")["PRIORITY"], "7");
    assert_eq!(
        entries
            .iter()
            .filter(|entry| entry["SYSLOG_IDENTIFIER"] == "batond")
            .count(),
        5
    );
}

/// The test in the role `namespace`, in a mount namespace; none, with the reason told, where the
/// kernel refuses.
fn in_namespace(name: &str) -> Option<Command> {
    // In a user namespace even root may not touch what is the machine's (the audit log).
    let unshare = ["unshare", "--user", "--map-root-user", "--mount"];
    match Command::new(unshare[0])
        .args(&unshare[1..])
        .arg("true")
        .output()
    {
        Ok(output) if output.status.success() => {
            Some(rerun::command_through(&unshare, name, "namespace"))
        }
        Ok(output) => {
            rerun::skip(name, String::from_utf8_lossy(&output.stderr).trim());
            None
        }
        Err(error) => {
            rerun::skip(name, &format!("unshare: {error}"));
            None
        }
    }
}

/// Becomes a logger that is told, as by systemd, that its stderr is the journal.
fn log_to_stream(name: &str) {
    let stderr = fs::metadata("/proc/self/fd/2").unwrap();
    let stream = format!("{}:{}", stderr.dev(), stderr.ino());
    panic!(
        "{}",
        rerun::command(name, "logger")
            .env("JOURNAL_STREAM", stream)
            .exec()
    );
}

fn empty_run() {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "tmpfs", "/run"]);
    rerun::succeed(mount);
}

/// Starts journald, lets a logger speak to it as systemd would, and prints the journal.
fn serve_journal(name: &str) {
    empty_run();
    fs::create_dir_all("/run/systemd/journal").unwrap();
    fs::create_dir_all("/run/log/journal").unwrap();
    let notify = UnixDatagram::bind("/run/notify").unwrap();
    let log = File::create("/run/journald.log").unwrap();
    let mut journald = Command::new(JOURNALD)
        .env("NOTIFY_SOCKET", "/run/notify")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    loop {
        let mut state = [0; 4096];
        let length = notify.recv(&mut state).unwrap();
        if state[..length]
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1")
        {
            break;
        }
    }
    rerun::succeed(rerun::command_through(&["systemd-cat"], name, "stream"));
    // journald takes what waits in its sockets before it obeys.
    kill_process(Pid::from_child(&journald), Signal::TERM).unwrap();
    let status = journald.wait().unwrap();
    assert!(
        status.success(),
        "{}",
        fs::read_to_string("/run/journald.log").unwrap()
    );
    let mut journalctl = Command::new("journalctl");
    journalctl.args([
        "--directory",
        "/run/log/journal",
        "--output",
        "json",
        "--all",
    ]);
    io::Write::write_all(&mut io::stdout(), &rerun::succeed(journalctl).stdout).unwrap();
}
