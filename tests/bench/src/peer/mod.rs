//! Who takes part. Each peer gets one worker or thread, one core, the same certificate, TLS 1.3
//! with AES-128-GCM, no access log, and room for all clients.

mod batond;
mod haproxy;
mod nginx;
mod sozu;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::certificate::Certificate;
use crate::process::Launch;
use crate::run::{LOAD_CORE, PROXY_CORE};

/// How many clients every peer must have room for. Each costs a proxy two descriptors.
pub(crate) const ROOM: usize = 9_800;

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// The application itself, plain, where the proxy would be
    #[value(skip)]
    #[serde(rename = "no proxy")]
    None,
    #[serde(rename = "batond")]
    Batond,
    /// Two workers on both cores, to see whether a second one makes anything dearer
    #[value(name = "batond-2")]
    #[serde(rename = "batond-2")]
    BatondTwo,
    #[serde(rename = "haproxy")]
    Haproxy,
    #[serde(rename = "nginx")]
    Nginx,
    /// nginx with proxy_buffer_size 32k, which large messages need and idle clients pay for
    #[value(name = "nginx-32k")]
    #[serde(rename = "nginx-32k")]
    NginxLarge,
    #[serde(rename = "sozu")]
    Sozu,
}

/// Where the programs are, if not in PATH.
#[derive(clap::Args)]
pub(crate) struct Programs {
    /// The batond to measure
    #[arg(long, default_value = "target/release/batond")]
    pub(crate) batond: PathBuf,
    /// The Sōzu to compare with
    #[arg(long, default_value = "target/peers/bin/sozu")]
    pub(crate) sozu: PathBuf,
}

/// What a configuration is made of.
pub(crate) struct Site<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) backend: SocketAddr,
    pub(crate) certificate: &'a Certificate,
    /// For the configuration and whatever else the peer keeps.
    pub(crate) folder: &'a Path,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no proxy",
            Self::Batond => "batond",
            Self::BatondTwo => "batond-2",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::NginxLarge => "nginx-32k",
            Self::Sozu => "sozu",
        }
    }

    /// Whether it is one to compare batond with.
    pub(crate) fn is_rival(self) -> bool {
        !matches!(self, Self::None | Self::Batond | Self::BatondTwo)
    }

    /// Where it runs.
    pub(crate) fn cores(self) -> &'static [usize] {
        match self {
            Self::BatondTwo => &[PROXY_CORE, LOAD_CORE],
            _ => &[PROXY_CORE],
        }
    }

    pub(crate) fn speaks_tls(self) -> bool {
        self != Self::None
    }

    /// The program, or why there is none.
    pub(crate) fn program(self, programs: &Programs) -> Result<PathBuf, String> {
        let (path, otherwise) = match self {
            Self::None => return std::env::current_exe().map_err(|error| error.to_string()),
            Self::Batond | Self::BatondTwo => (
                programs.batond.clone(),
                "cargo build --release, or --batond PATH",
            ),
            Self::Haproxy => ("haproxy".into(), "apt-get install haproxy"),
            Self::Nginx | Self::NginxLarge => ("nginx".into(), "apt-get install nginx-light"),
            Self::Sozu => (
                programs.sozu.clone(),
                "tests/bench/run builds it, or --sozu PATH",
            ),
        };
        find(&path).ok_or_else(|| format!("there is no {} ({otherwise})", path.display()))
    }

    /// What the program calls itself.
    pub(crate) fn version(self, program: &Path) -> String {
        let flag = match self {
            Self::None => return "the application behind all of them".to_owned(),
            Self::Haproxy | Self::Nginx | Self::NginxLarge => "-v",
            Self::Batond | Self::BatondTwo | Self::Sozu => "--version",
        };
        let Ok(output) = Command::new(program).arg(flag).output() else {
            return "version unknown".to_owned();
        };
        // nginx says it on standard error.
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text)
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    /// Writes its configuration; returns how to start it.
    pub(crate) fn configure(self, program: PathBuf, site: &Site) -> Result<Launch> {
        let arguments = match self {
            Self::None => {
                vec![
                    "echo".into(),
                    "--port".into(),
                    site.listen.port().to_string().into(),
                ]
            }
            Self::Batond => batond::configure(site, 1)?,
            Self::BatondTwo => batond::configure(site, 2)?,
            Self::Haproxy => haproxy::configure(site)?,
            Self::Nginx => nginx::configure(site, None)?,
            Self::NginxLarge => nginx::configure(site, Some("32k"))?,
            Self::Sozu => sozu::configure(site)?,
        };
        Ok(Launch { program, arguments })
    }
}

/// A path with a slash as it is, anything else in PATH and where Debian puts daemons.
fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.canonicalize().ok();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
