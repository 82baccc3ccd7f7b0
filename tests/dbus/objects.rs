//! The objects are those of the configuration in use, also after a reload.

use batond::demo::backend::Backend;
use zbus::OwnedObjectPath;

use crate::caller::{Caller, is, talk, text, texts};
use crate::client::Client;
use crate::support::certificate::Authority;
use crate::world::{World, address};

/// Two services, of which one has a name that must be escaped in a path.
fn configuration(listener: &str, hosts: &str, second: &str, backend: &Backend) -> String {
    format!(
        "[listener.ws]\naddress = \"{listener}\"\n\
         [service.echo]\nhosts = [{hosts}]\nbackends = [{{ address = \"{}\", unit = \"echo.service\" }}]\n\
         [service.{second}]\npaths = [\"/second\"]\nbackends = [\"127.0.0.1:9\"]\n\
         [limits]\nclients = 1000\n",
        backend.address()
    )
}

async fn paths(caller: &Caller) -> Vec<String> {
    let objects = caller.objects().await;
    let with_interfaces = objects
        .iter()
        .filter(|(_, interfaces)| !interfaces.is_empty());
    let mut paths: Vec<String> = with_interfaces
        .map(|(path, _)| path.as_str().replace("/org/batond/Baton1", ""))
        .collect();
    paths.sort();
    paths
}

#[test]
fn objects_come_and_go_with_the_configuration() {
    let listener = address().to_string();
    let backend = Backend::start().unwrap();
    let before = configuration(&listener, "\"localhost\"", "my-2nd", &backend);
    let after = configuration(
        &listener,
        "\"localhost\", \"*.example.org\"",
        "third",
        &backend,
    );
    let world = World::start(&before, backend);
    talk(async {
        let mut caller = Caller::of(&world).await;
        assert_eq!(
            paths(&caller).await,
            ["/listener/ws", "/service/echo", "/service/my_2d2nd"]
        );
        let path: OwnedObjectPath = caller.call("GetService", &"my-2nd").await.unwrap();
        assert!(path.as_str().ends_with("/service/my_2d2nd"), "{path}");
        let echo: OwnedObjectPath = caller.call("GetService", &"echo").await.unwrap();

        world.configure(&after);
        caller.begin("Reload").await;
        let heard = caller.hear("JobRemoved").await;
        let told = |member: &str| heard.iter().filter(|one| is(one, member)).count();
        // The job and the third service; the second.
        assert_eq!((told("InterfacesAdded"), told("InterfacesRemoved")), (2, 1));
        let changed = |one: &&zbus::Message| {
            is(one, "PropertiesChanged") && *one.header().path().unwrap() == *echo
        };
        assert_eq!(heard.iter().filter(changed).count(), 1, "{heard:?}");
        assert_eq!(
            paths(&caller).await,
            ["/job/1", "/listener/ws", "/service/echo", "/service/third"]
        );
        let properties = caller.properties(&echo, "org.batond.Baton1.Service").await;
        assert_eq!(texts(&properties, "Hosts"), ["localhost", "*.example.org"]);
        let (error, text) = caller
            .call::<_, OwnedObjectPath>("GetService", &"my-2nd")
            .await
            .unwrap_err();
        assert_eq!(error, "org.batond.Baton1.Error.NotFound");
        assert!(text.contains("\"my-2nd\""), "{text}");
    });
}

#[test]
fn what_has_not_changed_is_not_told() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let mut clients = Vec::new();
    talk(async {
        let mut caller = Caller::of(&world).await;
        let echo: OwnedObjectPath = caller.call("GetService", &"echo").await.unwrap();
        // Clients come, which nobody is told, and everybody can see.
        clients.extend((0..3).map(|_| Client::open(listener)));
        loop {
            let properties = caller.properties(&echo, "org.batond.Baton1.Service").await;
            if u64::try_from(&properties["Clients"]).unwrap() == 3 {
                break;
            }
        }
        // The same configuration is no change of any object.
        caller.begin("Reload").await;
        let heard = caller.hear("JobRemoved").await;
        let of_services = heard.iter().filter(|one| {
            let header = one.header();
            header.path().unwrap().as_str().contains("/service/")
        });
        assert_eq!(of_services.count(), 0, "{heard:?}");
        let (total, listed): (u64, Vec<(String, String, String, u64)>) =
            caller.call("ListClients", &("echo", 2_u32)).await.unwrap();
        assert_eq!((total, listed.len()), (3, 2));
        let (service, name, from, since) = &listed[0];
        assert_eq!((service.as_str(), name.as_str()), ("echo", "ws"));
        assert!(from.starts_with("127."), "{from}");
        assert!(*since <= listed[1].3);
    });
}

#[test]
fn a_certificate_is_shown_as_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (chain, key) = authority
        .issue(&["one.example.org"])
        .write(folder.path(), "one");
    let backend = Backend::start().unwrap();
    let configuration = format!(
        "[listener.wss]\naddress = \"{}\"\ncertificates = [\"one\"]\n\
         [certificate.one]\nchain = \"{}\"\nkey = \"{}\"\nnames = [\"one.example.org\"]\n\
         [service.echo]\nhosts = [\"one.example.org\"]\nbackends = [\"{}\"]\n\
         [limits]\nclients = 1000\n",
        address(),
        chain.display(),
        key.display(),
        backend.address()
    );
    let world = World::start(&configuration, backend);
    talk(async {
        let mut caller = Caller::of(&world).await;
        let path: OwnedObjectPath = caller.call("GetCertificate", &"one").await.unwrap();
        let interface = "org.batond.Baton1.Certificate";
        let before = caller.properties(&path, interface).await;
        assert_eq!(texts(&before, "Names"), ["one.example.org"]);
        assert_eq!(texts(&before, "Listeners"), ["wss"]);
        assert_eq!(text(&before, "Chain"), chain.to_str().unwrap());
        assert_eq!(text(&before, "Fingerprint").len(), 64);
        // On the disk, and not in use yet.
        authority
            .issue(&["one.example.org", "two.example.org"])
            .write(folder.path(), "one");
        let still = caller.properties(&path, interface).await;
        assert_eq!(text(&still, "Fingerprint"), text(&before, "Fingerprint"));
        caller.begin("Reload").await;
        caller.hear("JobRemoved").await;
        let now = caller.properties(&path, interface).await;
        assert_ne!(text(&now, "Fingerprint"), text(&before, "Fingerprint"));
        assert_eq!(texts(&now, "Names"), ["one.example.org", "two.example.org"]);
    });
}
