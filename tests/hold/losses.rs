//! What the clients of a lost backend are told depends on what becomes of its unit.

use batond::edge::close::CloseCode;
use batond::edge::{Backend as Configured, Fate, Loss, Notice, Selection};
use rustix::net::Shutdown;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::edge::{World, service, until};
use crate::frame::{Frame, TEXT};
use crate::peer::Peer;
use crate::support::PATIENCE;
use crate::world::Backend;

const UNIT: Option<&str> = Some("app.service");

fn question(world: &World, losses: &mut mpsc::Receiver<Loss>) -> Loss {
    let loss = world.runtime.block_on(losses.recv()).expect("a question");
    assert_eq!(loss.service, "app");
    assert_eq!(loss.backend.unit(), UNIT);
    loss
}

fn lose(pairs: &mut [(Peer, Peer)]) {
    for (_, backend) in pairs {
        backend.end();
    }
}

fn told(client: &mut Peer) -> (u16, String) {
    let frame = client.frame().expect("a Close");
    let (code, reason) = frame.close_code().expect("a Close");
    (code, reason.to_owned())
}

fn three(world: &World, backend: &Backend) -> Vec<(Peer, Peer)> {
    (0..3).map(|_| world.pair("/app", backend)).collect()
}

#[test]
fn a_backend_that_comes_back_is_a_restart_and_one_question_for_all() {
    let backend = Backend::tcp();
    let world = World::start(2, &[service("app", &[(&backend, UNIT)])]);
    let mut losses = world.edge.losses().expect("not taken yet");
    assert!(world.edge.losses().is_none(), "there is one to answer");
    let mut pairs = three(&world, &backend);
    lose(&mut pairs);
    question(&world, &mut losses)
        .backend
        .settle(Fate::Restarting);
    let mut delays = Vec::new();
    for (client, _) in &mut pairs {
        let (code, reason) = told(client);
        assert_eq!(code, 1012);
        let delay = reason.strip_prefix("service restart; retry in ");
        delays.push(delay.expect("when to come back").to_owned());
        client.say(&[Frame::close(1012, "")]);
        client.ended();
    }
    delays.sort();
    delays.dedup();
    assert_eq!(delays.len(), 3, "each has its own");
    assert!(losses.try_recv().is_err(), "asked once");
    let app = world.service("app");
    until("it is counted", || app.counters().lost == 3);
}

#[test]
fn a_backend_that_is_gone_is_told_as_lost() {
    let backend = Backend::tcp();
    let world = World::start(2, &[service("app", &[(&backend, UNIT)])]);
    let mut losses = world.edge.losses().expect("not taken yet");
    let mut pairs = three(&world, &backend);
    lose(&mut pairs);
    question(&world, &mut losses).backend.settle(Fate::Gone);
    for (client, _) in &mut pairs {
        assert_eq!(told(client), (1014, "the backend is gone".to_owned()));
    }
}

#[test]
fn where_nobody_answers_it_is_lost() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, UNIT)])]);
    // Before anybody listens to the questions, while somebody does and says nothing, and after.
    let mut pairs = three(&world, &backend);
    lose(&mut pairs[..1]);
    assert_eq!(pairs[0].0.closed(), 1014);
    let mut losses = world.edge.losses().expect("not taken yet");
    lose(&mut pairs[1..2]);
    question(&world, &mut losses);
    assert_eq!(pairs[1].0.closed(), 1014);
    drop(losses);
    lose(&mut pairs[2..]);
    assert_eq!(pairs[2].0.closed(), 1014);
}

#[test]
fn a_backend_without_a_unit_is_lost_without_a_question() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, None)])]);
    let mut losses = world.edge.losses().expect("not taken yet");
    let (mut client, mut peer) = world.pair("/app", &backend);
    peer.end();
    assert_eq!(client.closed(), 1014);
    assert!(losses.try_recv().is_err());
}

#[test]
fn what_clients_do_meanwhile_is_heard() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, UNIT)])]);
    let mut losses = world.edge.losses().expect("not taken yet");
    let mut pairs = three(&world, &backend);
    lose(&mut pairs);
    let loss = question(&world, &mut losses);
    // One closes by itself, one is gone, one goes on talking.
    let (closing, _) = &mut pairs[0];
    closing.say(&[Frame::close(4000, "bye")]);
    assert_eq!(closing.closed(), 4000);
    closing.ended();
    let (leaving, its_backend) = &mut pairs[1];
    rustix::net::shutdown(leaving.socket(), Shutdown::Both).expect("go");
    its_backend.ended();
    let (talking, its_backend) = &mut pairs[2];
    talking.say(&[Frame::text("hello?")]);
    its_backend.hear(&[Frame::text("hello?")]);
    Configured::settle(&loss.backend, Fate::Restarting);
    assert_eq!(talking.closed(), 1012);
}

#[test]
fn who_is_to_leave_meanwhile_is_told_at_once() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, UNIT)])]);
    let mut losses = world.edge.losses().expect("not taken yet");
    let (mut client, mut peer) = world.pair("/app", &backend);
    // A message that will never end.
    let begun = [Frame::more(TEXT, "so far ")];
    peer.say(&begun);
    client.hear(&begun);
    peer.end();
    question(&world, &mut losses);
    let notice = Notice {
        code: CloseCode::GOING_AWAY,
        reason: "planned".to_owned(),
        retry: None,
        close_timeout: PATIENCE,
        deadline: Instant::now() + PATIENCE * 3,
    };
    let selection = Selection {
        service: "app".to_owned(),
        backend: None,
    };
    let told_one = async {
        let mut departures = world.edge.departures(&selection).await;
        departures.tell(1, &notice).await
    };
    assert_eq!(world.runtime.block_on(told_one), 1);
    assert_eq!(told(&mut client), (1001, "planned".to_owned()));
    client.say(&[Frame::close(1001, "")]);
    client.ended();
    client.end();
    let app = world.service("app");
    until("it is counted", || app.counters().closed_cleanly == 1);
}
