//! A peer that runs, with the load generators that belong to it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Loader, Measure, Sample, Stage, free_addresses};
use crate::load::Round;
use crate::peer::{Peer, Site};
use crate::process::Process;

pub(crate) struct Entrant {
    pub(crate) peer: Peer,
    pub(crate) version: String,
    program: PathBuf,
    /// Started when a measure is first taken, then kept with their connections.
    loaders: Vec<(Measure, Loader)>,
    instance: Instance,
}

/// One running proxy.
pub(crate) struct Instance {
    peer: Peer,
    name: String,
    pub(crate) process: Process,
    address: SocketAddr,
}

impl Entrant {
    pub(crate) fn start(peer: Peer, program: PathBuf, stage: &mut Stage) -> Result<Self> {
        let version = peer.version(&program);
        let instance = Instance::start(peer, program.clone(), stage, "")?;
        Ok(Self {
            peer,
            version,
            program,
            loaders: Vec::new(),
            instance,
        })
    }

    /// Another instance, for what must begin with a fresh process.
    pub(crate) fn again(&self, stage: &mut Stage) -> Result<Instance> {
        Instance::start(self.peer, self.program.clone(), stage, "-again")
    }

    pub(crate) fn sample(
        &mut self,
        measure: Measure,
        round: Round,
        stage: &Stage,
    ) -> Result<Sample> {
        let at = match self.loaders.iter().position(|(taken, _)| *taken == measure) {
            Some(at) => at,
            None => {
                let loader = self
                    .instance
                    .loader(measure.label(), &measure.work(), stage)?;
                self.loaders.push((measure, loader));
                self.loaders.len() - 1
            }
        };
        self.instance.sample(&mut self.loaders[at].1, round, stage)
    }
}

impl Instance {
    fn start(peer: Peer, program: PathBuf, stage: &mut Stage, suffix: &str) -> Result<Self> {
        let address = free_addresses(1)?[0];
        let name = format!("{}{suffix}", peer.name().replace(' ', "-"));
        let folder = stage.folder.path().join(&name);
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let site = Site {
            listen: address,
            backend: stage
                .backends
                .pop()
                .context("the application has no port left")?,
            certificate: &stage.certificate,
            folder: &folder,
        };
        let launch = peer.configure(program, &site)?;
        let mut process = Process::start(&name, peer.cores(), &launch, &folder, false)?;
        process.wait_until_listening(address)?;
        Ok(Self {
            peer,
            name,
            process,
            address,
        })
    }

    /// A load generator with its connections to this instance.
    pub(crate) fn loader(&mut self, name: &str, work: &[String], stage: &Stage) -> Result<Loader> {
        let authority = self
            .peer
            .speaks_tls()
            .then_some(stage.certificate.authority.as_path());
        let name = format!("{} {name}", self.name);
        let loader = Loader::start(&name, self.address, authority, work, stage.folder.path())
            .with_context(|| self.process.last_words())?;
        self.process.find_workers()?;
        self.process.check_pinned(self.peer.cores())?;
        Ok(loader)
    }

    /// One round, and what it cost the proxy and the application.
    pub(crate) fn sample(
        &self,
        loader: &mut Loader,
        round: Round,
        stage: &Stage,
    ) -> Result<Sample> {
        self.sample_after(loader, round, stage, |_| {})
    }

    /// One round that begins with `what` is done to the proxy.
    pub(crate) fn sample_after(
        &self,
        loader: &mut Loader,
        round: Round,
        stage: &Stage,
        what: impl FnOnce(&Process),
    ) -> Result<Sample> {
        let proxy = self.process.cpu_ns()?;
        let application = stage.application.cpu_ns()?;
        what(&self.process);
        let outcome = loader
            .round(round)
            .with_context(|| self.process.last_words())?;
        Ok(Sample {
            outcome,
            proxy_ns: self.process.cpu_ns()? - proxy,
            application_ns: stage.application.cpu_ns()? - application,
        })
    }
}
