//! Which variant answered a prediction and why, in the words of OpenTelemetry's conventions for feature flags.
//!
//! A canary is a flag: its key is the model, its variants are stable and canary
//! (<https://opentelemetry.io/docs/specs/semconv/feature-flags/>).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;

use crate::canary::Track;
use crate::service::serving::Serving;
use crate::service::serving::predict::Prediction;
use crate::service::serving::totals::exemplars::Exemplar;

/// The outcome of the split for a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evaluation {
    /// The track that was assigned, also if stable answered in its place.
    pub(crate) variant: Track,
    pub(crate) reason: Reason,
    /// 0 for none.
    pub(crate) rollout: u64,
    /// A hash of the key, if there is one.
    pub(crate) context_id: Option<u64>,
    /// Whether stable answered in the canary's place.
    pub(crate) fallback: bool,
    /// The latency, divided by the rows.
    pub(crate) latency_seconds: f64,
}

/// Why a variant was assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The split drew it.
    Split,
    /// The request named the track.
    TargetingMatch,
    /// There is no canary.
    Disabled,
}

impl Reason {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Reason::Split => "split",
            Reason::TargetingMatch => "targeting_match",
            Reason::Disabled => "disabled",
        }
    }
}

impl Evaluation {
    /// That of a prediction.
    pub(crate) fn of(
        prediction: &Prediction,
        named: Option<Track>,
        context_id: Option<u64>,
    ) -> Evaluation {
        let (rollout, ..) = prediction.drawn_in();
        let fallback = prediction.fallback;
        Evaluation {
            variant: if fallback { Track::Canary } else { prediction.track },
            reason: match (named, rollout) {
                (Some(_), _) => Reason::TargetingMatch,
                (None, 0) => Reason::Disabled,
                (None, _) => Reason::Split,
            },
            rollout,
            context_id,
            fallback,
            latency_seconds: prediction.latency.as_secs_f64() / prediction.outputs.len() as f64,
        }
    }

    /// The track among whose latencies the request was counted, if it was.
    pub(crate) fn counted(&self) -> Option<Track> {
        (!self.fallback && self.reason != Reason::TargetingMatch).then_some(self.variant)
    }
}

/// A hash of a key, by which the requests of a user can be found, and the user cannot. Its secret is this process's.
pub(crate) fn context_id(key: &str) -> u64 {
    static SECRET: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
    let hash = blake3::keyed_hash(&SECRET, key.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Where the handler of a followed request leaves its evaluation.
#[derive(Clone)]
pub(crate) struct Slot {
    left: Rc<Cell<Option<Evaluation>>>,
    /// The trace of the request, if it is recorded.
    recorded: Option<u128>,
}

impl Slot {
    /// That of a request whose trace is recorded as this one.
    pub(super) fn of(recorded: Option<u128>) -> Slot {
        Slot { left: Rc::default(), recorded }
    }

    /// Leaves it, and keeps the request as an exemplar if its trace is recorded.
    pub(crate) fn put(&self, evaluation: Option<Evaluation>, serving: &Serving) {
        self.left.set(evaluation);
        if let (Some(evaluation), Some(trace_id)) = (evaluation, self.recorded)
            && let Some(track) = evaluation.counted()
        {
            let (latency_seconds, at) = (evaluation.latency_seconds, serving.clock.wall());
            serving.exemplars.keep(track, Exemplar { trace_id, latency_seconds, at });
        }
    }

    pub(super) fn taken(&self) -> Option<Evaluation> {
        self.left.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_keys_apart_and_does_not_show_them() {
        assert_eq!(context_id("customer-17"), context_id("customer-17"));
        assert_ne!(context_id("customer-17"), context_id("customer-18"));
        let plain = blake3::hash(b"customer-17");
        assert!(!plain.to_hex().starts_with(&format!("{:016x}", context_id("customer-17"))));
    }
}
