//! Telling the clients of a service to leave, so many at a time. Each worker keeps the line of
//! its own clients; whoever leads the departure says how many go next.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::rc::Weak;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::clients::{Client, Order};
use super::close::{CloseCode, CloseFrame};
use super::route::Service;
use super::worker::{Command, Shared, Worker};
use crate::config::{BackendAddress, Restart, with_delay};

/// Which clients are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The name of the service.
    pub service: String,
    /// None: the clients of all its backends.
    pub backend: Option<BackendAddress>,
}

impl Selection {
    fn includes(&self, client: &Client) -> bool {
        let backend = self.backend.as_ref();
        client.service().name == self.service
            && backend.is_none_or(|one| client.backend().address() == one)
    }
}

/// What clients are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The code of the Close frame.
    pub code: CloseCode,
    /// Its reason.
    pub reason: String,
    /// From this span each client is told a delay of its own, behind the reason.
    pub retry: Option<RangeInclusive<Duration>>,
    /// How long one client's reply is awaited.
    pub close_timeout: Duration,
    /// When those are cut who have not left by then.
    pub deadline: Instant,
}

impl Notice {
    /// The notice of a restart as it is configured, to have left by `deadline`.
    pub fn restart(restart: &Restart, deadline: Instant) -> Self {
        Self {
            code: restart.close_code,
            reason: restart.reason.clone(),
            retry: restart.retry.clone(),
            close_timeout: restart.close_timeout,
            deadline,
        }
    }

    fn order(&self, shared: &Shared) -> Order {
        let delay = shared.retry_delay(self.retry.as_ref());
        Order {
            frame: CloseFrame::to_client(self.code, &with_delay(&self.reason, delay)),
            close_timeout: self.close_timeout,
            deadline: self.deadline,
        }
    }
}

/// A departure under way. Dropping it tells nobody anything more.
#[derive(Debug)]
pub struct Departures {
    service: Option<Arc<Service>>,
    selection: Selection,
    lines: Vec<Line>,
}

/// The clients of one worker.
#[derive(Debug)]
struct Line {
    waves: mpsc::Sender<Wave>,
    untold: usize,
}

/// Tells the next clients of one worker.
#[derive(Debug)]
pub(super) struct Wave {
    /// None: nobody, it is only counted.
    notice: Option<Arc<Notice>>,
    most: usize,
    done: oneshot::Sender<Standing>,
}

#[derive(Debug)]
struct Standing {
    told: usize,
    untold: usize,
}

impl Departures {
    pub(super) async fn begin(
        service: Option<Arc<Service>>,
        selection: &Selection,
        workers: &[mpsc::Sender<Command>],
    ) -> Self {
        let mut lines = Vec::with_capacity(workers.len());
        for worker in workers {
            let (waves, receiver) = mpsc::channel(1);
            let depart = Command::Depart(selection.clone(), receiver);
            let _ = worker.send(depart).await;
            lines.push(Line { waves, untold: 0 });
        }
        let mut departures = Self {
            service,
            selection: selection.clone(),
            lines,
        };
        departures.look().await;
        departures
    }

    /// Tells the next `n` clients, in the order of their workers' tables, as many of each worker as
    /// it has a share of those who are left. Resolves once they are told, which is before their
    /// Close frames are placed. Fewer than `n`: there are no more, newcomers included.
    pub async fn tell(&mut self, n: usize, notice: &Notice) -> usize {
        let notice = Arc::new(notice.clone());
        let mut told = 0;
        while told < n {
            if self.untold() == 0 {
                // Somebody may have joined meanwhile.
                self.look().await;
            }
            if self.untold() == 0 {
                break;
            }
            // Those who have left by themselves make room for others.
            told += self.wave(n - told, &notice).await;
        }
        told
    }

    /// How many are still to be told. Some of them may have left by themselves since the last
    /// wave, and whoever joined is not among them until the others have been told.
    pub fn untold(&self) -> usize {
        self.lines.iter().map(|line| line.untold).sum()
    }

    /// How many clients of the selection there are still, told or not.
    pub fn left(&self) -> usize {
        let Some(service) = &self.service else {
            return 0;
        };
        match &self.selection.backend {
            None => service.tally().clients(),
            Some(address) => {
                let mut backends = service.backends().iter();
                let backend = backends.find(|one| one.address() == address);
                backend.map_or(0, |one| one.clients())
            }
        }
    }

    async fn look(&mut self) {
        let none = vec![0; self.lines.len()];
        self.ask(&none, None).await;
    }

    async fn wave(&mut self, n: usize, notice: &Arc<Notice>) -> usize {
        let untold: Vec<usize> = self.lines.iter().map(|line| line.untold).collect();
        self.ask(&shares(n, &untold), Some(notice)).await
    }

    /// Has each worker tell so many of its clients.
    async fn ask(&mut self, shares: &[usize], notice: Option<&Arc<Notice>>) -> usize {
        let asking = self
            .lines
            .iter_mut()
            .zip(shares)
            .map(async |(line, share)| {
                if *share == 0 && notice.is_some() {
                    return 0;
                }
                let (done, standing) = oneshot::channel();
                let wave = Wave {
                    notice: notice.cloned(),
                    most: *share,
                    done,
                };
                // Without an answer the worker is gone, and its clients with it.
                let _ = line.waves.send(wave).await;
                let (told, untold) = match standing.await {
                    Ok(standing) => (standing.told, standing.untold),
                    Err(_) => (0, 0),
                };
                line.untold = untold;
                told
            });
        join_all(asking).await.into_iter().sum()
    }
}

/// Divides `n` in the proportion of what each has, and gives none more than that.
fn shares(n: usize, untold: &[usize]) -> Vec<usize> {
    let total: usize = untold.iter().sum();
    let n = n.min(total);
    let part = |has: usize| (n as u128 * has as u128 / total.max(1) as u128) as usize;
    let mut shares: Vec<usize> = untold.iter().map(|has| part(*has)).collect();
    let mut rest = n - shares.iter().sum::<usize>();
    for (share, has) in shares.iter_mut().zip(untold) {
        let more = rest.min(has - *share).min(1);
        *share += more;
        rest -= more;
    }
    shares
}

/// Keeps one worker's line of a departure until that is over.
pub(super) async fn depart(
    worker: Rc<Worker>,
    selection: Selection,
    mut waves: mpsc::Receiver<Wave>,
) {
    let mut line: VecDeque<Weak<Client>> = VecDeque::new();
    while let Some(wave) = waves.recv().await {
        if line.is_empty() {
            let mut clients = worker.clients.snapshot();
            clients.retain(|one| !one.is_told() && selection.includes(one));
            line = clients.iter().map(Rc::downgrade).collect();
        }
        let mut told = 0;
        while let Some(notice) = &wave.notice
            && told < wave.most
            && let Some(client) = line.pop_front()
        {
            // Who has left by now, or was told by somebody else, is passed over.
            if let Some(client) = client.upgrade().filter(|one| !one.is_told()) {
                client.tell(notice.order(&worker.shared));
                told += 1;
            }
        }
        let untold = line.len();
        let _ = wave.done.send(Standing { told, untold });
    }
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn a_wave_is_shared_in_proportion_and_nobody_is_asked_for_more_than_it_has() {
        for (n, untold, expected) in [
            (10, &[50, 50][..], &[5, 5][..]),
            (1, &[50, 50], &[1, 0]),
            (10, &[90, 10, 0], &[9, 1, 0]),
            (3, &[1, 1, 1, 1], &[1, 1, 1, 0]),
            (7, &[0, 3], &[0, 3]),
            (7, &[], &[]),
            (0, &[4, 4], &[0, 0]),
        ] {
            assert_eq!(shares(n, untold), expected, "{n} of {untold:?}");
        }
    }
}
