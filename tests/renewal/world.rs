//! A daemon with a certificate that came to the disk in some way, and its clients.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use batond::demo::backend::Backend;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::bus::Bus;
use crate::crowd::books::End;
use crate::crowd::trust::{NAME, Trust};
use crate::crowd::{Crowd, Plan};
use crate::pki::Pki;
use crate::probe::Prober;
use crate::support::batond::{Batond, Launch};
use crate::support::certificate::Identity;
use crate::support::sockets::Sockets;
use crate::ways::Way;

const STEADY: usize = 500;
const NEWCOMER_EVERY: Duration = Duration::from_millis(20);

/// One crowd at a time is enough for a machine.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct World {
    pub(crate) batond: Batond,
    pub(crate) pki: Pki,
    pub(crate) prober: Prober,
    address: SocketAddr,
    bus: Bus,
    folder: TempDir,
    _sockets: Sockets,
    _backend: Backend,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// With a first pair that is good.
    pub(crate) fn start<W: Way>() -> Self {
        Self::start_with::<W>("", Pki::issue)
    }

    /// With these settings of the certificate, and this first pair.
    pub(crate) fn start_with<W: Way>(settings: &str, first: impl Fn(&Pki) -> Identity) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let backend = Backend::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new();
        let place = folder.path().join("certificates");
        fs::create_dir(&place).unwrap();
        W::begin(&place, &first(&pki));
        let (chain, key) = W::paths(&place);
        let roots = folder.path().join("roots.pem");
        fs::write(&roots, pki.root()).unwrap();
        let mut sockets = Sockets::new();
        let address = sockets.tcp("wss");
        let configuration = format!(
            "[listener.wss]\naddress = \"{address}\"\ncertificates = [\"one\"]\n\
             [certificate.one]\nchain = \"{}\"\nkey = \"{}\"\nnames = [\"{NAME}\"]\n\
             roots = \"{}\"\n{settings}[service.echo]\nbackends = [\"{}\"]\n\
             [limits]\nclients = 2000\nhandshake_timeout = \"300s\"\n",
            chain.display(),
            key.display(),
            roots.display(),
            backend.address()
        );
        let bus = Bus::start().expect("dbus-daemon (tests/run installs it)");
        let batond = Launch::new(&configuration)
            .sockets(&sockets)
            .variable("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
            .start();
        Self {
            prober: Prober::new(address, &pki.root()),
            batond,
            pki,
            address,
            bus,
            folder,
            _sockets: sockets,
            _backend: backend,
            _turn: turn,
        }
    }

    /// Where the way begins.
    pub(crate) fn place(&self) -> PathBuf {
        self.folder.path().join("certificates")
    }

    /// Runs `batonctl`.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batonctl"));
        command.args(["--bus", &self.bus.address]).args(arguments);
        command.output().unwrap()
    }

    /// What it says with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.ctl(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Its clients, all of them present.
    pub(crate) fn crowd(&self) -> Crowd {
        let crowd = Crowd::gather(Plan {
            address: self.address,
            trust: Trust::new(&self.pki.root(), &[&TLS13, &TLS12]),
            steady: STEADY,
            says_every: Duration::from_secs(1),
            newcomer_every: NEWCOMER_EVERY,
            resumes: false,
        });
        crowd.wait("everybody to be there", |books| books.present == STEADY);
        crowd.take_books();
        crowd.newcomers_come(true);
        crowd.wait_for_newcomers(10);
        crowd
    }

    /// Everything that was written down is good: nobody failed, and nobody was touched. How many
    /// came.
    pub(crate) fn nobody_noticed(&self, crowd: &Crowd) -> usize {
        crowd.newcomers_come(false);
        crowd.wait("the last newcomer", |books| books.under_way == 0);
        let books = crowd.take_books();
        assert_eq!(books.present, STEADY);
        assert!(books.departures.is_empty(), "{:?}", books.departures);
        assert!(books.returns.is_empty(), "{:?}", books.returns);
        for one in &books.newcomers {
            assert!(one.arrival.failure.is_none(), "{one:?}");
            assert!(matches!(one.end, Some(End::Left)), "{one:?}");
        }
        books.newcomers.len()
    }
}
