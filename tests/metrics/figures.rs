//! What happens shows.

use std::io::{Read, Write};
use std::net::TcpStream;

use batond::demo::backend::Backend;

use crate::client::Client;
use crate::scrape::{samples, wait_for};
use crate::support::PATIENCE;
use crate::world::{World, address, configuration};

#[test]
fn a_websocket_is_counted_while_it_runs_and_when_it_ends() {
    let (listener, metrics) = (address(), address());
    let backend = Backend::start().unwrap();
    let text = configuration(&[("ws", listener)], &backend);
    let _world = World::start(
        &format!("workers = 2\n{text}[metrics]\nlisten = \"{metrics}\"\n"),
        backend,
    );
    let before = samples(metrics);
    assert_eq!(before["batond_clients{service=\"echo\"}"], 0.0);
    assert_eq!(
        before["batond_close_frames_sent_total{service=\"echo\",code=\"1012\"}"],
        0.0
    );
    assert_eq!(before["batond_limit_reached_total{limit=\"clients\"}"], 0.0);
    assert_eq!(before["batond_phase{phase=\"serving\"}"], 1.0);
    assert_eq!(before["batond_phase{phase=\"stopping\"}"], 0.0);
    assert_eq!(before["batond_limit{limit=\"clients\"}"], 1000.0);

    let mut clients: Vec<Client<TcpStream>> = (0..8).map(|_| Client::open(listener)).collect();
    for client in &mut clients {
        client.echo("12345");
        client.echo("67890");
    }
    let open = samples(metrics);
    assert_eq!(open["batond_clients{service=\"echo\"}"], 8.0);
    assert_eq!(open["batond_connections"], 8.0);
    let relayed = |direction, unit| {
        open[&format!("batond_relayed_{unit}_total{{service=\"echo\",direction=\"{direction}\"}}")]
    };
    // Each is live, and not only known at the end.
    assert_eq!(
        (relayed("up", "messages"), relayed("down", "messages")),
        (16.0, 16.0)
    );
    // A header of two bytes, from a client a mask of four, and the text (RFC 6455 §5.2).
    assert_eq!(relayed("up", "bytes"), 16.0 * (2.0 + 4.0 + 5.0));
    assert_eq!(relayed("down", "bytes"), 16.0 * (2.0 + 5.0));
    // Each has two descriptors.
    assert!(open["process_open_fds"] >= before["process_open_fds"] + 16.0);
    assert!(open["process_max_fds"] >= open["process_open_fds"]);

    for client in clients {
        client.leave().unwrap();
    }
    wait_for(
        metrics,
        &[
            ("batond_clients{service=\"echo\"}", 0.0),
            ("batond_upgrades_total{service=\"echo\"}", 8.0),
            (
                "batond_close_frames_received_total{service=\"echo\",code=\"none\"}",
                8.0,
            ),
            (
                "batond_close_frames_sent_total{service=\"echo\",code=\"none\"}",
                8.0,
            ),
        ],
    );
}

#[test]
fn every_limit_that_takes_effect_is_counted() {
    let (listener, metrics) = (address(), address());
    let backend = Backend::start().unwrap();
    let text = format!(
        "[listener.ws]\naddress = \"{listener}\"\n\
         [service.echo]\nbackends = [\"{}\"]\n\
         [service.echo.restart]\nmax_held = 0\n\
         [service.away]\nbackends = [\"127.0.0.1:1\"]\npaths = [\"/away\"]\n\
         [service.away.restart]\nmax_held = 0\n\
         [limits]\nclients = 2\nhandshake_timeout = \"100ms\"\nheader_bytes = \"8KiB\"\n\
         [metrics]\nlisten = \"{metrics}\"\n",
        backend.address()
    );
    let _world = World::start(&text, backend);
    let limit = |name: &str| format!("batond_limit_reached_total{{limit=\"{name}\"}}");

    // A header that does not come, and one that is too large.
    let mut silent = TcpStream::connect(listener).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = silent.read(&mut [0; 1]);
    let ask = |request: String| {
        let mut stream = TcpStream::connect(listener).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let answer = ask(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(9000)
    ));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    // It has told the client, and waits for its end.
    wait_for(metrics, &[("batond_connections", 0.0)]);
    let upgrade = "HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = ask(format!("GET /away {upgrade}"));
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    wait_for(metrics, &[("batond_connections", 0.0)]);
    let clients = [Client::open(listener), Client::open(listener)];
    assert!(Client::try_open(listener).is_err());
    wait_for(
        metrics,
        &[
            (&limit("handshake_timeout"), 1.0),
            (&limit("header_bytes"), 1.0),
            (&limit("max_held"), 1.0),
            (&limit("clients"), 1.0),
            (&limit("handshakes"), 0.0),
            (
                "batond_refused_requests_total{service=\"away\",reason=\"full\"}",
                1.0,
            ),
        ],
    );
    drop(clients);
}

#[test]
fn jobs_and_problems_show() {
    let (listener, metrics) = (address(), address());
    let backend = Backend::start().unwrap();
    let text = configuration(&[("ws", listener)], &backend);
    let text = format!("{text}[metrics]\nlisten = \"{metrics}\"\n");
    let world = World::start(&text, backend);
    let bad = "batond_jobs_total{kind=\"reload\",outcome=\"configuration-refused\"}";
    let problem = "batond_problem{problem=\"reload-failed\",subject=\"\",severity=\"warning\"}";
    wait_for(
        metrics,
        &[(bad, 0.0), ("batond_problems{severity=\"warning\"}", 0.0)],
    );
    assert!(!samples(metrics).contains_key(problem));

    world.configure("nonsense");
    assert!(!world.ctl(&["reload"]).status.success());
    wait_for(
        metrics,
        &[
            (bad, 1.0),
            (problem, 1.0),
            ("batond_problems{severity=\"warning\"}", 1.0),
        ],
    );
    world.configure(&text);
    world.reload();
    wait_for(
        metrics,
        &[
            (bad, 1.0),
            ("batond_jobs_total{kind=\"reload\",outcome=\"done\"}", 1.0),
            ("batond_problems{severity=\"warning\"}", 0.0),
            ("batond_configuration_generation", 2.0),
        ],
    );
    assert!(!samples(metrics).contains_key(problem));
}
