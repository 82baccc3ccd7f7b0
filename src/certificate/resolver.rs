//! Which certificate a client gets: the one that covers the name it asks for (SNI, RFC 6066 §3),
//! else the first.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::leaf;
use super::ticket::TicketKeys;

/// A certificate with the names that the configuration gives it.
pub type Named = (Arc<CertifiedKey>, Vec<String>);

/// The certificates of one listener, by name. They can be replaced while clients come: whoever has
/// begun a handshake finishes it with what it began with.
#[derive(Debug)]
pub struct Resolver {
    table: ArcSwap<Table>,
}

#[derive(Debug)]
struct Table {
    names: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl Resolver {
    /// `certificates` in the order of the configuration; the names in the leaf are used besides
    /// those of the configuration. Where two cover a name, the first has it. None if there are no
    /// certificates.
    pub fn new(certificates: &[Named]) -> Option<Self> {
        let table = ArcSwap::from_pointee(Table::new(certificates)?);
        Some(Self { table })
    }

    /// Whoever comes from now on is given these. Without any, it stays as it was.
    pub fn replace(&self, certificates: &[Named]) {
        if let Some(table) = Table::new(certificates) {
            self.table.store(Arc::new(table));
        }
    }

    /// Whether a certificate is there for this name.
    pub fn covers(&self, name: &str) -> bool {
        self.table.load().find(name).is_some()
    }

    /// What a client is shown now that asks for this name, or for none.
    pub fn shown(&self, name: Option<&str>) -> Shown {
        let table = self.table.load();
        let (pair, covers) = table.shown(name);
        Shown {
            pair: Arc::clone(pair),
            covers,
        }
    }
}

/// What a client is shown, whatever is in service later.
#[derive(Clone, Debug)]
pub struct Shown {
    pair: Arc<CertifiedKey>,
    covers: bool,
}

impl Shown {
    /// SHA-256 of the leaf.
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        leaf::fingerprint(&self.pair)
    }

    /// Whether it is there for the name. Who asks for none is content with any.
    pub fn covers(&self) -> bool {
        self.covers
    }
}

impl Table {
    fn new(certificates: &[Named]) -> Option<Self> {
        let (default, _) = certificates.first()?;
        let mut names = HashMap::new();
        for (certificate, configured) in certificates {
            for name in configured.iter().cloned().chain(leaf_names(certificate)) {
                names.entry(name).or_insert_with(|| Arc::clone(certificate));
            }
        }
        Some(Self {
            names,
            default: Arc::clone(default),
        })
    }

    /// What a client is shown that asks for this name, and whether it has the name. Who asks for
    /// none is content with any.
    fn shown(&self, name: Option<&str>) -> (&Arc<CertifiedKey>, bool) {
        let found = name.and_then(|name| self.find(name));
        let covers = name.is_none() || found.is_some();
        (found.unwrap_or(&self.default), covers)
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.names.get(&name).or_else(|| {
            // A wildcard stands for the first label (RFC 9525 §6.3).
            let (_, parent) = name.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        })
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        Some(Arc::clone(table.shown(hello.server_name()).0))
    }
}

/// The DNS names in the leaf's subjectAltName, lower case.
fn leaf_names(certificate: &CertifiedKey) -> Vec<String> {
    let Some(leaf) = certificate.cert.first() else {
        return Vec::new();
    };
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
        return Vec::new();
    };
    let Ok(Some(names)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// How a listener speaks TLS: versions 1.2 and 1.3, HTTP/1.1 only, resumption by tickets, which
/// take no memory here.
///
/// # Errors
/// None with the cryptography that is built in.
pub fn server_config(
    resolver: Arc<Resolver>,
    tickets: Arc<TicketKeys>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets;
    // A client has one WebSocket here, and gets the next ticket with its next connection.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str]) -> Arc<CertifiedKey> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = made.signing_key.serialize_der().try_into().expect("a key");
        let provider = aws_lc_rs::default_provider();
        Arc::new(CertifiedKey::from_der(vec![made.cert.into()], key, &provider).expect("a pair"))
    }

    #[test]
    fn a_client_gets_the_certificate_that_covers_its_name() {
        let first = certificate(&["example.org", "*.example.org"]);
        let second = certificate(&["chat.example.org"]);
        let resolver = Resolver::new(&[
            (Arc::clone(&first), vec!["alias.example.net".into()]),
            (Arc::clone(&second), Vec::new()),
        ])
        .expect("certificates");
        for (asked, expected) in [
            ("example.org", Some(&first)),
            ("Alias.Example.net", Some(&first)),
            ("chat.example.org.", Some(&second)),
            ("chat.example.org..", None),
            ("chat.example.org", Some(&second)),
            ("www.example.org", Some(&first)),
            ("a.b.example.org", None),
            ("example.com", None),
        ] {
            let table = resolver.table.load();
            let found = table.find(asked);
            assert_eq!(found.map(Arc::as_ptr), expected.map(Arc::as_ptr), "{asked}");
        }
    }

    #[test]
    fn whoever_comes_after_a_swap_gets_the_new_one() {
        let (old, new) = (certificate(&["example.org"]), certificate(&["example.org"]));
        let resolver = Resolver::new(&[(Arc::clone(&old), Vec::new())]).expect("a certificate");
        let before = resolver.table.load_full();
        resolver.replace(&[(Arc::clone(&new), Vec::new())]);
        resolver.replace(&[]);
        let now = resolver.table.load_full();
        let found = |table: &Table| table.find("example.org").map(Arc::as_ptr);
        assert_eq!(found(&before), Some(Arc::as_ptr(&old)));
        assert_eq!(found(&now), Some(Arc::as_ptr(&new)));
    }
}
