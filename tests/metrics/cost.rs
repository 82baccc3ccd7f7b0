//! What a scrape costs with as many clients as a process may have on the machines that batond is
//! developed on.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use batond::demo::backend::Backend;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::scrape::{OPEN_METRICS, samples, scrape};
use crate::support::PATIENCE;
use crate::world::address;

/// In the environment: the program to be measured, since one that is not built for release says
/// nothing.
const PROGRAM: &str = "MEASURED_PROGRAM";

const CLIENTS: usize = 9_500;
const SCRAPES: u32 = 1_000;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
#[ignore = "measures: MEASURED_PROGRAM=target/release/batond cargo test --test metrics cost -- \
            --ignored --nocapture"]
fn of_a_scrape_with_9500_clients() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let program = env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_batond").into());
    let (listener, metrics) = (address(), address());
    let backend = Backend::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("batond.toml");
    let text = format!(
        "workers = 2\n[listener.ws]\naddress = \"{listener}\"\n\
         [service.echo]\nbackends = [\"{}\"]\n[limits]\nclients = 9700\n\
         [metrics]\nlisten = \"{metrics}\"\n",
        backend.address()
    );
    fs::write(&path, text).unwrap();
    let mut batond = Command::new(program)
        .arg("--config")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while TcpStream::connect(metrics).is_err() {
        assert!(begin.elapsed() < PATIENCE, "batond does not serve");
    }

    let few = per_scrape(metrics);
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| open(listener)).collect();
    let found = samples(metrics)["batond_clients{service=\"echo\"}"];
    assert!((found - CLIENTS as f64).abs() < 0.5, "{found} clients");
    let many = per_scrape(metrics);
    let size = scrape(metrics, OPEN_METRICS).body.len();
    println!(
        "CPU of batond for one scrape of {size} bytes, connection included: {few:.0} µs without \
         clients, {many:.0} µs with {CLIENTS}"
    );
    drop(clients);
    batond.kill().unwrap();
    batond.wait().unwrap();
}

fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(UPGRADE.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    stream
}

/// Processor time of all its threads, in microseconds.
fn per_scrape(metrics: SocketAddr) -> f64 {
    let cpu = || samples(metrics)["process_cpu_seconds_total"];
    let before = cpu();
    for _ in 0..SCRAPES {
        scrape(metrics, OPEN_METRICS);
    }
    (cpu() - before) / f64::from(SCRAPES) * 1e6
}
