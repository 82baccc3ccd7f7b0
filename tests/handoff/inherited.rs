//! Sockets across exec, as systemd passes them. A shell puts the descriptors and the variables in
//! place, since both must be right at the moment of the exec.

use std::net::TcpListener;
use std::process::{Command, ExitCode, Stdio};

use batond::daemon::inherited::take;
use rustix::net::sockopt::socket_cookie;

/// `inherited`: says what it took, and what is left in the environment.
pub(crate) fn show() -> ExitCode {
    match take() {
        Ok(inherited) => {
            for (name, fd) in &inherited.sockets {
                let flags = rustix::io::fcntl_getfd(fd).unwrap();
                println!("{name}={} {flags:?}", socket_cookie(fd).unwrap());
            }
        }
        Err(error) => println!("error: {error}"),
    }
    let left = std::env::vars()
        .filter(|(name, _)| name.starts_with("LISTEN_"))
        .count();
    println!("variables left: {left}");
    ExitCode::SUCCESS
}

fn output_of(script: &str, stdin: TcpListener) -> String {
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(stdin)))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) async fn sockets_are_taken_from_the_environment() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let cookie = socket_cookie(&socket).unwrap();
    let script = "exec 3<&0 4<&0; export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=ws:wss \
                  LISTEN_PIDFDID=7; exec \"$1\" inherited";
    assert_eq!(
        output_of(script, socket),
        format!("ws={cookie} FdFlags(CLOEXEC)\nwss={cookie} FdFlags(CLOEXEC)\nvariables left: 0\n")
    );
}

pub(crate) async fn what_is_meant_for_another_process_is_left_alone() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = "exec 3<&0; export LISTEN_PID=1 LISTEN_FDS=1; exec \"$1\" inherited";
    assert_eq!(output_of(script, socket), "variables left: 0\n");
}

pub(crate) async fn a_descriptor_that_is_not_open_is_an_error() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = "exec 3<&0 4<&-; export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$1\" inherited";
    assert_eq!(
        output_of(script, socket),
        "error: descriptor 4, which LISTEN_FDS names, is not open\nvariables left: 0\n"
    );
}
