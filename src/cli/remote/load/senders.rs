//! Requests under way: each on its own thread, up to a limit, so that slow answers do not slow down the
//! times at which users come.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::labels::Labels;
use super::tally::MOST;
use super::tally::Tally;
use crate::cli::remote::client::Client;
use crate::cli::remote::client::Reply;
use crate::cli::remote::client::ServerArgs;
use crate::cli::remote::predicted::Predicted;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;

/// How often a server is tried that does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// A request to send.
pub(super) struct Job {
    /// The body for `/predict`.
    pub(super) body: Value,
    /// What really happened, and how long after the answer it is reported.
    pub(super) label: Option<(Value, Duration)>,
    /// The stable version that the row is made for.
    pub(super) version: Arc<str>,
}

/// The threads that send.
pub(super) struct Senders {
    server: ServerArgs,
    clock: Arc<SystemClock>,
    crew: Arc<Crew>,
    started: usize,
    /// When a server that does not answer was tried last.
    tried: Duration,
}

struct Crew {
    tally: Arc<Tally>,
    labels: Option<Labels>,
    /// Threads without a request, the last one first, so that few of them keep few connections.
    idle: Mutex<Vec<mpsc::Sender<Job>>>,
    under_way: AtomicUsize,
}

impl Senders {
    pub(super) fn new(
        server: &ServerArgs,
        clock: &Arc<SystemClock>,
        tally: &Arc<Tally>,
        labels: Option<Labels>,
    ) -> Senders {
        let crew = Crew {
            tally: tally.clone(),
            labels,
            idle: Mutex::default(),
            under_way: AtomicUsize::new(0),
        };
        let (server, clock) = (server.clone(), clock.clone());
        Senders { server, clock, crew: Arc::new(crew), started: 0, tried: Duration::ZERO }
    }

    /// Whether requests are under way.
    pub(super) fn are_under_way(&self) -> bool {
        self.crew.under_way.load(Ordering::SeqCst) > 0
    }

    /// Sends a request, unless too many are under way, or the server is away and was tried just now.
    pub(super) fn send(&mut self, now: Duration, job: impl FnOnce() -> Job) {
        let tally = self.crew.tally.clone();
        if tally.is_away() {
            if now.saturating_sub(self.tried) < RETRY {
                return tally.left_out(true);
            }
            self.tried = now;
        }
        let idle = self.crew.idle.lock().pop();
        let sender = match idle {
            Some(sender) => sender,
            None if self.started < MOST => self.start(),
            None => return tally.left_out(false),
        };
        self.crew.under_way.fetch_add(1, Ordering::SeqCst);
        tally.sent();
        if sender.send(job()).is_err() {
            self.crew.under_way.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn start(&mut self) -> mpsc::Sender<Job> {
        self.started += 1;
        let (sender, jobs) = mpsc::channel::<Job>();
        let (crew, clock, own) = (self.crew.clone(), self.clock.clone(), sender.clone());
        let client = Client::new(&self.server.url, self.server.admin_token.as_deref());
        std::thread::spawn(move || {
            for job in jobs {
                let start = clock.steady();
                let reply = client.post("/predict", &job.body);
                crew.done(job, reply, clock.steady().saturating_sub(start));
                crew.under_way.fetch_sub(1, Ordering::SeqCst);
                crew.idle.lock().push(own.clone());
            }
        });
        sender
    }
}

impl Crew {
    fn done(&self, job: Job, reply: anyhow::Result<Reply>, took: Duration) {
        let answered = match reply {
            Err(error) => {
                // An answer that is not JSON is an answer all the same.
                let is_away = error.downcast_ref::<ureq::Error>().is_some();
                return self.tally.failed(is_away, "no answer", || format!("{error:#}"));
            }
            Ok(reply) if !reply.ok => {
                let code = reply.problem().code.into_owned();
                return self.tally.failed(false, &code, || reply.refusal());
            }
            Ok(reply) => reply.done::<Predicted>(),
        };
        match answered {
            Err(error) => self.tally.failed(false, "unknown answer", || format!("{error:#}")),
            Ok(predicted) => {
                self.tally.answered(&predicted, took, &job.version);
                if let (Some(labels), Some((outcome, delay)), Some(id)) =
                    (&self.labels, job.label, predicted.prediction_id)
                {
                    labels.add(id, outcome, delay);
                }
            }
        }
    }
}
