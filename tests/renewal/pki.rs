//! What authorities issue, and how it goes wrong.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use crate::crowd::trust::NAME;
use crate::support::certificate::Identity;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A root, and an authority under it that issues.
pub(crate) struct Pki {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority("batond test root"), key()).unwrap();
        let params = authority("batond test intermediate");
        let intermediate = CertifiedIssuer::signed_by(params, key(), &root).unwrap();
        Self { root, intermediate }
    }

    /// Whom clients trust.
    pub(crate) fn root(&self) -> String {
        self.root.pem()
    }

    /// For the name that clients dial, of 90 days.
    pub(crate) fn issue(&self) -> Identity {
        let now = SystemTime::now();
        self.issue_with(NAME, now - DAY, now + 89 * DAY)
    }

    pub(crate) fn issue_with(&self, name: &str, from: SystemTime, until: SystemTime) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = from.into();
        params.not_after = until.into();
        let key = key();
        let leaf = params.signed_by(&key, &self.intermediate).unwrap();
        Identity {
            chain: leaf.pem() + &self.intermediate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// With the key of another one.
    pub(crate) fn mismatched(&self) -> Identity {
        Identity {
            key: self.issue().key,
            ..self.issue()
        }
    }

    pub(crate) fn expired(&self) -> Identity {
        let now = SystemTime::now();
        self.issue_with(NAME, now - 90 * DAY, now - DAY)
    }

    pub(crate) fn of_another_name(&self) -> Identity {
        let now = SystemTime::now();
        self.issue_with("other.example", now - DAY, now + 89 * DAY)
    }

    /// Without the intermediate.
    pub(crate) fn broken_chain(&self) -> Identity {
        let mut identity = self.issue();
        let end = "-----END CERTIFICATE-----\n";
        // rcgen ends lines as RFC 7468 has it, which is either way.
        let text = identity.chain.replace("\r\n", "\n");
        let leaf = text.split_inclusive(end).next().unwrap();
        identity.chain = leaf.to_owned();
        identity
    }

    pub(crate) fn garbage() -> Identity {
        Identity {
            chain: "\0nonsense\n".repeat(100),
            key: "nonsense".to_owned(),
        }
    }

    /// The second half of the chain is missing.
    pub(crate) fn truncated(&self) -> Identity {
        let mut identity = self.issue();
        identity.chain.truncate(identity.chain.len() * 3 / 4);
        identity
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 3650 * DAY).into();
    params
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}
