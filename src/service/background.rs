//! Background threads of a service: started together, stopped in order.
//!
//! ```text
//! controller    looks at the rollout: judge, next action, commit    woken by the breaker and each commit
//! shadow        runs the canary on copies of stable's requests      woken by the first waiting request
//! ticker        closes a tick, saves the evidence, logs changes     every second
//! notify        delivers journal entries, one thread per target     woken by each commit
//! journal       follows what other replicas append                   woken by each of their commits; only with a shared store
//! prometheus    asks for the queries of the rollout's metrics        once an interval; only where the settings name one
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Service;
use super::control::checkpoint::INTERVAL;
use super::notify::delivery::Delivery;
use super::status::changes::Seen;
use super::wakeup::Wakeup;

/// How long a stop waits for the shadow thread, which may be waiting for the canary.
const SHADOW_PATIENCE: Duration = Duration::from_secs(2);

/// How long a stop waits for notifications. What is not delivered by then is after the next start.
const NOTIFY_PATIENCE: Duration = Duration::from_secs(2);

/// How long a stop waits for an answer of Prometheus.
const QUERY_PATIENCE: Duration = Duration::from_secs(1);

/// How long a stop waits for the thread that follows the journal.
const JOURNAL_PATIENCE: Duration = Duration::from_millis(1500);

/// The threads of a running service.
pub struct Background {
    service: Arc<Service>,
    controller: Worker,
    shadow: Worker,
    ticker: Worker,
    notify: Vec<Worker>,
    prometheus: Option<Worker>,
    /// `None` where no other process can append to the journal.
    journal: Option<Worker>,
}

impl Background {
    /// Starts all threads.
    ///
    /// # Errors
    /// When the operating system refuses a thread or a timer.
    pub fn start(service: Arc<Service>) -> io::Result<Background> {
        let control = service.control.clone();
        let mut seen = Seen::default();
        let ticker = Worker::start("ticker", Arc::default(), move |stopping| {
            if !stopping.load(Ordering::SeqCst) {
                if let Err(cause) = control.take_part() {
                    tracing::error!(%cause, "this replica cannot decide; trying again");
                }
                control.follow_date();
                // It was logged; the next turn tries again.
                let _ = control.save_or_log();
                control.log_changes(&mut seen);
            }
            INTERVAL
        })?;
        let (control, mut trouble) = (service.control.clone(), None);
        let wakeup = control.wakeup.clone();
        let controller = Worker::start("controller", wakeup, move |stopping| {
            if stopping.load(Ordering::SeqCst) {
                return Duration::ZERO;
            }
            control.drive(&mut trouble)
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let serving = service.serving.clone();
        let wakeup = serving.shadow.wakeup.clone();
        let shadow = Worker::start("shadow", wakeup, move |stopping| {
            serving.work_off(&runtime, stopping);
            serving.shadow_pause()
        })?;
        let deliveries = service.control.deliveries();
        let deliver = |mut delivery: Delivery| {
            let wakeup = service.notifications.wakeup.clone();
            Worker::start("notify", wakeup, move |_| delivery.deliver())
        };
        let notify = deliveries.into_iter().map(deliver).collect::<io::Result<_>>()?;
        let prometheus = service.control.observer().map(|mut observer| {
            let control = service.control.clone();
            Worker::start("prometheus", Arc::default(), move |stopping| {
                match stopping.load(Ordering::SeqCst) {
                    true => Duration::ZERO,
                    false => control.observe(&mut observer),
                }
            })
        });
        let prometheus = prometheus.transpose()?;
        let journal = service.control.is_shared().then(|| {
            let (control, mut trouble) = (service.control.clone(), None);
            Worker::start("journal", Arc::default(), move |stopping| {
                match stopping.load(Ordering::SeqCst) {
                    true => Duration::ZERO,
                    false => control.await_entry(&mut trouble),
                }
            })
        });
        let journal = journal.transpose()?;
        Ok(Background { service, controller, shadow, ticker, notify, prometheus, journal })
    }

    /// Stops all threads, saves the evidence a last time, and delivers what can be delivered at once.
    ///
    /// # Errors
    /// When a thread has panicked, or the last samples could not be saved.
    pub fn stop(self) -> io::Result<()> {
        // The controller first, so that the evidence is saved in the final state.
        let driven = self.controller.stop(None);
        let shadowed = self.shadow.stop(Some(SHADOW_PATIENCE));
        let queried = self.prometheus.map_or(Ok(()), |it| it.stop(Some(QUERY_PATIENCE)));
        let ticked = self.ticker.stop(None);
        let followed = self.journal.map_or(Ok(()), |it| it.stop(Some(JOURNAL_PATIENCE)));
        let saved = self.service.control.save_or_log().map_err(io::Error::other);
        // Last, so that the final events are delivered too. All at once, because each may take its time.
        self.notify.iter().for_each(Worker::request_stop);
        let stop = |one: Worker| one.stop(Some(NOTIFY_PATIENCE));
        // All of them, even if one has panicked.
        let stopped: Vec<io::Result<()>> = self.notify.into_iter().map(stop).collect();
        let notified = stopped.into_iter().collect::<io::Result<()>>();
        self.service.control.release_store();
        saved.and(driven).and(shadowed).and(queried).and(ticked).and(followed).and(notified)
    }
}

/// A thread that takes one turn after another until it is stopped.
struct Worker {
    name: &'static str,
    stopping: Arc<AtomicBool>,
    wakeup: Arc<Wakeup>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts it. A turn answers how long to sleep before the next one, unless woken. One last turn is taken
    /// after the stop was requested.
    fn start(
        name: &'static str,
        wakeup: Arc<Wakeup>,
        mut turn: impl FnMut(&AtomicBool) -> Duration + Send + 'static,
    ) -> io::Result<Worker> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (stopped, waking) = (stopping.clone(), wakeup.clone());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            loop {
                let (seen, is_last) = (waking.signals(), stopped.load(Ordering::SeqCst));
                let pause = turn(&stopped);
                if is_last {
                    return;
                }
                waking.wait(seen, pause);
            }
        })?;
        Ok(Worker { name, stopping, wakeup, thread })
    }

    fn request_stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wakeup.wake();
    }

    /// Stops it and waits until it has ended, or for so long: then it is left behind.
    fn stop(self, patience: Option<Duration>) -> io::Result<()> {
        const STEP: Duration = Duration::from_millis(5);
        self.request_stop();
        if let Some(mut left) = patience {
            while !self.thread.is_finished() && !left.is_zero() {
                std::thread::sleep(STEP);
                left = left.saturating_sub(STEP);
            }
            if !self.thread.is_finished() {
                tracing::warn!(thread = self.name, "still waiting for an answer; left behind");
                return Ok(());
            }
        }
        let panicked = |_| io::Error::other(format!("the {} thread has panicked", self.name));
        self.thread.join().map_err(panicked)
    }
}
