//! The story of one canary, and how it must end.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use serin::canary::Entry;
use serin::canary::Event;
use serin::service::Service;

use super::Fallible;
use super::client::Users;
use super::client::command;
use super::customers::Customers;
use super::now;
use super::server::Folder;
use super::server::SLOW;
use super::server::Server;
use super::server::USUAL;

/// The stories, all at 200 requests a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// After the warm-up, a fifth of its requests fail.
    Spike,
    /// It takes 12 ms; stable takes 8.
    Slow,
    /// It is the same artifact as stable.
    Walk,
    /// Its scores are a standard deviation too high, and it starts in shadow.
    Shadow,
}

/// The result of one run.
#[derive(Clone)]
pub struct Lived {
    /// What went wrong, if anything did.
    pub wrong: Option<String>,
    /// From the harm, or the deployment, to the end of the rollout.
    pub seconds: f64,
    pub answers: u64,
    pub failed: u64,
}

/// A rollout that takes longer counts as a wrong ending.
const PATIENCE: Duration = Duration::from_secs(240);

/// Longer than the plan's warm-up, in which nothing is judged.
const BEFORE_THE_SPIKE: Duration = Duration::from_secs(6);

/// How long the load goes on after the end, to see that the canary gets no more requests.
const AFTERWARDS: Duration = Duration::from_millis(500);

impl Story {
    pub const ALL: [Story; 4] = [Story::Spike, Story::Slow, Story::Walk, Story::Shadow];

    pub fn name(self) -> &'static str {
        match self {
            Story::Spike => "spike",
            Story::Slow => "slow",
            Story::Walk => "walk",
            Story::Shadow => "shadow",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Story::Spike => "20 % errors at 10 %, error to rollback",
            Story::Slow => "+50 % latency at 10 %, deployment to rollback",
            Story::Walk => "identical, 1-5-25-50-100 %, to promoted",
            Story::Shadow => "scores +0.5 sd in shadow, deployment to off",
        }
    }

    pub fn limit_seconds(self) -> Option<f64> {
        match self {
            Story::Spike => Some(3.0),
            Story::Slow => Some(30.0),
            Story::Walk | Story::Shadow => None,
        }
    }

    /// Runs the story once, on a server of its own.
    pub fn live(self, folder: &Folder) -> Fallible<Lived> {
        let (stable, canary) = match self {
            Story::Spike => ("model_v1.bin", "model_v2.bin"),
            Story::Slow => (USUAL, SLOW),
            Story::Walk | Story::Shadow => ("model_v1.bin", "model_v1.bin"),
        };
        let plan = match self {
            Story::Spike | Story::Slow => {
                json!({ "steps": [{ "weight": 10, "bake": "10m" }, { "weight": 50, "bake": "10m" }] })
            }
            Story::Shadow => {
                json!({ "steps": [{ "weight": 0, "bake": "10m" }, { "weight": 10, "bake": "10m" }] })
            }
            Story::Walk => {
                let step = |weight: u32| json!({ "weight": weight, "bake": "2s" });
                let steps = [1, 5, 25, 50, 100].map(step);
                json!({ "steps": steps, "min_samples": 20 })
            }
        };
        let server = Server::start(folder, stable)?;
        let (users, shift) = match self {
            Story::Spike | Story::Slow | Story::Walk => (Users::default(), 0.0),
            Story::Shadow => {
                let Customers { bodies, spread } = Customers::new(&folder.first_model()?)?;
                (Users { bodies, ..Users::default() }, spread)
            }
        };
        let start = now();
        let ended = thread::scope(|scope| {
            scope.spawn(|| users.come(server.address, start));
            let ended = self.play(&server, canary, &plan, shift);
            users.is_over.store(true, Ordering::Relaxed);
            thread::sleep(AFTERWARDS);
            users.enough.store(true, Ordering::Relaxed);
            ended
        });
        let history = ended.and_then(|ended| {
            let history = server.service.newest_history(100)?;
            Ok((ended, history))
        });
        server.stop()?;
        let (ended, history) = history?;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let wrong = match (ended, count(&users.stray)) {
            (false, _) => Some(format!("no end within {PATIENCE:?}")),
            (true, 0) if self == Story::Shadow && count(&users.by_canary) > 0 => {
                Some("users met it".to_owned())
            }
            (true, 0) => self.wrong_end(&history),
            (true, stray) => Some(format!("{stray} answers by a canary that was off")),
        };
        let seconds = self.seconds(&history).unwrap_or(f64::NAN);
        Ok(Lived { wrong, seconds, answers: count(&users.answers), failed: count(&users.failed) })
    }

    /// Drives the story under load. Returns whether it ended.
    fn play(self, server: &Server, canary: &str, plan: &Value, shift: f64) -> Fallible<bool> {
        // The server and the clients have started.
        thread::sleep(Duration::from_millis(500));
        let body = json!({ "model_path": canary, "plan": plan });
        command(server.address, "deploy-canary", &body)?;
        if self == Story::Shadow {
            command(server.address, "inject", &json!({ "score_shift": shift }))?;
        }
        if self == Story::Spike {
            thread::sleep(BEFORE_THE_SPIKE);
            command(server.address, "inject", &json!({ "error_rate": 0.2 }))?;
        }
        let start = now();
        while start.elapsed() < PATIENCE {
            // Reads the journal, which is cheaper than the status.
            if has_ended(&server.service)? {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    fn wrong_end(self, history: &[Entry]) -> Option<String> {
        let last = history.last()?;
        let promoted = matches!(last.event, Event::Promoted { .. });
        let is_right = promoted == (self == Story::Walk);
        (!is_right).then(|| last.event.sentence())
    }

    /// Its duration by the journal.
    fn seconds(self, history: &[Entry]) -> Option<f64> {
        let at = |event: &str| -> Option<Timestamp> {
            Some(history.iter().find(|entry| entry.event.name() == event)?.at)
        };
        let begin = match self {
            Story::Spike => at("injected")?,
            Story::Slow | Story::Walk | Story::Shadow => at("canary_deployed")?,
        };
        Some(history.last()?.at.duration_since(begin).as_secs_f64())
    }
}

/// Whether the rollout has ended. A rollback stops the canary before its journal entry; a promotion is served after
/// its entry, and the status waits for that.
fn has_ended(service: &Service) -> Fallible<bool> {
    let newest = service.newest_history(1)?;
    Ok(newest.last().is_some_and(|entry| match entry.event {
        Event::RolledBack { .. } => true,
        Event::Promoted { .. } => service.status().rollout.is_none(),
        _ => false,
    }))
}
