//! A folder with configuration files, which goes away with its test.

use std::fs;
use std::path::{Path, PathBuf};

use batond::config::{self, Config, Problems, Source};

pub(crate) struct Folder {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Folder {
    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            env: Vec::new(),
        }
    }

    /// A folder with this main file.
    pub(crate) fn with(main: impl AsRef<[u8]>) -> Self {
        Self::empty().and("batond.toml", main)
    }

    /// Adds a file, by its path in the folder.
    pub(crate) fn and(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
        fs::write(path, content).expect("a file");
        self
    }

    /// Adds an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn source(&self) -> Source {
        Source {
            env: self.env.clone(),
            ..Source::at(self.path("batond.toml"))
        }
    }

    pub(crate) fn load(&self) -> Result<Config, Problems> {
        config::load(&self.source())
    }

    /// The configuration, which must be a good one.
    #[track_caller]
    pub(crate) fn good(&self) -> Config {
        self.load()
            .unwrap_or_else(|problems| panic!("it should be good:\n{problems}"))
    }

    /// What is said about it, with paths as seen from the folder.
    #[track_caller]
    pub(crate) fn told(&self) -> String {
        match self.load() {
            Ok(config) => panic!("it should have problems: {config:#?}"),
            Err(problems) => self.relative(&problems.to_string()),
        }
    }

    fn relative(&self, text: &str) -> String {
        let folder: &Path = self.folder.path();
        text.replace(&format!("{}/", folder.display()), "")
    }
}

/// What is said about a main file.
#[track_caller]
pub(crate) fn told(main: &str) -> String {
    Folder::with(main).told()
}
