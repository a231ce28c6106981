//! Labels: what really happened, reported some time after the prediction.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::json;

use super::tally::Tally;
use crate::cli::numbers;
use crate::cli::remote::client::Client;
use crate::cli::remote::reports::BATCH;
use crate::cli::remote::reports::Results;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;

/// How often labels are sent that are due.
const EVERY: Duration = Duration::from_millis(200);

/// Labels that wait, shared with the thread that sends them.
#[derive(Clone)]
pub(super) struct Labels(Arc<Waiting>);

struct Waiting {
    clock: Arc<SystemClock>,
    tally: Arc<Tally>,
    queue: Mutex<BinaryHeap<Reverse<Due>>>,
    /// Whether the server takes no labels at present.
    is_stuck: AtomicBool,
    is_over: AtomicBool,
}

/// A label and when it is due, ordered by that time.
struct Due(Duration, Value);

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.0 == other.0
    }
}

impl Eq for Due {}

/// The shortest and the longest delay of `2s..10s`, in seconds.
///
/// # Errors
/// Names the flag, its value, and what is allowed.
pub(super) fn delay(text: &str) -> anyhow::Result<(f64, f64)> {
    let (from, to) = text.split_once("..").with_context(|| {
        format!("--label-delay: {text:?} is not FROM..TO; use for example 2s..10s")
    })?;
    let seconds = |text| numbers::duration("label-delay", text).map(|it| it.as_secs_f64());
    let (from, to) = (seconds(from)?, seconds(to)?);
    if from > to {
        bail!("--label-delay: {text:?} ends before it begins; use for example 2s..10s");
    }
    Ok((from, to))
}

impl Labels {
    /// Starts the thread that sends labels.
    pub(super) fn start(client: Client, clock: &Arc<SystemClock>, tally: &Arc<Tally>) -> Labels {
        let labels = Labels(Arc::new(Waiting {
            clock: clock.clone(),
            tally: tally.clone(),
            queue: Mutex::default(),
            is_stuck: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }));
        let waiting = labels.0.clone();
        std::thread::spawn(move || {
            while !waiting.is_over.load(Ordering::Relaxed) {
                std::thread::sleep(EVERY);
                while waiting.send_due(&client) {}
            }
        });
        labels
    }

    /// Reports this outcome after a delay.
    pub(super) fn add(&self, id: String, outcome: Value, delay: Duration) {
        let label = json!({ "prediction_id": id, "outcome": outcome });
        self.0.queue.lock().push(Reverse(Due(self.0.clock.steady() + delay, label)));
    }

    /// How many are still to be sent.
    pub(super) fn waiting(&self) -> u64 {
        self.0.queue.lock().len() as u64
    }

    /// Whether the server takes no labels at present.
    pub(super) fn is_stuck(&self) -> bool {
        self.0.is_stuck.load(Ordering::Relaxed)
    }

    /// Sends no more.
    pub(super) fn give_up(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        self.0.tally.labels_left(self.waiting());
    }
}

impl Waiting {
    /// Sends the labels that are due, at most as many as a request takes. Whether there may be more.
    fn send_due(&self, client: &Client) -> bool {
        let now = self.clock.steady();
        let mut due = Vec::new();
        {
            let mut queue = self.queue.lock();
            while due.len() < BATCH && queue.peek().is_some_and(|Reverse(first)| first.0 <= now) {
                due.extend(queue.pop().map(|Reverse(first)| first));
            }
        }
        if due.is_empty() {
            return false;
        }
        let list: Vec<&Value> = due.iter().map(|Due(_, label)| label).collect();
        let reply = client.post("/feedback", &json!({ "feedback": list }));
        let is_answered = reply.is_ok();
        self.is_stuck.store(!is_answered, Ordering::Relaxed);
        match reply {
            Ok(reply) => match reply.done::<Results>() {
                Ok(results) => self.tally.labels_recorded(&results),
                Err(error) => self.tally.labels_refused(due.len() as u64, &format!("{error:#}")),
            },
            // They are sent again.
            Err(_) => self.queue.lock().extend(due.into_iter().map(Reverse)),
        }
        is_answered
    }
}
