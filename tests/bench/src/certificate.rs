//! One authority and one ECDSA P-256 certificate, made for the run and shared by all peers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The name that the load generator dials.
pub(crate) const NAME: &str = "bench.test";

/// Where the files of the run are.
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    /// Chain and key in one file, as HAProxy wants it.
    pub(crate) combined: PathBuf,
    /// The authority, for the load generator to trust.
    pub(crate) authority: PathBuf,
}

impl Certificate {
    /// Makes the pair and writes it below `folder`.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let authority_key = KeyPair::generate().context("cannot make the authority's key")?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&authority_key)?;

        let key = KeyPair::generate().context("cannot make the certificate's key")?;
        let leaf = CertificateParams::new(vec![NAME.to_owned()])?
            .signed_by(&key, &Issuer::new(parameters, authority_key))?;

        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok::<_, anyhow::Error>(path)
        };
        Ok(Self {
            chain: write("chain.pem", &leaf.pem())?,
            key: write("key.pem", &key.serialize_pem())?,
            combined: write("combined.pem", &(leaf.pem() + &key.serialize_pem()))?,
            authority: write("authority.pem", &authority.pem())?,
        })
    }
}
