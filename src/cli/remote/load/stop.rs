//! Ctrl-C and SIGTERM: the first one ends with the summary, the second one at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// The exit code after a second Ctrl-C, as shells expect it.
const INTERRUPTED: i32 = 130;

/// Whether a person, or the system, wants the command to end.
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Replaces what these signals do, which is to end the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn on_signals() -> io::Result<Stop> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let asked = Arc::new(AtomicBool::new(false));
        let flag = asked.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if flag.swap(true, Ordering::SeqCst) {
                        std::process::exit(INTERRUPTED);
                    }
                }
            });
        });
        Ok(Stop(asked))
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
