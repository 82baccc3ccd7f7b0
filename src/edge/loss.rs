//! A backend is lost: what its clients are told depends on whether it comes back. The edge does
//! not know; whoever knows the unit is asked, once for all the clients of the backend.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::backend::Backend;

/// How long the clients of a lost backend wait for the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an answer holds, since the connections of a backend need not break all at once.
const VALIDITY: Duration = Duration::from_secs(1);

/// Questions that may wait to be read. There is one a backend.
pub(super) const QUESTIONS: usize = 64;

/// Connections to a backend have broken: does it come back? [`Backend::settle`] is the answer,
/// expected within a second.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The name of the service.
    pub service: String,
    /// The backend, which has a unit.
    pub backend: Arc<Backend>,
}

/// What a loss means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The unit is being started again: clients are told `restart.close_code`.
    Restarting,
    /// Nothing says that it comes back: `restart.lost_code`.
    Gone,
}

/// The question of one backend.
#[derive(Debug, Default)]
pub(super) struct Question {
    asked: Mutex<Option<Asked>>,
}

#[derive(Debug)]
struct Asked {
    answer: watch::Sender<Option<Fate>>,
    /// The answer is awaited, or holds, until then.
    until: Instant,
}

impl Backend {
    /// Answers the [`Loss`] of this backend. The answer holds for a second, also for connections
    /// that break only then.
    pub fn settle(&self, fate: Fate) {
        let mut asked = self.question.lock();
        let asked = asked.get_or_insert_with(Asked::new);
        asked.until = Instant::now() + VALIDITY;
        asked.answer.send_replace(Some(fate));
    }

    /// What the loss of this backend means. Resolves within a second; without an answer, it is
    /// [`Fate::Gone`].
    pub(super) async fn fate(self: Arc<Self>, service: &str, losses: &mpsc::Sender<Loss>) -> Fate {
        let (mut answer, until) = {
            let mut asked = self.question.lock();
            let open = asked.take().filter(|one| one.until > Instant::now());
            let open = asked.insert(open.unwrap_or_else(|| {
                let loss = Loss {
                    service: service.to_owned(),
                    backend: Arc::clone(&self),
                };
                let new = Asked::new();
                if losses.try_send(loss).is_err() {
                    // Nobody reads them.
                    new.answer.send_replace(Some(Fate::Gone));
                }
                new
            }));
            (open.answer.subscribe(), open.until)
        };
        let answered = timeout_at(until, answer.wait_for(Option::is_some)).await;
        match answered {
            Ok(Ok(fate)) => fate.unwrap_or(Fate::Gone),
            _ => Fate::Gone,
        }
    }
}

impl Question {
    fn lock(&self) -> MutexGuard<'_, Option<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn new() -> Self {
        Self {
            answer: watch::Sender::new(None),
            until: Instant::now() + PATIENCE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BackendAddress, BackendConfig};

    fn backend() -> Arc<Backend> {
        let config = BackendConfig {
            address: BackendAddress::Tcp("127.0.0.1:8080".into()),
            unit: Some("app.service".into()),
        };
        Arc::new(Backend::new(&config, None))
    }

    fn block_on<F: Future>(test: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build();
        runtime.expect("a runtime").block_on(test)
    }

    #[test]
    fn a_thousand_relays_ask_one_question_and_get_one_answer() {
        block_on(async {
            let (losses, mut questions) = mpsc::channel(QUESTIONS);
            let backend = backend();
            let relays = (0..1000).map(|_| Arc::clone(&backend).fate("app", &losses));
            let relays = futures_util::future::join_all(relays);
            let answering = async {
                let loss = questions.recv().await.expect("a question");
                assert_eq!(loss.service, "app");
                assert_eq!(loss.backend.unit(), Some("app.service"));
                loss.backend.settle(Fate::Restarting);
            };
            let (fates, ()) = tokio::join!(relays, answering);
            assert_eq!(fates, [Fate::Restarting; 1000]);
            assert!(questions.try_recv().is_err(), "asked twice");
        });
    }

    #[test]
    fn without_an_answer_it_is_gone_and_asked_anew() {
        block_on(async {
            let (losses, mut questions) = mpsc::channel(QUESTIONS);
            let backend = backend();
            for _ in 0..2 {
                let fate = Arc::clone(&backend).fate("app", &losses).await;
                assert_eq!(fate, Fate::Gone);
                assert!(questions.try_recv().is_ok(), "not asked");
            }
        });
    }

    #[test]
    fn an_answer_does_not_hold_for_ever() {
        block_on(async {
            let (losses, mut questions) = mpsc::channel(QUESTIONS);
            let backend = backend();
            backend.settle(Fate::Restarting);
            tokio::time::sleep(VALIDITY).await;
            let fate = Arc::clone(&backend).fate("app", &losses).await;
            assert_eq!(fate, Fate::Gone);
            assert!(questions.try_recv().is_ok(), "not asked");
        });
    }

    #[test]
    fn where_nobody_reads_it_is_gone() {
        block_on(async {
            let (losses, questions) = mpsc::channel(QUESTIONS);
            drop(questions);
            assert_eq!(backend().fate("app", &losses).await, Fate::Gone);
        });
    }
}
