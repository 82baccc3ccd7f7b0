//! What clients are really shown: a handshake through the listener itself, with TLS 1.2 and with
//! TLS 1.3, for the names that they dial and with the roots that they trust.
//!
//! It finds what no look at files and no handshake in memory can: somebody else who listens there,
//! a certificate that is on disk and not in service, a process that does not answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use socket2::{Domain, SockAddr, Socket, Type};

use super::check::SignatureOnly;
use super::file::File;
use super::finding::Part;
use super::leaf;
use super::ledger::Fingerprint;
use super::pem;
use super::resolver::Resolver;
use super::roots::TrustedRoots;
use crate::config::{Address, Roots};

/// For each step of a handshake on the own host.
const PATIENCE: Duration = Duration::from_secs(5);

/// For a whole look. What is left then is left out.
const BUDGET: Duration = Duration::from_secs(60);

/// What is to be looked at.
#[derive(Debug)]
pub struct Job {
    /// By what this process knows its own probes.
    pub protocol: String,
    /// Where clients come in.
    pub ways: Vec<Way>,
    /// What they are to be shown.
    pub certificates: Vec<Candidate>,
}

/// A name that clients dial, and where.
#[derive(Clone, Debug)]
pub struct Way {
    /// The listener's name.
    pub listener: String,
    /// Where it really listens.
    pub address: Address,
    /// What chooses the certificate there.
    pub resolver: Arc<Resolver>,
    /// What is dialled: a DNS name, or an address, of which TLS is not told.
    pub name: String,
}

/// A certificate in service.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name in the configuration.
    pub name: String,
    /// What is served.
    pub fingerprint: Fingerprint,
    /// The chain on disk.
    pub chain: PathBuf,
    /// Whom clients trust.
    pub roots: Roots,
    /// The checks know already that this client does not take it.
    pub is_known_bad: bool,
    /// It is known that what is on disk is not served, and why.
    pub is_refused: bool,
}

/// Something that clients would run into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind it is of.
    pub kind: Kind,
    /// One sentence without a full stop.
    pub what: String,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Another certificate is shown than the one in service.
    Differs,
    /// The one on disk has not been taken up.
    Stale,
    /// A handshake does not come about.
    Fails,
    /// What is shown is not taken, for a reason that the checks do not know.
    Rejected,
}

/// What came of one certificate's look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Handshakes that were done.
    pub shaken: u32,
    /// Why others could not be tried; empty: all could.
    pub impossible: String,
    /// What clients would run into.
    pub troubles: Vec<Trouble>,
}

/// Looks, and reports by the names of the certificates. To be called where it may take long.
pub fn look(job: &Job) -> Vec<(String, Report)> {
    let begun = Instant::now();
    let roots: Vec<TrustedRoots> = job
        .certificates
        .iter()
        .map(|one| TrustedRoots::read(&one.roots))
        .collect();
    let mut reports = vec![Report::default(); job.certificates.len()];
    for (one, report) in job.certificates.iter().zip(&mut reports) {
        report.troubles.extend(stale(one));
    }
    for way in &job.ways {
        for (version, label) in [(&TLS12, "TLS 1.2"), (&TLS13, "TLS 1.3")] {
            if begun.elapsed() > BUDGET {
                break;
            }
            let before = way.expected();
            let seen = shake_hands(way, version, &job.protocol);
            let after = way.expected();
            let is_it = |one: &Candidate| Some(one.fingerprint) == after;
            let Some(place) = job.certificates.iter().position(is_it) else {
                // It has been replaced meanwhile: another look comes soon.
                continue;
            };
            let (one, report) = (&job.certificates[place], &mut reports[place]);
            let where_to = format!("{} on listener {} with {label}", way.name, way.listener);
            match seen {
                Err(Failed::Impossible(why)) => report.impossible = format!("{where_to}: {why}"),
                Err(Failed::Broken(why)) => report.troubles.push(Trouble {
                    kind: Kind::Fails,
                    what: format!("a handshake for {where_to} fails: {why}"),
                }),
                Ok(chain) => {
                    report.shaken += 1;
                    let shown = chain.first().and_then(|leaf| leaf::sha256(leaf));
                    if shown != after && shown != before {
                        report.troubles.push(Trouble {
                            kind: Kind::Differs,
                            what: format!(
                                "whoever dials {where_to} is shown another certificate than the \
                                 one that batond serves, with the SHA-256 {}",
                                shown.map(|it| leaf::hexadecimal(&it)).unwrap_or_default()
                            ),
                        });
                    } else if let Err(why) = verify(&chain, &way.name, &roots[place])
                        && !one.is_known_bad
                    {
                        report.troubles.push(Trouble {
                            kind: Kind::Rejected,
                            what: format!("whoever dials {where_to} does not take it: {why}"),
                        });
                    }
                }
            }
        }
    }
    let names = job.certificates.iter().map(|one| one.name.clone());
    names.zip(reports).collect()
}

impl Way {
    fn expected(&self) -> Option<Fingerprint> {
        let asked = self
            .name
            .parse::<IpAddr>()
            .is_err()
            .then_some(self.name.as_str());
        self.resolver.shown(asked).fingerprint()
    }
}

/// Whether the file has another leaf than what is served. A file that cannot be read is a finding
/// of the checks.
fn stale(one: &Candidate) -> Option<Trouble> {
    if one.is_refused {
        return None;
    }
    let on_disk = pem::certificates(&File::read(&one.chain), Part::Chain).ok()?;
    let found = leaf::sha256(on_disk.first()?)?;
    (found != one.fingerprint).then(|| Trouble {
        kind: Kind::Stale,
        what: format!(
            "{} holds another certificate than the one that is served",
            one.chain.display()
        ),
    })
}

/// Why there was no handshake.
enum Failed {
    /// Nothing can be said: this host may not go there.
    Impossible(String),
    /// Somebody who comes from elsewhere would not get further either.
    Broken(String),
}

fn shake_hands(
    way: &Way,
    version: &'static SupportedProtocolVersion,
    protocol: &str,
) -> Result<Vec<CertificateDer<'static>>, Failed> {
    let broken = |error: rustls::Error| Failed::Broken(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .map_err(broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(SignatureOnly::new(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec(), protocol.as_bytes().to_vec()];
    let name = ServerName::try_from(way.name.clone())
        .map_err(|error| Failed::Impossible(error.to_string()))?;
    let mut client = ClientConnection::new(Arc::new(config), name).map_err(broken)?;
    let mut socket = connect(&way.address).map_err(|error| {
        Failed::Impossible(format!("cannot connect to {}: {error}", way.address))
    })?;
    while client.is_handshaking() {
        if let Err(error) = client.complete_io(&mut socket) {
            // Who is cut off before a word is a client that is not let in here.
            let was_heard =
                error.kind() == io::ErrorKind::InvalidData || client.peer_certificates().is_some();
            return Err(if was_heard {
                Failed::Broken(error.to_string())
            } else {
                Failed::Impossible(format!("no answer from {}: {error}", way.address))
            });
        }
    }
    client.send_close_notify();
    // The last word is the client's. What becomes of it does not matter.
    while client.wants_write() && client.write_tls(&mut socket).is_ok_and(|n| n > 0) {}
    let chain = client.peer_certificates().unwrap_or_default();
    Ok(chain.iter().map(|one| one.clone().into_owned()).collect())
}

fn connect(address: &Address) -> io::Result<Socket> {
    let socket = match address {
        Address::Tcp(address) => {
            let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
            for address in dialled(*address) {
                result = TcpStream::connect_timeout(&address, PATIENCE);
                if result.is_ok() {
                    break;
                }
            }
            Socket::from(result?)
        }
        Address::Unix(path) => unix(path)?,
    };
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // It also bounds how long a full queue is waited for (socket(7)).
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

/// Where a socket that is bound to any address is reached from the same host.
fn dialled(bound: SocketAddr) -> Vec<SocketAddr> {
    let local = |ip: IpAddr| SocketAddr::new(ip, bound.port());
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![local(Ipv4Addr::LOCALHOST.into())],
        IpAddr::V6(ip) if ip.is_unspecified() => vec![
            local(Ipv6Addr::LOCALHOST.into()),
            // It takes IPv4, too, and IPv6 may be switched off.
            local(Ipv4Addr::LOCALHOST.into()),
        ],
        _ => vec![bound],
    }
}

fn verify(chain: &[CertificateDer<'_>], name: &str, roots: &TrustedRoots) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let store = Arc::new(RootCertStore {
        roots: roots.anchors.clone(),
    });
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(store, provider)
        .build()
        .map_err(|error| told(&error))?;
    let name = ServerName::try_from(name).map_err(|error| told(&error))?;
    let (leaf, above) = chain.split_first().ok_or("no certificate is shown")?;
    verifier
        .verify_server_cert(leaf, above, &name, &[], UnixTime::now())
        .map(|_| ())
        .map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_for_all_addresses_is_dialled_on_this_host() {
        for (bound, expected) in [
            ("192.0.2.1:443", &["192.0.2.1:443"][..]),
            ("0.0.0.0:443", &["127.0.0.1:443"]),
            ("[::]:443", &["[::1]:443", "127.0.0.1:443"]),
            ("[2001:db8::1]:443", &["[2001:db8::1]:443"]),
        ] {
            let dialled = dialled(bound.parse().unwrap());
            let dialled: Vec<String> = dialled.iter().map(ToString::to_string).collect();
            assert_eq!(dialled, expected);
        }
    }
}
