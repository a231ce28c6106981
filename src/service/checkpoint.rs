//! How does evidence survive a restart? It is saved every second while it grows, and at shutdown.
//!
//! A crash loses what was observed since the last save: at most about [`INTERVAL`] of samples,
//! never an event of the journal.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Service;
use crate::store::Checkpoint;
use crate::store::KeyedSamples;
use crate::store::StoreError;

/// How often samples are saved.
pub const INTERVAL: Duration = Duration::from_secs(1);

impl Service {
    /// Saves the samples of the rollout under way, if there are new ones. Blocks.
    ///
    /// # Errors
    /// When the store fails; the samples stay in memory, and the next call tries again.
    pub fn save_checkpoint(&self) -> Result<(), StoreError> {
        let mut saved = self.saved.lock();
        let live = self.live.load_full();
        let Some(lane) = &live.canary else { return Ok(()) };
        let observed = live.recorder.observed();
        // What is recorded is judged even while nobody predicts.
        let recorded = self.recordings.counts().total;
        let now = (lane.rollout, lane.step, observed.requests(), recorded);
        if *saved == now {
            return Ok(());
        }
        let monitors = self.watch.lock().tick(&live, &observed.first, &self.recordings).cloned();
        let seen = lane.visits.seen();
        self.store.save_checkpoint(&Checkpoint {
            rollout: lane.rollout,
            step: lane.step,
            digest: lane.loaded.version.digest.clone(),
            routed: live.recorder.routed(),
            samples: observed.first,
            keys: (seen.count() > 0).then_some(KeyedSamples { repeated: observed.repeated, seen }),
            monitors,
        })?;
        *saved = now;
        Ok(())
    }
}

/// The thread that saves samples. Stopping it saves them a last time.
pub struct Saver {
    stop: Sender<()>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl Saver {
    /// Begins to save every [`INTERVAL`].
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(service: Arc<Service>) -> std::io::Result<Saver> {
        let (stop, stopped) = channel();
        let thread =
            std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || {
                loop {
                    let last = stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                    let outcome = service.save_checkpoint();
                    if last {
                        return outcome;
                    }
                    if let Err(cause) = outcome {
                        tracing::error!(%cause, "samples could not be saved; trying again");
                    }
                }
            })?;
        Ok(Saver { stop, thread })
    }

    /// Saves a last time and ends the thread.
    ///
    /// # Errors
    /// When the samples of the last second could not be saved.
    pub fn stop(self) -> std::io::Result<()> {
        // The thread ends by itself only on this message, so it is there to receive it.
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(outcome) => outcome.map_err(std::io::Error::other),
            Err(_) => Err(std::io::Error::other("the checkpoint thread has panicked")),
        }
    }
}
