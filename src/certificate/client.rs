//! The families of clients, which do not take the same certificates.

use std::fmt;

use serde::Serialize;

/// Clients that judge a certificate alike, because they share the code that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// What rests on OpenSSL: curl, Node, Python before 3.13, Ruby, PHP.
    Openssl,
    /// Python from 3.13 on, which asks OpenSSL for X509_STRICT (docs of `ssl`, "What's new").
    Python,
    /// Chromium, Chrome, Edge, Electron.
    Chromium,
    /// Firefox.
    Firefox,
    /// What rests on GnuTLS: wget, GNOME programs.
    Gnutls,
    /// The Java platform's own TLS.
    Java,
    /// Go's own TLS.
    Go,
    /// What rests on rustls with webpki.
    Rustls,
}

impl Client {
    /// Every family.
    pub const ALL: &'static [Self] = &[
        Self::Openssl,
        Self::Python,
        Self::Chromium,
        Self::Firefox,
        Self::Gnutls,
        Self::Java,
        Self::Go,
        Self::Rustls,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Openssl => "OpenSSL (curl, Node, Python)",
            Self::Python => "Python from 3.13",
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
            Self::Gnutls => "GnuTLS",
            Self::Java => "Java",
            Self::Go => "Go",
            Self::Rustls => "rustls",
        }
    }
}

/// Which clients fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Affected(Vec<Client>);

impl Affected {
    /// These, each once, in the order of [`Client::ALL`].
    pub fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        let mut clients: Vec<Client> = clients.into_iter().collect();
        clients.sort_unstable();
        clients.dedup();
        Self(clients)
    }

    /// No client fails.
    pub fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Every client fails.
    pub fn everyone() -> Self {
        Self::new(Client::ALL.iter().copied())
    }

    /// Whether no client fails.
    pub fn is_nobody(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every client fails.
    pub fn is_everyone(&self) -> bool {
        self.0.len() == Client::ALL.len()
    }

    /// Whether this one fails.
    pub fn contains(&self, client: Client) -> bool {
        self.0.contains(&client)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Client> + '_ {
        self.0.iter().copied()
    }
}

/// `every client`, `no client`, or the families by name.
impl fmt::Display for Affected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everyone() {
            return out.write_str("every client");
        }
        let Some((last, rest)) = self.0.split_last() else {
            return out.write_str("no client");
        };
        for (number, client) in rest.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(out, "{comma}{}", client.label())?;
        }
        let and = if rest.is_empty() { "" } else { " and " };
        write!(out, "{and}{}", last.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_by_name() {
        let told = |clients: &[Client]| Affected::new(clients.iter().copied()).to_string();
        assert_eq!(told(&[]), "no client");
        assert_eq!(told(&[Client::Firefox]), "Firefox");
        assert_eq!(
            told(&[Client::Rustls, Client::Java, Client::Chromium]),
            "Chromium, Java and rustls"
        );
        assert_eq!(told(Client::ALL), "every client");
    }
}
