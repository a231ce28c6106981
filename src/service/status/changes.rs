//! Changes of a rollout that are in no journal entry, as sentences for the log: the verdict and the circuit breaker.

use crate::canary::Verdict;
use crate::service::serving::circuit_breaker::BreakerState;
use crate::service::serving::circuit_breaker::BreakerStatus;

/// What was seen of the running rollout at the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    rollout: u64,
    verdict: Option<Verdict>,
    opened: u64,
    is_open: bool,
}

/// What is seen of the running rollout now.
pub struct Look<'a> {
    /// The rollout.
    pub rollout: u64,
    /// The name of the canary.
    pub canary: &'a str,
    /// The name of stable.
    pub stable: &'a str,
    /// The verdict of the sequential judge; `None` before it has evidence.
    pub verdict: Option<Verdict>,
    /// The circuit breaker; `None` if it is turned off.
    pub breaker: Option<BreakerStatus>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The verdict is another one; the reason is still to be added.
    Verdict {
        /// The sentence.
        sentence: String,
        /// Whether it is harm.
        is_harm: bool,
    },
    /// The circuit breaker keeps requests from the canary.
    Opened(String),
    /// It no longer does.
    Closed(String),
}

impl Seen {
    /// What has changed since the last look. The first look at a rollout compares with its beginning.
    pub fn changes(&mut self, look: &Look<'_>) -> Vec<Change> {
        let Look { rollout, canary, stable, verdict, breaker } = look;
        if self.rollout != *rollout {
            *self = Seen { rollout: *rollout, ..Seen::default() };
        }
        let mut changes = Vec::new();
        let before = self.verdict.unwrap_or(Verdict::Hold);
        if let Some(now) = *verdict {
            self.verdict = Some(now);
            if now != before {
                changes.push(Change::Verdict {
                    sentence: format!(
                        "rollout {rollout}: the verdict on {canary} is {} now, after {}",
                        now.word(),
                        before.word()
                    ),
                    is_harm: now == Verdict::Rollback,
                });
            }
        }
        if let Some(breaker) = breaker {
            changes.extend(self.of_breaker(breaker, &format!("rollout {rollout}"), canary, stable));
        }
        changes
    }

    fn of_breaker(
        &mut self,
        breaker: &BreakerStatus,
        rollout: &str,
        canary: &str,
        stable: &str,
    ) -> Option<Change> {
        let BreakerStatus { state, consecutive_failures, opened, .. } = breaker;
        let (was_open, again) = (self.is_open, *opened > self.opened);
        (self.is_open, self.opened) = (*state == BreakerState::Open, *opened);
        match (state, was_open) {
            (BreakerState::Open, false) => Some(Change::Opened(format!(
                "{rollout}: the circuit breaker is open, because {canary} failed {consecutive_failures} requests in \
                 a row; {stable} answers, and {canary} gets probes only"
            ))),
            (BreakerState::Closed, true) => Some(Change::Closed(format!(
                "{rollout}: the circuit breaker is closed again; {canary} gets its share"
            ))),
            (BreakerState::Closed, false) if again => Some(Change::Closed(format!(
                "{rollout}: the circuit breaker was open for a moment and is closed again; {canary} gets its share"
            ))),
            // A breaker that has tripped leads to a rollback, which says why.
            (BreakerState::Tripped | BreakerState::Open | BreakerState::Closed, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(rollout: u64, verdict: Verdict, state: BreakerState, opened: u64) -> Look<'static> {
        let breaker = BreakerStatus { state, consecutive_failures: 5, opened, trip_reason: None };
        let (canary, stable) = ("model_v2", "model_v1");
        Look { rollout, canary, stable, verdict: Some(verdict), breaker: Some(breaker) }
    }

    #[test]
    fn each_change_is_one_sentence_and_no_change_is_none() {
        use BreakerState::Closed;
        use BreakerState::Open;
        use BreakerState::Tripped;
        use Verdict::Hold;
        use Verdict::Promote;
        use Verdict::Rollback;
        let mut seen = Seen::default();
        let mut said = |rollout, verdict, state, opened| -> Vec<String> {
            let changes = seen.changes(&look(rollout, verdict, state, opened));
            let sentence = |change| match change {
                Change::Verdict { sentence, .. } => sentence,
                Change::Opened(sentence) | Change::Closed(sentence) => sentence,
            };
            changes.into_iter().map(sentence).collect()
        };
        assert_eq!(said(1, Hold, Closed, 0), [""; 0]);
        assert_eq!(
            said(1, Hold, Open, 1),
            [
                "rollout 1: the circuit breaker is open, because model_v2 failed 5 requests in a row; model_v1 \
              answers, and model_v2 gets probes only"
            ]
        );
        assert_eq!(said(1, Hold, Open, 1), [""; 0]);
        assert_eq!(
            said(1, Promote, Closed, 1),
            [
                "rollout 1: the verdict on model_v2 is promote now, after hold",
                "rollout 1: the circuit breaker is closed again; model_v2 gets its share"
            ]
        );
        assert_eq!(
            said(1, Rollback, Closed, 3),
            [
                "rollout 1: the verdict on model_v2 is rollback now, after promote",
                "rollout 1: the circuit breaker was open for a moment and is closed again; model_v2 gets its share"
            ]
        );
        assert_eq!(said(1, Rollback, Tripped, 3), [""; 0]);
        assert_eq!(said(2, Hold, Closed, 0), [""; 0], "another rollout");
    }
}
