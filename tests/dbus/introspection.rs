//! The interfaces are those that are written down, which is what others are built against.

use std::fs;
use std::path::Path;

use batond::control::dbus::{NAME, PATH};
use batond::demo::backend::Backend;
use zbus::fdo::IntrospectableProxy;

use crate::caller::{Caller, talk};
use crate::support::certificate::Authority;
use crate::world::{World, address, service};

/// Set it to have the file written anew, after a change that is meant.
const UPDATE: &str = "BATOND_UPDATE_INTROSPECTION";

async fn interface(caller: &Caller, path: &str, name: &str) -> String {
    let proxy = IntrospectableProxy::builder(&caller.connection)
        .destination(NAME)
        .path(path.to_owned())
        .build()
        .await
        .unwrap();
    let xml = proxy.introspect().await.unwrap();
    let begin = format!("  <interface name=\"{name}\">\n");
    let (_, rest) = xml
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{name} at {path}: {xml}"));
    let (body, _) = rest.split_once("  </interface>\n").unwrap();
    format!("{begin}{body}  </interface>\n")
}

#[test]
fn the_interfaces_are_those_that_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Authority::new().issue(&["localhost"]);
    let (chain, key) = identity.write(folder.path(), "one");
    let backend = Backend::start().unwrap();
    let configuration = format!(
        "[listener.wss]\naddress = \"{}\"\ncertificates = [\"one\"]\n\
         [certificate.one]\nchain = \"{}\"\nkey = \"{}\"\nnames = [\"localhost\"]\n{}",
        address(),
        chain.display(),
        key.display(),
        service(&backend)
    );
    let world = World::start(&configuration, backend);
    talk(async {
        let caller = Caller::of(&world).await;
        let job = caller.begin("Reload").await;
        let mut live = String::from(
            "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
             \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n<node>\n",
        );
        for (path, short) in [
            (PATH, "Manager"),
            ("/org/batond/Baton1/service/echo", "Service"),
            ("/org/batond/Baton1/listener/wss", "Listener"),
            ("/org/batond/Baton1/certificate/one", "Certificate"),
            (job.as_str(), "Job"),
        ] {
            live.push_str(&interface(&caller, path, &format!("{NAME}.{short}")).await);
        }
        live.push_str("</node>\n");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/org.batond.Baton1.xml");
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&file, &live).unwrap();
        }
        let written = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == live,
            "{} is not what batond offers; if that is meant, run this test with {UPDATE}=1:\n{live}",
            file.display()
        );
    });
}
