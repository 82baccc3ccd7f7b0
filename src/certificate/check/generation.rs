//! certbot keeps every renewal as `archive/NAME/fullchain3.pem` with `privkey3.pem`, and replaces
//! one symbolic link after the other.

use std::path::Path;

use crate::certificate::file::File;
use crate::certificate::finding::{Fault, Finding, Part, Severity};

/// Chain and key that lie in the same folder, with different numbers.
pub(super) fn check(chain: &File, key: &File) -> Option<Finding> {
    let (chain, key) = (chain.target.as_deref()?, key.target.as_deref()?);
    let same_folder = chain.parent() == key.parent();
    let of_chain = generation(chain, &["fullchain", "chain", "cert"])?;
    let of_key = generation(key, &["privkey"])?;
    (same_folder && of_chain != of_key).then(|| {
        Finding::fatal(
            Fault::GenerationMismatch,
            Part::Key,
            key.display().to_string(),
            format!(
                "the chain is {} of renewal {of_chain}, but the key is {} of renewal {of_key}",
                chain.display(),
                key.display()
            ),
            "let both links lead to the same renewal; `certbot update_symlinks` does it",
        )
        // Where the key was used again, the pair works all the same.
        .harmless(Severity::Warning)
    })
}

/// 3 of `fullchain3.pem`.
fn generation(path: &Path, kinds: &[&str]) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".pem")?;
    let number = kinds.iter().find_map(|kind| name.strip_prefix(kind))?;
    number.parse().ok()
}
