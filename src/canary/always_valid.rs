//! Harm and its absence, judged after every tick, so that one may look as often as one likes.
//!
//! Two guardrails, latency and failures, share alpha half and half; a guardrail that is refuted is an
//! alert, and the canary is proven when both are shown to stay within what is accepted, each at
//! alpha. The predictions' shift is reported beside them and decides nothing: a new model may well
//! predict something else.

use serde::Deserialize;
use serde::Serialize;

use super::narrative::duration;
use super::narrative::probability;
use super::policy::HealthPolicy;
use super::signals::Samples;
use super::signals::TrackSamples;
use crate::stats::Layout;
use crate::stats::Summary;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::Harm;
use crate::stats::sequential::Margin;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::Running;
use crate::stats::sequential::Score;
use crate::stats::sequential::Test;
use crate::stats::sequential::TrackCounts;

/// The state of the judgement: constant in size, and a function of the ticks alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequential {
    latency: Monitor,
    failures: FailureMonitor,
    score: Monitor,
    /// Whether requests with a key were among the samples. They cluster: a user comes back to the
    /// same track, and counting each visit would raise false alarms.
    keyed: bool,
}

/// How much slower still counts as not slower, of stable's latency.
const ACCEPTED_SLOWDOWN: f64 = 0.10;

/// How much the mean prediction may move and still count as the same.
const ACCEPTED_SCORE_SHIFT: f64 = 0.02;

/// The interval that is shown is tightest near so many effective samples.
const TUNED_FOR: f64 = 1000.0;

/// Two guardrails share alpha.
const GUARDRAILS: f64 = 2.0;

/// What may be concluded now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlwaysValid {
    /// The conclusion.
    pub status: AlwaysValidStatus,
    /// It in a sentence.
    pub message: String,
    /// The chance of an alert, ever, on a canary that does no harm.
    pub alpha: f64,
    /// What each metric says.
    pub metrics: Vec<MetricEvidence>,
}

/// What may be concluded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlwaysValidStatus {
    /// A guardrail is refuted.
    Alert,
    /// Every guardrail is proven to hold.
    Ok,
    /// Neither, yet.
    Undecided,
    /// Requests with keys are among the samples, and these are not judged so.
    Unavailable,
}

/// What one metric says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricEvidence {
    /// `latency`, `failures` or `score`.
    pub metric: &'static str,
    /// `guardrail` or `advisory`.
    pub role: &'static str,
    /// Always-valid p-value against "no harm".
    pub harm_p_value: f64,
    /// Always-valid p-value against "worse than is accepted".
    pub proven_p_value: f64,
    /// Canary minus stable, in seconds or in probability; `null` without samples.
    pub effect: Option<f64>,
    /// Its confidence sequence, to draw; the p-values decide.
    pub interval: Option<[f64; 2]>,
}

impl Sequential {
    /// A judgement that has seen nothing but what stable did before the canary came.
    pub fn new(policy: &HealthPolicy, before: &TrackSamples) -> Sequential {
        let absolute = policy.absolute_margin_seconds;
        let harmful = Margin { relative: policy.relative_margin, absolute };
        let relative = ACCEPTED_SLOWDOWN.max(policy.relative_margin);
        let accepted = Margin { relative, absolute: 2.0 * absolute };
        let same = Margin { relative: 0.0, absolute: ACCEPTED_SCORE_SHIFT };
        let failures = FailureMargins {
            accepted_difference: policy.failure_margin,
            ..FailureMargins::default()
        };
        let mut latency =
            Monitor::new(Layout::SECONDS, Harm::Higher, Test::Combined, harmful, accepted);
        let mut score = Monitor::new(
            Layout::UNIT_INTERVAL,
            Harm::Either,
            Test::Combined,
            Margin::default(),
            same,
        );
        latency.remember(before.latency.points().as_slice());
        score.remember(before.score.points().as_slice());
        Sequential { latency, failures: FailureMonitor::new(failures), score, keyed: false }
    }

    /// Takes in what was observed between two moments of one step, at the canary's share then.
    pub fn tick(&mut self, share: f64, earlier: &Samples, now: &Samples) {
        let (canary, stable) = (
            Increment::new(&earlier.canary, &now.canary),
            Increment::new(&earlier.stable, &now.stable),
        );
        self.failures.tick(share, canary.counts, stable.counts);
        self.latency.tick(share, canary.latency.as_slice(), stable.latency.as_slice());
        self.score.tick(share, canary.score.as_slice(), stable.score.as_slice());
    }

    /// Notes that requests with keys are among the samples.
    pub fn note_keys(&mut self) {
        self.keyed = true;
    }

    /// What may be concluded now.
    pub fn conclude(&self, alpha: f64) -> AlwaysValid {
        let guardrails = [self.latency.harm(), self.failures.harm()];
        let proven = [self.latency.proven(), self.failures.proven()];
        let status = if self.keyed {
            AlwaysValidStatus::Unavailable
        } else if guardrails.iter().any(|harm| harm.reached(alpha / GUARDRAILS)) {
            AlwaysValidStatus::Alert
        } else if proven.iter().all(|proven| proven.reached(alpha)) {
            AlwaysValidStatus::Ok
        } else {
            AlwaysValidStatus::Undecided
        };
        let metric = |metric, role, harm: &Running, proven: &Running, effect: Option<&Score>| {
            let interval = effect.and_then(|score| score.interval(alpha, TUNED_FOR));
            MetricEvidence {
                metric,
                role,
                harm_p_value: harm.always_valid_p(),
                proven_p_value: proven.always_valid_p(),
                effect: effect.and_then(|score| Some(score.effect()?.0)),
                interval: interval.map(|interval| [interval.low, interval.high]),
            }
        };
        let [latency, failures] = guardrails;
        let (latency_effect, score_effect) = (self.latency.effect(), self.score.effect());
        let metrics = vec![
            metric("latency", "guardrail", latency, proven[0], Some(latency_effect)),
            metric("failures", "guardrail", failures, proven[1], None),
            metric("score", "advisory", self.score.harm(), self.score.proven(), Some(score_effect)),
        ];
        AlwaysValid { status, message: message(status, alpha, &metrics), alpha, metrics }
    }
}

/// What one track observed between two moments.
struct Increment {
    counts: TrackCounts,
    latency: crate::stats::Points,
    score: crate::stats::Points,
}

impl Increment {
    /// Samples that are no continuation of the earlier ones count from nothing.
    fn new(earlier: &TrackSamples, now: &TrackSamples) -> Increment {
        let since = |earlier: &Summary, now: &Summary| {
            now.subtract(earlier).map_or_else(|| now.points(), |increment| increment.points())
        };
        Increment {
            counts: TrackCounts {
                requests: now.requests.saturating_sub(earlier.requests),
                failures: now.failures.total().saturating_sub(earlier.failures.total()),
            },
            latency: since(&earlier.latency, &now.latency),
            score: since(&earlier.score, &now.score),
        }
    }
}

fn message(status: AlwaysValidStatus, alpha: f64, metrics: &[MetricEvidence]) -> String {
    let conclusion = match status {
        AlwaysValidStatus::Alert => "the canary does harm",
        AlwaysValidStatus::Ok => "the canary is proven to stay within what is accepted",
        AlwaysValidStatus::Undecided => "neither harm nor its absence is proven yet",
        AlwaysValidStatus::Unavailable => {
            return "requests with keys are among the samples; users who come back are not judged \
                    so yet"
                .to_owned();
        }
    };
    let details: Vec<String> = metrics.iter().map(sentence).collect();
    format!("{conclusion} (alpha {alpha}, however often one looks): {}", details.join("; "))
}

fn sentence(metric: &MetricEvidence) -> String {
    let effect = match (metric.metric, metric.effect, metric.interval) {
        ("latency", Some(effect), Some([low, high])) => {
            format!(" {} ({} to {}),", duration(effect), duration(low), duration(high))
        }
        ("score", Some(effect), Some([low, high])) => {
            format!(" {effect:+.4} ({low:+.4} to {high:+.4}),")
        }
        _ => String::new(),
    };
    format!(
        "{}:{effect} p of no harm {}, p of too much {}",
        metric.metric,
        probability(metric.harm_p_value),
        probability(metric.proven_p_value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::signals::Failure;
    use crate::canary::signals::Track;

    /// So many seconds of 100 requests each at 10 %, the canary slower by a factor and failing at a
    /// rate; the values are spread by a fixed pattern.
    fn watched(seconds: u32, factor: f64, failing: impl Fn(u32) -> bool) -> Sequential {
        let mut sequential = Sequential::new(&HealthPolicy::default(), &TrackSamples::default());
        let mut samples = Samples::default();
        let mut n = 0_u32;
        for _ in 0..seconds {
            let earlier = samples.clone();
            for place in 0..100 {
                let spread = f64::from(n.wrapping_mul(2_654_435_761) % 1000) / 1000.0;
                let (track, slow) =
                    if place % 10 == 3 { (Track::Canary, factor) } else { (Track::Stable, 1.0) };
                if track == Track::Canary && failing(n) {
                    samples.of_mut(track).record_failure(Failure::Error);
                } else {
                    samples
                        .of_mut(track)
                        .record(slow * (0.010 + 0.010 * spread), &[0.2 + 0.5 * spread]);
                }
                n += 1;
            }
            sequential.tick(0.1, &earlier, &samples);
        }
        sequential
    }

    #[test]
    fn an_equal_canary_is_proven_and_never_an_alert() {
        let concluded = watched(600, 1.0, |_| false).conclude(0.05);
        assert_eq!(concluded.status, AlwaysValidStatus::Ok, "{}", concluded.message);
    }

    #[test]
    fn a_canary_that_is_half_again_as_slow_is_an_alert_within_half_a_minute() {
        let concluded = watched(30, 1.5, |_| false).conclude(0.05);
        assert_eq!(concluded.status, AlwaysValidStatus::Alert, "{}", concluded.message);
        assert!(concluded.message.contains("does harm"), "{}", concluded.message);
    }

    #[test]
    fn a_canary_that_fails_is_an_alert_within_seconds() {
        let concluded = watched(3, 1.0, |n| n % 20 == 3).conclude(0.05);
        assert_eq!(concluded.status, AlwaysValidStatus::Alert, "{}", concluded.message);
    }

    #[test]
    fn a_margin_far_above_the_latencies_blinds_nobody() {
        // Stable takes some hundred nanoseconds, 100 µs are allowed, the canary takes 25 ms.
        let mut sequential = Sequential::new(&HealthPolicy::default(), &TrackSamples::default());
        let mut samples = Samples::default();
        for tick in 0..10_u32 {
            let earlier = samples.clone();
            for n in 0..90_u32 {
                samples.of_mut(Track::Stable).record(1e-7 * f64::from(1 + (n + tick) % 5), &[0.5]);
            }
            for _ in 0..10 {
                let latency = if tick < 3 { 2e-7 } else { 0.025 };
                samples.of_mut(Track::Canary).record(latency, &[0.5]);
            }
            sequential.tick(0.1, &earlier, &samples);
            let alert = sequential.conclude(0.05).status == AlwaysValidStatus::Alert;
            assert_eq!(alert, tick >= 3, "after tick {tick}");
        }
    }

    #[test]
    fn a_slowdown_within_the_margin_is_no_alert() {
        // 3 % of 15 ms, where 5 % and 0.1 ms are allowed.
        let concluded = watched(600, 1.03, |_| false).conclude(0.05);
        assert_ne!(concluded.status, AlwaysValidStatus::Alert, "{}", concluded.message);
    }

    #[test]
    fn nothing_seen_is_undecided_and_keys_are_not_judged() {
        let mut sequential = watched(0, 1.0, |_| false);
        assert_eq!(sequential.conclude(0.05).status, AlwaysValidStatus::Undecided);
        sequential.note_keys();
        assert_eq!(sequential.conclude(0.05).status, AlwaysValidStatus::Unavailable);
    }

    #[test]
    fn the_state_read_back_goes_on_to_the_same_bytes() {
        let sequential = watched(20, 1.2, |n| n % 100 == 3);
        let text = serde_json::to_string(&sequential).unwrap();
        let mut read: Sequential = serde_json::from_str(&text).unwrap();
        assert_eq!(read, sequential);
        let mut original = sequential;
        let (none, mut some) = (Samples::default(), Samples::default());
        for n in 0..50 {
            some.of_mut(Track::Stable).record(0.01 + f64::from(n) * 1e-4, &[0.4]);
            some.of_mut(Track::Canary).record(0.012 + f64::from(n) * 1e-4, &[0.5]);
        }
        read.tick(0.5, &none, &some);
        original.tick(0.5, &none, &some);
        let bytes = |s: &Sequential| serde_json::to_string(s).unwrap();
        assert_eq!(bytes(&read), bytes(&original));
    }
}
