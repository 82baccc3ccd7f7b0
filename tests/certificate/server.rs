//! A server for each row: with batond's own TLS configuration where it takes the pair.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use batond::certificate::load;
use batond::certificate::resolver::{Resolver, server_config};
use batond::certificate::ticket::TicketKeys;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Bounds a hang, and measures nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; it ends with the test.
pub(crate) struct Running {
    pub(crate) port: u16,
    child: Option<Child>,
}

/// Serves these files as batond does.
pub(crate) fn batond(chain: &Path, key: &Path) -> Running {
    let pair = load::load(chain, key).expect("batond takes the pair");
    let resolver = Resolver::new(&[(pair, Vec::new())]).expect("there is a pair");
    let tickets = Arc::new(TicketKeys::generate().expect("randomness"));
    let config = server_config(Arc::new(resolver), tickets).expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // What becomes of the connection is for the client to say.
            thread::spawn(move || drop(answer(client, config)));
        }
    });
    Running { port, child: None }
}

fn answer(client: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, client);
    let mut request = [0; 4096];
    if stream.read(&mut request)? > 0 {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        stream.write_all(answer)?;
    }
    stream.conn.send_close_notify();
    stream.flush()
}

/// Serves them with `openssl s_server`, which takes what it should not.
pub(crate) fn openssl(chain: &Path, key: &Path) -> Running {
    let mut child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-www"])
        .args(["-cipher", "DEFAULT:@SECLEVEL=0"])
        .arg("-cert")
        .arg(chain)
        .arg("-cert_chain")
        .arg(chain)
        .arg("-key")
        .arg(key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start openssl (run tests/certificate/install)");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let port = output.lines().map_while(Result::ok).find_map(|line| {
        line.strip_prefix("ACCEPT ")?
            .rsplit(':')
            .next()?
            .parse()
            .ok()
    });
    Running {
        port: port.expect("openssl s_server says its port"),
        child: Some(child),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
