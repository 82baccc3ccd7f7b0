//! Certificates as authorities issue them, good ones and such as they should not.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm,
};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Changes to what is usual.
pub(crate) type Edit<'a> = &'a dyn Fn(&mut CertificateParams);

/// A certificate with its key, which may issue others.
#[derive(Clone)]
pub(crate) struct Identity {
    params: Rc<CertificateParams>,
    key: Rc<KeyPair>,
    certificate: Rc<Certificate>,
}

impl Identity {
    /// A root, valid from ten years ago for ten years more.
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, key(), &|_| {})
    }

    pub(crate) fn root_with(name: &str, key: KeyPair, edit: Edit<'_>) -> Self {
        let mut params = authority(name);
        params.not_before = (SystemTime::now() - 3650 * DAY).into();
        params.not_after = (SystemTime::now() + 3650 * DAY).into();
        edit(&mut params);
        Self::self_signed(params, key)
    }

    /// An authority under this one, valid from a year ago for three years more.
    pub(crate) fn authority(&self, name: &str) -> Self {
        self.authority_with(name, key(), &|_| {})
    }

    pub(crate) fn authority_with(&self, name: &str, key: KeyPair, edit: Edit<'_>) -> Self {
        let mut params = authority(name);
        edit(&mut params);
        self.issue(params, Rc::new(key))
    }

    /// The authority of that other one, with its name and its key, certified by this one.
    pub(crate) fn cross_sign(&self, other: &Self, edit: Edit<'_>) -> Self {
        let mut params = (*other.params).clone();
        params.use_authority_key_identifier_extension = true;
        edit(&mut params);
        self.issue(params, Rc::clone(&other.key))
    }

    /// A server's certificate, valid from yesterday for 89 days more.
    pub(crate) fn leaf(&self, names: &[&str]) -> Self {
        self.leaf_with(names, key(), &|_| {})
    }

    pub(crate) fn leaf_with(&self, names: &[&str], key: KeyPair, edit: Edit<'_>) -> Self {
        let mut params = server(names);
        edit(&mut params);
        self.issue(params, Rc::new(key))
    }

    /// A server's certificate that nobody has issued.
    pub(crate) fn self_signed_leaf(names: &[&str], edit: Edit<'_>) -> Self {
        let mut params = server(names);
        params.use_authority_key_identifier_extension = false;
        edit(&mut params);
        Self::self_signed(params, key())
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn key_der(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    fn self_signed(params: CertificateParams, key: KeyPair) -> Self {
        let certificate = params.self_signed(&key).expect("sign the certificate");
        Self {
            params: Rc::new(params),
            key: Rc::new(key),
            certificate: Rc::new(certificate),
        }
    }

    fn issue(&self, params: CertificateParams, key: Rc<KeyPair>) -> Self {
        let issuer = Issuer::from_params(&self.params, &*self.key);
        let certificate = params.signed_by(&*key, &issuer);
        Self {
            params: Rc::new(params),
            key,
            certificate: Rc::new(certificate.expect("sign the certificate")),
        }
    }
}

/// One after the other in one file.
pub(crate) fn bundle(all: &[&Identity]) -> String {
    all.iter().map(|one| one.pem()).collect()
}

pub(crate) fn key() -> KeyPair {
    key_for(&PKCS_ECDSA_P256_SHA256)
}

pub(crate) fn key_for(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).expect("generate a key")
}

/// When it begins and ends, in days from now.
pub(crate) fn lives(params: &mut CertificateParams, from: f64, until: f64) {
    params.not_before = shifted(from).into();
    params.not_after = shifted(until).into();
}

fn shifted(days: f64) -> SystemTime {
    let now = SystemTime::now();
    let span = DAY.mul_f64(days.abs());
    if days < 0.0 { now - span } else { now + span }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    lives(&mut params, -365.0, 3.0 * 365.0);
    params
}

fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let first = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names).expect("names fit into a certificate");
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, first);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    lives(&mut params, -1.0, 89.0);
    params
}
