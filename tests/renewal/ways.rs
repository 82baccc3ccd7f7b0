//! The ways in which renewals come to the disk, played as the programs do it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::certificate::Identity;

/// How a pair is put on the disk: first, and again when it is renewed.
pub(crate) trait Way {
    /// For messages.
    const NAME: &'static str;

    /// The place of chain and key under a folder, as the configuration has it.
    fn paths(folder: &Path) -> (PathBuf, PathBuf);

    /// The first pair, before the daemon starts.
    fn begin(folder: &Path, identity: &Identity);

    /// Another one; `number` counts from 2.
    fn renew(folder: &Path, identity: &Identity, number: usize);
}

/// `live/NAME/*.pem` lead to `archive/NAME/*N.pem`, and each link is removed and made again, in
/// the order of certbot's `ALL_FOUR` (certbot/_internal/storage.py).
pub(crate) struct Certbot;

impl Certbot {
    fn archive(folder: &Path, identity: &Identity, number: usize) {
        let archive = folder.join("archive/x");
        fs::create_dir_all(&archive).unwrap();
        for (kind, content) in Self::kinds(identity) {
            fs::write(archive.join(format!("{kind}{number}.pem")), content).unwrap();
        }
    }

    fn kinds(identity: &Identity) -> [(&'static str, &str); 4] {
        [
            ("cert", &identity.chain),
            ("privkey", &identity.key),
            ("chain", &identity.chain),
            ("fullchain", &identity.chain),
        ]
    }
}

impl Way for Certbot {
    const NAME: &'static str = "certbot: four links, one by one";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        let live = folder.join("live/x");
        (live.join("fullchain.pem"), live.join("privkey.pem"))
    }

    fn begin(folder: &Path, identity: &Identity) {
        fs::create_dir_all(folder.join("live/x")).unwrap();
        Self::archive(folder, identity, 1);
        for (kind, _) in Self::kinds(identity) {
            let link = folder.join(format!("live/x/{kind}.pem"));
            symlink(format!("../../archive/x/{kind}1.pem"), link).unwrap();
        }
    }

    fn renew(folder: &Path, identity: &Identity, number: usize) {
        Self::archive(folder, identity, number);
        for (kind, _) in Self::kinds(identity) {
            let link = folder.join(format!("live/x/{kind}.pem"));
            fs::remove_file(&link).unwrap();
            symlink(format!("../../archive/x/{kind}{number}.pem"), link).unwrap();
        }
    }
}

/// Files of their own that stay where they are.
fn plain(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("x.crt"), folder.join("x.key"))
}

fn write_plain(folder: &Path, identity: &Identity) {
    let (chain, key) = plain(folder);
    fs::write(chain, &identity.chain).unwrap();
    fs::write(key, &identity.key).unwrap();
}

/// Truncates each file and writes it.
pub(crate) struct Lego;

impl Way for Lego {
    const NAME: &'static str = "lego: written in place";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        plain(folder)
    }

    fn begin(folder: &Path, identity: &Identity) {
        write_plain(folder, identity);
    }

    fn renew(folder: &Path, identity: &Identity, _: usize) {
        write_plain(folder, identity);
    }
}

/// `cat key > file`, `cat fullchain > file`: truncated, and written piece by piece.
pub(crate) struct AcmeSh;

impl Way for AcmeSh {
    const NAME: &'static str = "acme.sh: truncated, then piece by piece";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        plain(folder)
    }

    fn begin(folder: &Path, identity: &Identity) {
        write_plain(folder, identity);
    }

    fn renew(folder: &Path, identity: &Identity, _: usize) {
        let (chain, key) = plain(folder);
        for (path, content) in [(key, &identity.key), (chain, &identity.chain)] {
            let mut file = File::create(path).unwrap();
            for piece in content.as_bytes().chunks(100) {
                file.write_all(piece).unwrap();
            }
        }
    }
}

/// A file beside it, which takes its name.
pub(crate) struct Rename;

impl Way for Rename {
    const NAME: &'static str = "atomic rename";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        plain(folder)
    }

    fn begin(folder: &Path, identity: &Identity) {
        write_plain(folder, identity);
    }

    fn renew(folder: &Path, identity: &Identity, _: usize) {
        let (chain, key) = plain(folder);
        for (path, content) in [(chain, &identity.chain), (key, &identity.key)] {
            let new = path.with_extension("new");
            fs::write(&new, content).unwrap();
            fs::rename(new, path).unwrap();
        }
    }
}

/// `tls.crt` leads to `..data/tls.crt`, and `..data` to a folder of the moment, and only that link
/// is replaced (kubernetes, pkg/volume/util/atomic_writer.go).
pub(crate) struct Kubernetes;

impl Kubernetes {
    fn data(folder: &Path, identity: &Identity, number: usize) {
        let moment = format!("..2026_11_28_{number}");
        let data = folder.join(&moment);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("tls.crt"), &identity.chain).unwrap();
        fs::write(data.join("tls.key"), &identity.key).unwrap();
        symlink(&moment, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }
}

impl Way for Kubernetes {
    const NAME: &'static str = "Kubernetes: ..data";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        (folder.join("tls.crt"), folder.join("tls.key"))
    }

    fn begin(folder: &Path, identity: &Identity) {
        Self::data(folder, identity, 1);
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), folder.join(file)).unwrap();
        }
    }

    fn renew(folder: &Path, identity: &Identity, number: usize) {
        Self::data(folder, identity, number);
        let before = format!("..2026_11_28_{}", number - 1);
        fs::remove_dir_all(folder.join(before)).unwrap();
    }
}

/// A folder above is replaced by another.
pub(crate) struct Grandparent;

impl Grandparent {
    fn fill(folder: &Path, identity: &Identity) {
        fs::create_dir_all(folder.join("now/x")).unwrap();
        write_plain(&folder.join("now/x"), identity);
    }
}

impl Way for Grandparent {
    const NAME: &'static str = "a folder above is swapped";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        plain(&folder.join("tls/now/x"))
    }

    fn begin(folder: &Path, identity: &Identity) {
        Self::fill(&folder.join("tls"), identity);
    }

    fn renew(folder: &Path, identity: &Identity, number: usize) {
        let new = folder.join("new");
        Self::fill(&new, identity);
        let tls = folder.join("tls");
        fs::rename(&tls, folder.join(format!("old{number}"))).unwrap();
        fs::rename(new, tls).unwrap();
    }
}

/// Both files are removed, and made again.
pub(crate) struct Recreate;

impl Way for Recreate {
    const NAME: &'static str = "deleted and made again";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        plain(folder)
    }

    fn begin(folder: &Path, identity: &Identity) {
        write_plain(folder, identity);
    }

    fn renew(folder: &Path, identity: &Identity, _: usize) {
        let (chain, key) = plain(folder);
        fs::remove_file(chain).unwrap();
        fs::remove_file(key).unwrap();
        write_plain(folder, identity);
    }
}

/// Written through other hard links of the files, in a folder that nobody watches: as on a network
/// file system, there are no events.
pub(crate) struct Silent;

impl Silent {
    fn elsewhere(folder: &Path) -> PathBuf {
        folder.join("elsewhere")
    }
}

impl Way for Silent {
    const NAME: &'static str = "no events";

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        plain(&folder.join("here"))
    }

    fn begin(folder: &Path, identity: &Identity) {
        let (here, elsewhere) = (folder.join("here"), Self::elsewhere(folder));
        fs::create_dir(&here).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        write_plain(&here, identity);
        for file in ["x.crt", "x.key"] {
            fs::hard_link(here.join(file), elsewhere.join(file)).unwrap();
        }
    }

    fn renew(folder: &Path, identity: &Identity, _: usize) {
        write_plain(&Self::elsewhere(folder), identity);
    }
}
