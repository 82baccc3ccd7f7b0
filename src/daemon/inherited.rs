//! What comes across exec: the sockets that systemd passes, and the handoff channel that a
//! predecessor passes. This is the one place that turns descriptor numbers into descriptors.
#![allow(unsafe_code)]

use std::env;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, sockopt};

/// The first descriptor that systemd passes (`SD_LISTEN_FDS_START`, sd_listen_fds(3)).
const FIRST: RawFd = 3;

/// What systemd calls a descriptor that has no name of its own.
const UNNAMED: &str = "unknown";

/// The variables that describe passed sockets; older systemd does not set the last one.
const VARIABLES: [&str; 4] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
];

/// What systemd passed to this process.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Sockets with their `FileDescriptorName=`, in the order in which they were passed.
    pub sockets: Vec<(String, OwnedFd)>,
}

/// Why what was passed across exec cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// A variable does not say what sd_listen_fds(3) has it say.
    #[error("the environment variable {variable} is {value:?}, {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: String,
    },
    /// The variables promise a descriptor that is not open.
    #[error("descriptor {fd}, which {source_name} names, is not open")]
    NotOpen {
        /// Its number.
        fd: RawFd,
        /// Where the number comes from.
        source_name: &'static str,
    },
    /// The descriptor given as handoff channel is something else.
    #[error(
        "descriptor {fd}, given with --successor, is not a handoff channel (the option is for \
         batond's own use: start the successor with SIGUSR2 to the running process)"
    )]
    NotAChannel {
        /// Its number.
        fd: RawFd,
    },
    /// It could not be marked close-on-exec.
    #[error("cannot set close-on-exec on descriptor {fd}: {error}")]
    CloseOnExec {
        /// Its number.
        fd: RawFd,
        /// What the kernel said.
        error: Errno,
    },
}

/// Takes what systemd passed, and removes the variables that describe it, so that no process
/// started from here mistakes its own descriptors for these. Without the variables, or if they
/// are meant for another process, there is nothing to take.
///
/// Call it once, first thing in `main`, before any thread is started.
///
/// # Errors
/// The variables contradict themselves or name a descriptor that is not open; nothing is taken
/// then.
pub fn take() -> Result<Inherited, InheritedError> {
    let variables =
        VARIABLES.map(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()));
    for name in VARIABLES {
        // SAFETY: no other thread is running that could read the environment, which is what this
        // function asks of its caller.
        unsafe { env::remove_var(name) };
    }
    let [pid, count, names, _] = variables;
    let Some(names) = passed(pid, count, names, std::process::id())? else {
        return Ok(Inherited::default());
    };
    let numbered = || (FIRST..).zip(&names);
    for (fd, _) in numbered() {
        set_cloexec(fd, "LISTEN_FDS")?;
    }
    let sockets = numbered()
        // SAFETY: the descriptor is open, as was just seen. By sd_listen_fds(3) it is this
        // process's to take, and nothing else has: this is called once, before anything opens
        // a file.
        .map(|(fd, name)| (name.clone(), unsafe { OwnedFd::from_raw_fd(fd) }))
        .collect();
    Ok(Inherited { sockets })
}

/// Takes the handoff channel, given by its number on the command line, and marks it
/// close-on-exec. Call it at most once for a number, before anything else opens files.
///
/// # Errors
/// The number is not that of an open Unix socket.
pub fn take_channel(fd: RawFd) -> Result<OwnedFd, InheritedError> {
    if fd < FIRST {
        // The standard streams belong to the standard library.
        return Err(InheritedError::NotAChannel { fd });
    }
    set_cloexec(fd, "--successor")?;
    // SAFETY: the descriptor is open, as was just seen, and it is only borrowed within this
    // function.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    if sockopt::socket_domain(borrowed) != Ok(AddressFamily::UNIX) {
        return Err(InheritedError::NotAChannel { fd });
    }
    // SAFETY: it is open. The process that started this one left it open for this purpose only,
    // and nothing else in this process knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The names of the passed descriptors, if they are passed to this process.
fn passed(
    pid: Option<String>,
    count: Option<String>,
    names: Option<String>,
    own_pid: u32,
) -> Result<Option<Vec<String>>, InheritedError> {
    let (Some(pid), Some(count)) = (pid, count) else {
        return Ok(None);
    };
    let bad = |variable, value: &str, expected: &str| InheritedError::Variable {
        variable,
        value: value.to_owned(),
        expected: expected.to_owned(),
    };
    let for_pid: u32 = pid
        .parse()
        .map_err(|_| bad("LISTEN_PID", &pid, "not a process id"))?;
    if for_pid != own_pid {
        return Ok(None);
    }
    let number: u16 = count
        .parse()
        .map_err(|_| bad("LISTEN_FDS", &count, "not a number of descriptors"))?;
    let number = usize::from(number);
    let Some(list) = names else {
        return Ok(Some(vec![UNNAMED.to_owned(); number]));
    };
    let names: Vec<String> = list
        .split(':')
        .map(|name| if name.is_empty() { UNNAMED } else { name }.to_owned())
        .take_while(|_| number > 0)
        .collect();
    if names.len() == number {
        Ok(Some(names))
    } else {
        Err(bad(
            "LISTEN_FDNAMES",
            &list,
            &format!("but LISTEN_FDS announces {number} names"),
        ))
    }
}

/// Sees that the descriptor is open, and marks it close-on-exec.
fn set_cloexec(fd: RawFd, source_name: &'static str) -> Result<(), InheritedError> {
    // SAFETY: if it is not open the kernel says so, and then it is not used any further; no
    // other thread runs that could open or close it meanwhile.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = fcntl_getfd(borrowed).map_err(|_| InheritedError::NotOpen { fd, source_name })?;
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)
        .map_err(|error| InheritedError::CloseOnExec { fd, error })
}

#[cfg(test)]
mod tests {
    use super::passed;

    fn parse(variables: [Option<&str>; 3]) -> Result<Option<Vec<String>>, String> {
        let [pid, count, names] = variables.map(|value| value.map(str::to_owned));
        passed(pid, count, names, 42).map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_is_meant_for_this_process_is_taken() {
        assert_eq!(parse([None, None, None]), Ok(None));
        assert_eq!(parse([Some("42"), None, None]), Ok(None));
        assert_eq!(parse([None, Some("1"), None]), Ok(None));
        assert_eq!(parse([Some("41"), Some("1"), Some("wss")]), Ok(None));
    }

    #[test]
    fn names_go_to_descriptors_in_order() {
        let names = parse([Some("42"), Some("3"), Some("ws::wss")])
            .unwrap()
            .unwrap();
        assert_eq!(names, ["ws", "unknown", "wss"]);
        let names = parse([Some("42"), Some("2"), None]).unwrap().unwrap();
        assert_eq!(names, ["unknown", "unknown"]);
        assert_eq!(parse([Some("42"), Some("0"), Some("")]), Ok(Some(vec![])));
    }

    #[test]
    fn contradictions_are_errors_that_name_the_variable() {
        let cases = [
            (
                [Some("self"), Some("1"), None],
                "LISTEN_PID is \"self\", not a process id",
            ),
            (
                [Some("42"), Some("-1"), None],
                "LISTEN_FDS is \"-1\", not a number of descriptors",
            ),
            (
                [Some("42"), Some("3"), Some("a:b")],
                "LISTEN_FDNAMES is \"a:b\", but LISTEN_FDS announces 3 names",
            ),
        ];
        for (variables, text) in cases {
            assert_eq!(
                parse(variables),
                Err(format!("the environment variable {text}"))
            );
        }
    }
}
