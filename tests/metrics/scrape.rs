//! A scraper, and what it reads.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::PATIENCE;

/// What Prometheus sends.
pub(crate) const OPEN_METRICS: &str =
    "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// An answer: its status, its head and its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks for a page, and reads the answer to its end.
pub(crate) fn ask(mut stream: impl Read + Write, request: &str, accept: &str) -> Answer {
    let request = format!("{request} HTTP/1.1\r\nHost: metrics\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect(&text);
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// A scrape over TCP.
pub(crate) fn scrape(address: SocketAddr, accept: &str) -> Answer {
    let stream = TcpStream::connect(address).expect("the endpoint refuses nobody");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let answer = ask(stream, "GET /metrics", accept);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

/// Every sample of a scrape, with its labels in their order: `name{a="b"}`.
pub(crate) fn samples(address: SocketAddr) -> BTreeMap<String, f64> {
    let body = scrape(address, OPEN_METRICS).body;
    body.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect(line);
            (name.to_owned(), value.parse().expect(line))
        })
        .collect()
}

/// Scrapes until all these samples have these values: what the control loop shows may be half a
/// second old, and workers count when a connection has ended.
pub(crate) fn wait_for(address: SocketAddr, expected: &[(&str, f64)]) {
    let start = Instant::now();
    loop {
        let found = samples(address);
        let wrong: Vec<_> = expected
            .iter()
            .filter(|(name, value)| found.get(*name) != Some(value))
            .map(|(name, value)| (name, value, found.get(*name)))
            .collect();
        if wrong.is_empty() {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "expected, found: {wrong:?}");
    }
}

/// What a program says to this text. It must like it.
pub(crate) fn judged_by(program: &mut Command, text: &str) -> String {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error} (tests/metrics/install installs it)"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{complaints}\n{text}");
    assert_eq!(complaints, "", "{text}");
    said
}

/// The root of the repository.
pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
