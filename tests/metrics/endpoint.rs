//! The endpoint through reloads, handoffs and ill-behaved scrapers.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use batond::demo::backend::Backend;

use crate::client::Client;
use crate::scrape::{OPEN_METRICS, ask, samples, scrape, wait_for};
use crate::support::PATIENCE;
use crate::world::{CONFIG, SOFTWARE, World, address, configuration, failed_with, succeeded};

fn with_metrics(listener: std::net::SocketAddr, backend: &Backend, at: &str) -> String {
    let text = configuration(&[("ws", listener)], backend);
    format!("{text}[metrics]\nlisten = \"{at}\"\n")
}

#[test]
fn a_reload_moves_it_and_one_that_cannot_changes_nothing() {
    let (listener, first, second, third) = (address(), address(), address(), address());
    let backend = Backend::start().unwrap();
    let text = with_metrics(listener, &backend, &first.to_string());
    let world = World::start(&text, backend);
    let mut client = Client::open(listener);
    samples(first);

    // Somebody else has the new address.
    let other = TcpListener::bind(second).unwrap();
    let moved = with_metrics(listener, &world.backend, &second.to_string());
    world.configure(&moved);
    let said = failed_with(CONFIG, &world.ctl(&["reload"]));
    assert!(said.contains("metrics.listen: cannot bind"), "{said}");
    assert!(said.contains("address in use"), "{said}");
    samples(first);
    drop(other);

    world.reload();
    samples(second);
    assert!(!world.listens(first));

    // Without the section nobody answers; with it, somebody does again.
    world.configure(&configuration(&[("ws", listener)], &world.backend));
    world.reload();
    assert!(!world.listens(second));
    world.configure(&with_metrics(listener, &world.backend, &third.to_string()));
    world.reload();
    wait_for(third, &[("batond_clients{service=\"echo\"}", 1.0)]);
    client.echo("never touched");
}

#[test]
fn a_start_that_cannot_have_the_address_says_so() {
    let (listener, metrics) = (address(), address());
    let _other = TcpListener::bind(metrics).unwrap();
    let backend = Backend::start().unwrap();
    let text = with_metrics(listener, &backend, &metrics.to_string());
    let mut batond = crate::support::batond::Launch::new(&text).spawn();
    assert_eq!(batond.exit_status().code(), Some(71));
    let log = batond.whole_log();
    assert!(log.contains("metrics.listen: cannot bind"), "{log}");
}

#[test]
fn no_scrape_is_refused_during_a_handoff() {
    let (listener, metrics) = (address(), address());
    let backend = Backend::start().unwrap();
    let text = with_metrics(listener, &backend, &metrics.to_string());
    let world = World::start(&text, backend);
    let client = Client::open(listener);
    let (over, idle) = (AtomicBool::new(false), TcpStream::connect(metrics).unwrap());
    thread::scope(|scope| {
        let scraping = scope.spawn(|| {
            let mut scrapes = 0;
            while !over.load(Relaxed) {
                scrape(metrics, OPEN_METRICS);
                scrapes += 1;
            }
            scrapes
        });
        let old = world.batond.main();
        succeeded(&world.ctl(&["upgrade"]));
        assert_eq!(client.farewell().0, 1012);
        old.wait_gone();
        over.store(true, Relaxed);
        assert!(scraping.join().unwrap() > 0);
    });
    drop(idle);
    // It is the successor that answers, and it has begun to count anew.
    wait_for(
        metrics,
        &[
            ("batond_upgrades_total{service=\"echo\"}", 0.0),
            ("batond_predecessor_clients", 0.0),
        ],
    );
}

#[test]
fn a_handoff_that_fails_leaves_it_answering() {
    let (listener, metrics, taken) = (address(), address(), address());
    let backend = Backend::start().unwrap();
    let text = with_metrics(listener, &backend, &metrics.to_string());
    let world = World::start(&text, backend);
    let mut client = Client::open(listener);
    // The successor is to have another address, and somebody else has it.
    let _other = TcpListener::bind(taken).unwrap();
    world.configure(&with_metrics(listener, &world.backend, &taken.to_string()));
    let said = failed_with(SOFTWARE, &world.ctl(&["upgrade"]));
    assert!(said.contains("metrics.listen: cannot bind"), "{said}");
    client.echo("still");
    wait_for(
        metrics,
        &[
            ("batond_clients{service=\"echo\"}", 1.0),
            (
                "batond_jobs_total{kind=\"upgrade\",outcome=\"handoff-failed\"}",
                1.0,
            ),
        ],
    );
}

#[test]
fn a_unix_socket_serves_too() {
    let listener = address();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.sock");
    let backend = Backend::start().unwrap();
    let text = with_metrics(listener, &backend, &format!("unix:{}", path.display()));
    let world = World::start(&text, backend);
    let get = || {
        let stream = UnixStream::connect(&path).unwrap();
        ask(stream, "GET /metrics", OPEN_METRICS)
    };
    assert!(get().body.ends_with("# EOF\n"));
    succeeded(&world.ctl(&["upgrade"]));
    assert!(get().body.ends_with("# EOF\n"));
    world.configure(&configuration(&[("ws", listener)], &world.backend));
    world.reload();
    assert!(!path.exists());
}

#[test]
fn ill_behaved_scrapers_are_bounded() {
    let (listener, metrics) = (address(), address());
    let backend = Backend::start().unwrap();
    let text = with_metrics(listener, &backend, &metrics.to_string());
    let _world = World::start(&text, backend);
    // More than are served at once. Each is let go in the end, without having asked.
    let idle: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(metrics).unwrap())
        .collect();
    let mut client = Client::open(listener);
    client.echo("untouched");
    // Who comes behind them waits, and is served.
    let after = samples(metrics);
    assert_eq!(after["batond_clients{service=\"echo\"}"], 1.0);
    for mut stream in idle {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    }

    let get = |request| ask(TcpStream::connect(metrics).unwrap(), request, "*/*");
    assert_eq!(get("GET /").status, 404);
    let refused = get("DELETE /metrics");
    assert_eq!(refused.status, 405);
    assert!(
        refused.head.contains("allow: get, head"),
        "{}",
        refused.head
    );
    assert_eq!(get("HEAD /metrics").body, "");
}
