//! Following a job to its end by what the bus tells of it.
//!
//! Everything comes from signals, which are heard from before the job begins: a process that hands
//! over may be gone before it could be asked how its job ended.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;
use zbus::message::Type;
use zbus::{MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant};

use super::daemon::Daemon;
use super::failure::Failure;
use super::job::Job;
use super::progress::Progress;
use super::properties::Properties;
use crate::control::dbus::PATH;

/// The interface of a job.
const JOB: &str = "org.batond.Baton1.Job";

/// How long nothing may be heard of a job before it is looked at.
const SILENCE: Duration = Duration::from_secs(5);

/// Properties by name.
type Values = HashMap<String, OwnedVariant>;

/// Has a job begun by this method of the Manager, and follows it to its end, however that is, or
/// until it is in a state in which it waits.
pub(super) async fn follow(
    daemon: &Daemon,
    method: &str,
    body: &(impl serde::Serialize + zbus::DynamicType),
    until: Option<&str>,
    progress: &mut Progress,
) -> Result<Job, Failure> {
    let mut signals = signals_of(daemon).await.map_err(Failure::Other)?;
    let mut jobs = Jobs::default();
    let mut beginning = pin!(daemon.begin::<_, OwnedObjectPath>(method, body));
    let path = loop {
        tokio::select! {
            begun = &mut beginning => break begun?,
            signal = signals.next() => jobs.hear(signal)?,
        }
    };
    jobs.follow(daemon, signals, path, until, progress).await
}

/// Has jobs begun by this method of the Manager, and follows each as [`follow`] does.
pub(super) async fn follow_all(
    daemon: &Daemon,
    method: &str,
    body: &(impl serde::Serialize + zbus::DynamicType),
    until: Option<&str>,
    progress: &mut Progress,
) -> Result<Vec<Job>, Failure> {
    let paths: Vec<OwnedObjectPath> = daemon.begin(method, body).await?;
    let mut all = Vec::new();
    for path in paths {
        let signals = signals_of(daemon).await.map_err(Failure::Other)?;
        let Properties(values) = daemon
            .properties(path.as_str(), "Job")
            .await
            .map_err(gone)?;
        let jobs = Jobs(HashMap::from([(path.clone(), values)]));
        all.push(jobs.follow(daemon, signals, path, until, progress).await?);
    }
    Ok(all)
}

impl Jobs {
    async fn follow(
        mut self,
        daemon: &Daemon,
        mut signals: MessageStream,
        path: OwnedObjectPath,
        until: Option<&str>,
        progress: &mut Progress,
    ) -> Result<Job, Failure> {
        let jobs = &mut self;
        loop {
            if let Some(values) = jobs.0.get(&path) {
                let job = Job::read(Properties::copy(values))?;
                if !job.runs() || until == Some(job.state.as_str()) {
                    progress.end();
                    return Ok(job);
                }
                progress.show(&job);
            }
            match timeout(SILENCE, signals.next()).await {
                Ok(signal) => jobs.hear(signal)?,
                Err(_) => {
                    let Properties(values) = daemon
                        .properties(path.as_str(), "Job")
                        .await
                        .map_err(gone)?;
                    jobs.0.insert(path.clone(), values);
                }
            }
        }
    }
}

/// There was a process: it has ended meanwhile.
fn gone(failure: Failure) -> Failure {
    match failure {
        Failure::NotRunning { .. } => Failure::Gone,
        other => other,
    }
}

async fn signals_of(daemon: &Daemon) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(daemon.owner().clone())
        .path_namespace(PATH)
        .build()?;
    MessageStream::for_match_rule(rule, daemon.connection(), None).await
}

/// The jobs that were heard of, as they are.
#[derive(Default)]
struct Jobs(HashMap<OwnedObjectPath, Values>);

impl Jobs {
    fn hear(&mut self, signal: Option<zbus::Result<Message>>) -> Result<(), Failure> {
        let signal = signal.ok_or(Failure::Gone)?.map_err(Failure::Other)?;
        let header = signal.header();
        let (Some(member), Some(path)) = (header.member(), header.path()) else {
            return Ok(());
        };
        let body = signal.body();
        if *member == "InterfacesAdded" {
            type Added = (OwnedObjectPath, HashMap<String, Values>);
            if let Ok((path, mut interfaces)) = body.deserialize::<Added>()
                && let Some(values) = interfaces.remove(JOB)
            {
                self.0.insert(path, values);
            }
        } else if *member == "PropertiesChanged" {
            type Changed = (String, Values, Vec<String>);
            let job = self.0.get_mut(&OwnedObjectPath::from(path.to_owned()));
            if let (Some(job), Ok((_, changed, _))) = (job, body.deserialize::<Changed>()) {
                job.extend(changed);
            }
        }
        Ok(())
    }
}
