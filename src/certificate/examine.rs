//! All certificates of a configuration, examined as their clients see them.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::check::{Examination, Subject, examine};
use super::dialled::dialled;
use super::file::File;
use super::roots::TrustedRoots;
use super::x509::Names;
use crate::config::{CertificateConfig, Config, HostPattern, Roots};

/// What the files of one certificate hold.
#[derive(Debug)]
pub struct Files {
    chain: File,
    key: File,
}

impl Files {
    /// Reads both. What goes wrong is kept, not returned.
    pub fn read(certificate: &CertificateConfig) -> Self {
        Self {
            chain: File::read(&certificate.chain),
            key: File::read(&certificate.key),
        }
    }

    /// Tells contents apart, and where they were found: SHA-256.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = Context::new(&SHA256);
        for file in [&self.chain, &self.key] {
            file.digest(&mut all);
        }
        finished(all)
    }

    /// Looks at them.
    pub fn examine(
        &self,
        certificate: &CertificateConfig,
        names: &[HostPattern],
        roots: &TrustedRoots,
    ) -> Examination {
        examine(Subject {
            chain: &self.chain,
            key: &self.key,
            names,
            roots,
            renew_unit: certificate.renew_unit.as_deref(),
        })
    }
}

/// Reads the files of every certificate and looks at them, in the order of the configuration.
pub fn examine_all(config: &Config) -> Vec<Examination> {
    let mut library = Library::default();
    let read: Vec<(Files, Arc<TrustedRoots>)> = config
        .certificates
        .iter()
        .map(|one| (Files::read(one), library.roots(&one.roots)))
        .collect();
    let look = |(place, one): (usize, &CertificateConfig), names: &[_]| {
        let (files, roots) = &read[place];
        files.examine(one, names, roots)
    };
    // The names that a certificate is used for depend on what is in all of them.
    let all = || config.certificates.iter().enumerate();
    let first: Vec<Examination> = all().map(|one| look(one, &[])).collect();
    let in_leaves: HashMap<&str, &Names> = all()
        .filter_map(|(place, one)| Some((one.name.as_str(), first[place].leaf_names()?)))
        .collect();
    all()
        .map(|(place, one)| {
            let names = dialled(config, one, |name| in_leaves.get(name).copied());
            look((place, one), &names)
        })
        .collect()
}

/// Roots that have been read: those of the build only once.
#[derive(Debug, Default)]
pub struct Library {
    public: Option<Arc<TrustedRoots>>,
}

impl Library {
    /// What the configuration names, as it is now.
    pub fn roots(&mut self, roots: &Roots) -> Arc<TrustedRoots> {
        if *roots != Roots::Public {
            return Arc::new(TrustedRoots::read(roots));
        }
        let public = || Arc::new(TrustedRoots::public());
        Arc::clone(self.public.get_or_insert_with(public))
    }
}

pub(super) fn finished(all: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(all.finish().as_ref());
    digest
}
