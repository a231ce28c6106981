//! The predictions of the crash test, and how much of their evidence a crash may lose.

use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use super::clients::Caller;
use super::picture::Picture;

/// Evidence is saved every second. The other half second is for the save itself on a busy machine.
const MAY_BE_LOST: Duration = Duration::from_millis(1500);

/// What was sent to one server, and when.
#[derive(Default)]
pub struct Traffic {
    sent: Mutex<Sent>,
}

#[derive(Default)]
struct Sent {
    /// When each prediction was sent, and when it was answered.
    predictions: Vec<(Instant, Option<Instant>)>,
    /// The steps that commands began.
    steps: Vec<Begin>,
}

/// The beginning of a step.
struct Begin {
    of: (u64, u64),
    /// When its command was sent.
    ordered: Instant,
    /// When its command was acknowledged.
    begun: Option<Instant>,
}

/// The samples that a step was known to have at a restart.
pub struct Step {
    of: Option<(u64, u64)>,
    /// How many.
    pub samples: u64,
}

impl Step {
    /// Before the first step.
    pub fn none() -> Step {
        Step { of: None, samples: 0 }
    }
}

impl Traffic {
    /// Predicts until the server is gone. Returns how many predictions were answered.
    pub fn predict(&self, caller: &Caller) -> u64 {
        let body = r#"{"features": [0.5, 1.2, 0.8, 0.3, 1.1]}"#;
        for answered in 0.. {
            self.sent.lock().unwrap().predictions.push((Instant::now(), None));
            let Some(answer) = caller.post("/predict", body) else { return answered };
            assert!(answer.done && answer.body["fallback"] == false, "{}", answer.body);
            let mut sent = self.sent.lock().unwrap();
            let newest = sent.predictions.last_mut().unwrap();
            newest.1 = Some(Instant::now());
        }
        0
    }

    /// Call before sending a command that begins this step.
    pub fn step_ordered(&self, of: (u64, u64)) {
        let begin = Begin { of, ordered: Instant::now(), begun: None };
        self.sent.lock().unwrap().steps.push(begin);
    }

    /// Call when that command was acknowledged.
    pub fn step_begun(&self) {
        if let Some(step) = self.sent.lock().unwrap().steps.last_mut() {
            step.begun = Some(Instant::now());
        }
    }

    /// The samples found after a restart: not more than were sent at this step, and not fewer than
    /// those answered in time to be saved.
    pub fn check(
        &self,
        before: Step,
        found: &Picture,
        status: &Value,
        killed: Instant,
        at: &str,
    ) -> Step {
        if found.rollout.is_none() {
            return Step::none();
        }
        let sent = self.sent.lock().unwrap();
        let requests = |track: &str| status["tracks"][track]["requests"].as_u64().unwrap();
        let samples = requests("stable") + requests("canary");
        // A step whose number is the same has lasted all the time: numbers only grow.
        let lasted = before.of == found.step();
        let begin = sent.steps.iter().find(|begin| Some(begin.of) == found.step());
        assert_eq!(lasted, begin.is_none(), "{at}: a step from nowhere in {found:?}");
        let base = if lasted { before.samples } else { 0 };
        let possible = sent
            .predictions
            .iter()
            .filter(|(_, answered)| begin.is_none_or(|b| answered.is_none_or(|a| a >= b.ordered)));
        let saved = sent.predictions.iter().filter(|(sent, answered)| {
            let begun = begin.and_then(|begin| begin.begun);
            let in_step = lasted || begun.is_some_and(|begun| *sent >= begun);
            in_step && answered.is_some_and(|answered| answered + MAY_BE_LOST <= killed)
        });
        let (most, least) = (base + possible.count() as u64, base + saved.count() as u64);
        assert!(samples <= most, "{at}: {samples} samples, and only {most} were sent");
        assert!(samples >= least, "{at}: {samples} samples, and {least} were surely saved");
        Step { of: found.step(), samples }
    }
}
