//! Lasting differences of failure rates.

use serde::Deserialize;
use serde::Serialize;

use super::EvidenceUnit;
use super::series::Series;
use super::span::Span;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::TrackCounts;

/// The sequential test of failures with spans of time as draws: a burst of errors counts once.
///
/// ```text
/// E_harm     x = canary's rate - harmful ratio x stable's rate, in spans by EvidenceUnit
///            auto: 0.4 E(1 s) + 0.3 E(10 s) + 0.3 E(60 s), paused as in LastingValues
/// E_proven   x = stable's rate + accepted difference - canary's rate
///            auto: (E(10 s) + E(60 s)) / 2
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastingFailures {
    margins: FailureMargins,
    more: Series,
    not_more: Series,
    /// The evidence that the canary fails more often than the harmful ratio allows.
    pub harm: EProcess,
    /// The evidence that it fails more often by less than the accepted difference.
    pub proven: EProcess,
}

/// Seconds and share of the mean of the spans of `auto`.
const HARM_SPANS: [(f64, f64); 3] = [(1.0, 0.4), (10.0, 0.3), (60.0, 0.3)];
const PROOF_SPANS: [(f64, f64); 2] = [(10.0, 0.5), (60.0, 0.5)];

impl LastingFailures {
    /// A test without data; the margins are those of
    /// [`FailureMonitor`](crate::stats::sequential::FailureMonitor).
    pub fn new(unit: EvidenceUnit, margins: FailureMargins) -> LastingFailures {
        let series = |auto: &[(f64, f64)]| {
            let spans = match unit {
                EvidenceUnit::Request | EvidenceUnit::Tick => vec![(1.0, 1.0)],
                EvidenceUnit::TenSeconds => vec![(10.0, 1.0)],
                EvidenceUnit::Minute => vec![(60.0, 1.0)],
                EvidenceUnit::Auto => auto.to_vec(),
            };
            let spans = spans.into_iter().map(|(length, weight)| Span::new(length, weight));
            Series::new(unit, spans.collect())
        };
        let ratio = margins.harmful_ratio;
        let difference = margins.accepted_difference;
        let margins = FailureMargins {
            harmful_ratio: if ratio >= 1.0 && ratio.is_finite() { ratio } else { 1.0 },
            accepted_difference: if (0.0..1.0).contains(&difference) { difference } else { 0.0 },
        };
        LastingFailures {
            margins,
            more: series(&HARM_SPANS),
            not_more: series(&PROOF_SPANS),
            harm: EProcess::default(),
            proven: EProcess::default(),
        }
    }

    /// Takes in a tick of this many seconds.
    pub fn tick(&mut self, seconds: f64, canary: TrackCounts, stable: TrackCounts) {
        let FailureMargins { harmful_ratio, accepted_difference } = self.margins;
        let plain = outcomes(canary, 1.0, 0.0);
        let harm_spans = vec![plain.to_vec(); HARM_SPANS.len()];
        self.more.tick(seconds, &plain, &harm_spans, &outcomes(stable, harmful_ratio, 0.0));
        self.more.pause(self.more.dependence());
        self.harm.observe(self.more.log_e());
        let answered = outcomes(canary, -1.0, accepted_difference);
        let proof_spans = vec![answered.to_vec(); PROOF_SPANS.len()];
        self.not_more.tick(seconds, &answered, &proof_spans, &outcomes(stable, -1.0, 0.0));
        self.not_more.pause(self.not_more.dependence());
        self.proven.observe(self.not_more.log_e());
    }

    /// The shortest span that bets now, in seconds.
    pub fn shortest_span(&self) -> Option<f64> {
        self.more.shortest()
    }
}

/// `value` for each failure and 0 for each answer, both plus `granted`.
fn outcomes(track: TrackCounts, value: f64, granted: f64) -> [(f64, u64); 2] {
    let failures = track.failures.min(track.requests);
    [(granted, track.requests - failures), (value + granted, failures)]
}
