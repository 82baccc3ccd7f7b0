//! Clients are told to leave in waves, and only those who are meant.

use std::time::Duration;

use batond::edge::close::CloseCode;
use batond::edge::route::Service;
use batond::edge::{Departures, Notice, Selection};
use tokio::time::Instant;

use crate::edge::{World, service, until, users};
use crate::frame::{CONTINUATION, Frame, TEXT};
use crate::peer::Peer;
use crate::support::PATIENCE;
use crate::world::{Backend, leave};

fn notice() -> Notice {
    Notice {
        code: CloseCode::SERVICE_RESTART,
        reason: "new version".to_owned(),
        retry: None,
        close_timeout: PATIENCE,
        deadline: Instant::now() + PATIENCE * 2,
    }
}

fn everybody() -> Selection {
    Selection {
        service: "app".to_owned(),
        backend: None,
    }
}

impl World {
    fn departures(&self, selection: &Selection) -> Departures {
        self.runtime.block_on(self.edge.departures(selection))
    }

    fn tell(&self, departures: &mut Departures, n: usize, notice: &Notice) -> usize {
        self.runtime.block_on(departures.tell(n, notice))
    }
}

/// Takes those out who have been told, when there are so many.
fn told(pairs: &mut Vec<(Peer, Peer)>, count: usize) -> Vec<(Peer, Peer)> {
    let mut told = Vec::new();
    until("so many are told", || {
        told.extend(pairs.extract_if(.., |(client, _)| {
            let mut watched = [rustix::event::PollFd::new(
                client.socket(),
                rustix::event::PollFlags::IN,
            )];
            let none = rustix::event::Timespec::default();
            rustix::event::poll(&mut watched, Some(&none)).expect("watch a socket") > 0
        }));
        told.len() >= count
    });
    assert_eq!(told.len(), count);
    told
}

fn is_left_alone(pairs: &mut [(Peer, Peer)]) {
    for (client, backend) in pairs {
        client.say(&[Frame::text("here")]);
        backend.hear(&[Frame::text("here")]);
        backend.say(&[Frame::text("there")]);
        client.hear(&[Frame::text("there")]);
    }
}

#[test]
fn waves_touch_those_who_are_selected_and_nobody_else() {
    let [one, other, third] = [Backend::tcp(), Backend::tcp(), Backend::tcp()];
    let services = [
        service("app", &[(&one, None), (&other, None)]),
        service("news", &[(&third, None)]),
    ];
    let world = World::start(2, &services);
    let (mut at_one, mut at_other) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        at_one.push(world.pair("/app", &one));
        at_other.push(world.pair("/app", &other));
    }
    let mut news: Vec<_> = (0..3).map(|_| world.pair("/news", &third)).collect();
    let app = world.service("app");
    assert_eq!(
        (app.counters().clients, app.backends()[0].clients()),
        (12, 6)
    );

    let mut departures = world.departures(&users("app", &one));
    assert_eq!((departures.untold(), departures.left()), (6, 6));
    assert_eq!(world.tell(&mut departures, 1, &notice()), 1);
    let mut gone = told(&mut at_one, 1);
    assert_eq!(departures.untold(), 5);
    assert_eq!(world.tell(&mut departures, 3, &notice()), 3);
    gone.extend(told(&mut at_one, 3));
    is_left_alone(&mut at_one);
    // One joins, and is found when the others have been told.
    app.backends()[1].set_drained(true);
    at_one.push(world.pair("/app", &one));
    assert_eq!(world.tell(&mut departures, 10, &notice()), 3);
    gone.extend(told(&mut at_one, 3));
    assert_eq!(
        world.tell(&mut departures, 10, &notice()),
        0,
        "all are told"
    );
    for (client, backend) in &mut gone {
        leave(client, backend);
    }
    until("they have left", || departures.left() == 0);
    is_left_alone(&mut at_other);
    is_left_alone(&mut news);

    let mut departures = world.departures(&everybody());
    assert_eq!(world.tell(&mut departures, 10, &notice()), 6);
    for (client, backend) in &mut told(&mut at_other, 6) {
        leave(client, backend);
    }
    until("they have left", || departures.left() == 0);
    is_left_alone(&mut news);
    let counts = app.counters();
    assert_eq!((counts.told, counts.closed_cleanly), (13, 13));
    assert_eq!(world.service("news").counters().told, 0);
}

#[test]
fn who_has_left_by_itself_makes_room_for_others() {
    let backend = Backend::tcp();
    let world = World::start(2, &[service("app", &[(&backend, None)])]);
    let mut pairs: Vec<_> = (0..6).map(|_| world.pair("/app", &backend)).collect();
    let mut departures = world.departures(&everybody());
    pairs.truncate(3);
    until("they have left", || departures.left() == 3);
    assert_eq!(world.tell(&mut departures, 3, &notice()), 3);
    for (client, backend) in &mut told(&mut pairs, 3) {
        leave(client, backend);
    }
    // They go on being gone.
    assert_eq!(world.tell(&mut departures, 3, &notice()), 0);
    assert_eq!(departures.untold(), 0);
}

#[test]
fn a_service_that_nobody_knows_has_nobody_to_tell() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, None)])]);
    let mut pairs = [world.pair("/app", &backend)];
    let mut departures = world.departures(&Selection {
        service: "other".to_owned(),
        backend: None,
    });
    assert_eq!(world.tell(&mut departures, 1, &notice()), 0);
    assert_eq!((departures.untold(), departures.left()), (0, 0));
    is_left_alone(&mut pairs);
}

#[test]
fn the_notice_is_what_clients_hear() {
    let backend = Backend::tcp();
    let world = World::start(1, &[service("app", &[(&backend, None)])]);
    let hear = |notice: &Notice| {
        let (mut client, _backend) = world.pair("/app", &backend);
        let mut departures = world.departures(&everybody());
        assert_eq!(world.tell(&mut departures, 1, notice), 1);
        let frame = client.frame().expect("a Close");
        let (code, reason) = frame.close_code().expect("a Close");
        (code, reason.to_owned())
    };
    assert_eq!(hear(&notice()), (1012, "new version".to_owned()));
    let second = Duration::from_secs(1);
    let notice = Notice {
        code: CloseCode::GOING_AWAY,
        retry: Some(second..=second),
        ..notice()
    };
    let expected = "new version; retry in 1.0s".to_owned();
    assert_eq!(hear(&notice), (1001, expected));
    let restart = Notice::restart(&world.service("app").restart, notice.deadline);
    let (code, reason) = hear(&restart);
    assert_eq!(code, 1012);
    assert!(reason.starts_with("service restart; retry in "), "{reason}");
}

#[test]
fn each_service_counts_what_became_of_its_clients() {
    let [backend, bystander] = [Backend::tcp(), Backend::tcp()];
    let services = [
        service("app", &[(&backend, None)]),
        service("news", &[(&bystander, None)]),
    ];
    let world = World::start(1, &services);
    let _other = world.pair("/news", &bystander);
    let app = world.service("app");
    let ended = |app: &Service, count| {
        until("it has left", || app.counters().clients == 0);
        assert_eq!(world.service("news").counters().told, 0);
        count
    };
    let tell = |notice: &Notice| {
        let mut departures = world.departures(&everybody());
        assert_eq!(world.tell(&mut departures, 9, notice), 1);
    };

    // In order, with messages from the backend that come too late.
    let (mut client, mut peer) = world.pair("/app", &backend);
    tell(&notice());
    assert_eq!(client.closed(), 1012);
    peer.say(&[
        Frame::text("late"),
        Frame::more(TEXT, "too "),
        Frame::last(CONTINUATION, "late"),
    ]);
    client.say(&[Frame::close(1012, "")]);
    client.ended();
    client.end();
    assert_eq!(peer.closed(), 1001);
    peer.end();
    ended(&app, 1);

    // Never answered.
    let (mut client, mut peer) = world.pair("/app", &backend);
    tell(&Notice {
        close_timeout: Duration::from_millis(50),
        ..notice()
    });
    assert_eq!(client.closed(), 1012);
    client.ended();
    client.end();
    peer.end();
    ended(&app, 1);

    // Hung up.
    let (mut client, mut peer) = world.pair("/app", &backend);
    tell(&notice());
    assert_eq!(client.closed(), 1012);
    client.end();
    peer.ended();
    peer.end();
    ended(&app, 1);

    // Inside a frame at the deadline.
    let (mut client, mut peer) = world.pair("/app", &backend);
    let half = &Frame::text("x".repeat(200)).plain()[..100];
    peer.send(half);
    client.take(half.len());
    tell(&Notice {
        deadline: Instant::now() + Duration::from_millis(100),
        ..notice()
    });
    assert_eq!(client.take_all(), b"");
    client.end();
    peer.end();
    ended(&app, 1);

    let counts = app.counters();
    assert_eq!(counts.told, 3);
    assert_eq!(
        (
            counts.closed_cleanly,
            counts.timed_out,
            counts.gone,
            counts.cut
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(counts.discarded, 2);
    assert_eq!((counts.arrived, counts.upgraded, counts.lost), (4, 4, 0));
}
