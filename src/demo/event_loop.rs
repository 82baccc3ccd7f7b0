//! A thread with an event loop of its own, so that the parts of the demo do not wait for each
//! other.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;

/// A future that runs on a thread of its own. Dropping it ends both.
#[derive(Debug)]
pub(super) struct EventLoop<T> {
    result: oneshot::Receiver<T>,
    /// Held only to be dropped, which ends the future at its next turn.
    alive: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> EventLoop<T> {
    /// Makes the future on a new thread of this name, and runs it there. It may use
    /// [`tokio::task::spawn_local`].
    ///
    /// # Errors
    /// When the thread or its event loop cannot be made.
    pub(super) fn start<F>(
        name: &str,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = T> + 'static,
    {
        let (alive, owner_gone) = oneshot::channel::<()>();
        let (sender, result) = oneshot::channel();
        let (started, outcome) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default());
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return;
                    }
                };
                let _ = started.send(Ok(()));
                runtime.block_on(async {
                    tokio::select! {
                        value = make() => {
                            let _ = sender.send(value);
                        }
                        _ = owner_gone => {}
                    }
                });
            })?;
        match outcome.recv() {
            Ok(result) => result?,
            Err(_) => return Err(io::Error::other("the thread died at its start")),
        }
        Ok(Self {
            result,
            alive: Some(alive),
            thread: Some(thread),
        })
    }

    /// Waits for what the future returns; None if it panicked.
    pub(super) async fn finished(&mut self) -> Option<T> {
        (&mut self.result).await.ok()
    }
}

impl<T> Drop for EventLoop<T> {
    fn drop(&mut self) {
        self.alive.take();
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by then; there is nothing to add to it.
            let _ = thread.join();
        }
    }
}
