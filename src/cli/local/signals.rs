//! Signals that stop the server: the first one gracefully, the second one at once.

use std::io;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

/// The signals, and how many have arrived.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A closed terminal; `None` under `nohup`, which has it ignored.
    hangup: Option<Signal>,
    /// How many have arrived.
    pub stops: watch::Sender<u32>,
}

impl Signals {
    /// Replaces the default of these signals, which is to end the process.
    pub(super) fn new() -> io::Result<Signals> {
        let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
            stops: watch::Sender::new(0),
        })
    }

    /// Counts signals as they arrive.
    pub(super) async fn count(mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                () = arrives(&mut self.hangup) => {}
            }
            self.stops.send_modify(|stops| *stops += 1);
        }
    }
}

async fn arrives(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Completes when this many signals have arrived.
pub(super) async fn reached(mut stops: watch::Receiver<u32>, count: u32) {
    // Fails only if signals are no longer counted.
    if stops.wait_for(|stops| *stops >= count).await.is_err() {
        std::future::pending().await
    }
}

/// Whether the parent process had SIGHUP ignored, as `nohup` does. Only Linux tells; elsewhere it is not.
pub fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Bit 0 is signal 1.
    mask.is_some_and(|mask| mask & 1 == 1)
}
