//! What a run of `batonctl` says.

use batond::demo::backend::Backend;
use serde_json::Value;

use crate::support::certificate::{Authority, Identity};
use crate::world::{World, address, succeeded};

/// What it writes to stdout, if it succeeds.
pub(crate) fn said(world: &World, arguments: &[&str]) -> String {
    let output = world.ctl(arguments);
    succeeded(&output);
    String::from_utf8(output.stdout).unwrap()
}

/// The same as JSON.
pub(crate) fn json(world: &World, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    let text = said(world, &arguments);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A daemon with two services on two listeners, one of which speaks TLS.
pub(crate) fn rich_world() -> (World, std::net::SocketAddr, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let identity: Identity = Authority::new().issue(&["chat.example.org", "*.example.org"]);
    let (chain, key) = identity.write(folder.path(), "example");
    let backend = Backend::start().unwrap();
    let plain = address();
    let configuration = format!(
        "[listener.wss]\naddress = \"{}\"\ncertificates = [\"example\"]\n\
         [listener.ws]\naddress = \"{plain}\"\n\
         [certificate.example]\nchain = \"{}\"\nkey = \"{}\"\n\
         names = [\"chat.example.org\", \"localhost.example.org\"]\n\
         [service.chat]\nhosts = [\"chat.example.org\", \"localhost\"]\n\
         backends = [{{ address = \"{}\", unit = \"chat.service\" }}]\n\
         [service.echo]\nhosts = [\"localhost.example.org\"]\npaths = [\"/echo\"]\n\
         backends = [\"127.0.0.1:9\"]\n\
         [limits]\nclients = 1000\n",
        address(),
        chain.display(),
        key.display(),
        backend.address()
    );
    (World::start(&configuration, backend), plain, folder)
}
