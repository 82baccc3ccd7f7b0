//! One test's world: the application, batond in front of it, and what clients need for both.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::program::{Client, Program, application};
use super::support::batond::{Batond, Launch};
use super::support::certificate::Authority;
use super::support::sockets::Sockets;

/// What the clients dial: a name of the kind that is reserved for tests (RFC 6761 §6.2). Each
/// client is told where it is.
const HOST: &str = "chat.test";

/// The application, batond in front of it, and what clients need to find and trust both.
pub(crate) struct World {
    pub(crate) batond: Batond,
    pub(crate) app: Program,
    pub(crate) sockets: Sockets,
    pub(crate) config: String,
    /// Base URLs: the application itself, and through batond by way of TCP and of a Unix socket.
    pub(crate) direct: String,
    pub(crate) tcp: String,
    pub(crate) unix: String,
    directory: TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("make a directory");
        let path = directory.path();
        let authority = Authority::new();
        fs::write(path.join("root.pem"), authority.pem()).expect("write the root");
        let (chain, key) = authority.issue(&[HOST]).write(path, "server");
        let unix = path.join("app.sock");

        let argument = json!({ "unix": unix, "chain": chain, "key": key });
        let app = Program::start("the application", application(&argument));
        let ports = app.line();
        let mut sockets = Sockets::new();
        let address = sockets.tcp("wss");
        let config = format!(
            r#"
[listener.wss]
address = "{address}"
certificates = ["server"]

[certificate.server]
chain = "{chain}"
key = "{key}"

[service.chat]
hosts = ["{HOST}"]
backends = ["127.0.0.1:{tcp}"]

[service.chat-on-a-unix-socket]
hosts = ["{HOST}"]
paths = ["/unix"]
backends = ["unix:{unix}"]
"#,
            chain = chain.display(),
            key = key.display(),
            tcp = ports["tcp"],
            unix = unix.display(),
        );
        let batond = Launch::new(&config).sockets(&sockets).start();
        let port = address.port();
        Self {
            batond,
            app,
            sockets,
            config,
            direct: format!("https://{HOST}:{}", ports["tls"]),
            tcp: format!("https://{HOST}:{port}"),
            unix: format!("https://{HOST}:{port}/unix"),
            directory,
        }
    }

    pub(crate) fn all(&self) -> [String; 3] {
        [self.direct.clone(), self.tcp.clone(), self.unix.clone()]
    }

    /// Starts the client on the scenario, against each of the URLs in turn.
    pub(crate) fn run(&self, client: Client, scenario: &str, urls: &[String]) -> Option<Program> {
        let path = self.directory.path();
        let argument = json!({
            "scenario": scenario,
            "urls": urls,
            "ca": path.join("root.pem"),
            "chain": path.join("server.pem"),
            "address": "127.0.0.1",
        });
        let command = client.command(argument, path)?;
        Some(Program::start(&format!("{client:?}, {scenario}"), command))
    }
}
