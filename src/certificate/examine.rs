//! All certificates of a configuration, examined as their clients see them.

use std::collections::HashMap;

use super::check::{Examination, Subject, examine};
use super::dialled::dialled;
use super::file::File;
use super::roots::TrustedRoots;
use super::x509::Names;
use crate::config::{CertificateConfig, Config};

/// Reads the files of every certificate and looks at them, in the order of the configuration.
pub fn examine_all(config: &Config) -> Vec<Examination> {
    let files: Vec<(File, File, TrustedRoots)> = config
        .certificates
        .iter()
        .map(|one| {
            let roots = TrustedRoots::read(&one.roots);
            (File::read(&one.chain), File::read(&one.key), roots)
        })
        .collect();
    let look = |(place, one): (usize, &CertificateConfig), names: &[_]| {
        let (chain, key, roots) = &files[place];
        examine(Subject {
            chain,
            key,
            names,
            roots,
            renew_unit: one.renew_unit.as_deref(),
        })
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
