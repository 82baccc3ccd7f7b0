//! Listeners come and go, and nobody else notices.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread;

use batond::demo::backend::Backend;

use crate::client::Client;
use crate::support::PATIENCE;
use crate::world::{World, address, service};

#[test]
fn a_new_listener_accepts_and_a_removed_one_sends_its_clients_away() {
    let (stays, goes, comes) = (address(), address(), address());
    let world = World::with(&[("stays", stays), ("goes", goes)]);
    let mut untouched = Client::open(stays);
    let mut sent_away = Client::open(goes);
    untouched.echo("before");
    sent_away.echo("before");

    world.listen(&[("stays", stays), ("comes", comes)]);
    world.reload();
    assert_eq!(sent_away.farewell().0, 1001);
    untouched.echo("after");
    Client::open(stays).echo("new");
    Client::open(comes).echo("new");
    assert!(world.listens(stays) && world.listens(comes) && !world.listens(goes));
    let all = world.batond.notifications.all();
    let reloading = all.iter().position(|one| one.value("RELOADING").is_some());
    let removed: Vec<_> = all[reloading.unwrap()..]
        .iter()
        .filter(|one| one.value("FDSTOREREMOVE").is_some())
        .filter_map(|one| one.value("FDNAME"))
        .collect();
    assert_eq!(removed, ["goes", "comes", "state.1"]);
    assert_eq!(world.status("generation"), 2);
}

#[test]
fn a_changed_address_is_a_new_listener_and_a_removed_one() {
    let (old, new) = (address(), address());
    let world = World::with(&[("ws", old)]);
    let mut client = Client::open(old);
    client.echo("before");
    world.listen(&[("ws", new)]);
    world.reload();
    assert_eq!(client.farewell().0, 1001);
    assert!(world.listens(new) && !world.listens(old));
    let mut client = Client::open(new);
    client.echo("after");

    // Once more, and then nothing changes.
    let newest = address();
    world.listen(&[("ws", newest)]);
    world.reload();
    assert_eq!(client.farewell().0, 1001);
    let mut client = Client::open(newest);
    client.echo("again");
    world.reload();
    client.echo("still");
}

#[test]
fn a_listener_that_is_only_renamed_keeps_its_socket_and_its_clients() {
    let (one, two) = (address(), address());
    let world = World::with(&[("one", one), ("two", two)]);
    let mut clients = [Client::open(one), Client::open(two)];
    // Each gets the other's name.
    world.listen(&[("two", one), ("one", two)]);
    world.reload();
    for client in &mut clients {
        client.echo("still");
    }
    Client::open(one).echo("new");
    Client::open(two).echo("new");
}

#[test]
fn who_waits_in_the_queue_of_a_removed_listener_is_served_and_sent_away() {
    let (stays, goes) = (address(), address());
    let backend = Backend::start().unwrap();
    let listener = |name, address| format!("[listener.{name}]\naddress = \"{address}\"\n");
    let rest = format!("{}handshakes = 1\n", service(&backend));
    let one = format!("workers = 1\n{}", listener("stays", stays));
    let two = format!("{one}{}{rest}", listener("goes", goes));
    let world = World::start(&two, backend);
    // One says nothing for each loop, and one for the limit: nobody else is let in.
    let silent = [(); 3].map(|()| TcpStream::connect(goes).unwrap());
    world.batond.wait_for_log("newcomers wait", 1);
    let waiting = TcpStream::connect(goes).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(|| Client::upgrade(waiting, "ws://localhost/").unwrap());
        world.configure(&format!("{one}{rest}"));
        world.reload();
        assert_eq!(served.join().unwrap().farewell().0, 1001);
    });
    assert!(!world.listens(goes));
    drop(silent);
    Client::open(stays).echo("after");
}

#[test]
fn the_file_of_a_unix_socket_goes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let [stays, goes] = ["stays", "goes"].map(|name| folder.path().join(name));
    let listener = |path: &std::path::Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let path = path.display();
        format!("[listener.{name}]\naddress = \"unix:{path}\"\n")
    };
    let backend = Backend::start().unwrap();
    let service = service(&backend);
    let world = World::start(
        &format!("{}{}{service}", listener(&stays), listener(&goes)),
        backend,
    );
    let open = |path| Client::upgrade(UnixStream::connect(path).unwrap(), "ws://localhost/");
    let mut untouched = open(&stays).unwrap();
    let mut sent_away = open(&goes).unwrap();
    untouched.echo("before");
    sent_away.echo("before");

    world.configure(&format!("{}{service}", listener(&stays)));
    // Twice: a listener that was kept once is kept as well as one that was bound.
    for _ in 0..2 {
        world.reload();
        untouched.echo("after");
        open(&stays).unwrap().echo("new");
        assert!(!goes.exists());
    }
    assert_eq!(sent_away.farewell().0, 1001);
}
