//! A certificate that lives as long as the demo: a certificate authority, and a leaf for
//! `localhost` that it signed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

/// The name that the leaf is for.
pub const NAME: &str = "localhost";

/// A leaf for [`NAME`] with its key, and the authority to trust. Nothing else can be signed: the
/// authority's key is gone already.
#[derive(Debug)]
pub struct Certificate {
    leaf: String,
    key: String,
    authority: CertificateDer<'static>,
}

/// Where the files of a certificate are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The leaf, in PEM.
    pub chain: PathBuf,
    /// Its private key, in PEM, readable by its owner only.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes both, valid from yesterday for a week.
    ///
    /// # Errors
    /// When the cryptographic library has no randomness.
    pub fn issue() -> Result<Self, rcgen::Error> {
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let authority_key = KeyPair::generate()?;
        let mut authority = params(Vec::new(), "batond demo authority", today)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_certificate = authority.self_signed(&authority_key)?;

        let key = KeyPair::generate()?;
        let mut leaf = params(vec![NAME.to_owned()], NAME, today)?;
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Self {
            leaf: leaf.pem(),
            key: key.serialize_pem(),
            authority: authority_certificate.der().clone(),
        })
    }

    /// Writes the leaf and its key as new files into `folder`.
    ///
    /// # Errors
    /// When one exists already or cannot be written.
    pub fn write_into(&self, folder: &Path) -> io::Result<Files> {
        let files = Files {
            chain: folder.join("chain.pem"),
            key: folder.join("key.pem"),
        };
        write_new(&files.chain, &self.leaf, 0o644)?;
        write_new(&files.key, &self.key, 0o600)?;
        Ok(files)
    }

    /// What a client needs that trusts this authority and no other.
    ///
    /// # Errors
    /// When rustls does not accept the authority, which it made itself.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn params(
    names: Vec<String>,
    common_name: &str,
    today: Date,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let [yesterday, next_week] = [-1, 7].map(|days| {
        let date = today.saturating_add(days.days());
        let [month, day] = [date.month(), date.day()].map(i8::unsigned_abs);
        rcgen::date_time_ymd(date.year().into(), month, day)
    });
    params.not_before = yesterday;
    params.not_after = next_week;
    Ok(params)
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?
        .write_all(text.as_bytes())
}
