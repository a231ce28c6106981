//! Lasting differences of failure rates.

use serde::Deserialize;
use serde::Serialize;

use super::EvidenceUnit;
use super::purse::Law;
use super::series::FIRST;
use super::series::Purpose;
use super::series::Series;
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

impl LastingFailures {
    /// A test without data; the margins are those of
    /// [`FailureMonitor`](crate::stats::sequential::FailureMonitor).
    pub fn new(unit: EvidenceUnit, margins: FailureMargins) -> LastingFailures {
        let ratio = margins.harmful_ratio;
        let difference = margins.accepted_difference;
        let margins = FailureMargins {
            harmful_ratio: if ratio >= 1.0 && ratio.is_finite() { ratio } else { 1.0 },
            accepted_difference: if (0.0..1.0).contains(&difference) { difference } else { 0.0 },
        };
        LastingFailures {
            margins,
            more: Series::new(unit, Purpose::Harm, Law::Any),
            not_more: Series::new(unit, Purpose::Proof, Law::Any),
            harm: EProcess::default(),
            proven: EProcess::default(),
        }
    }

    /// Takes in a tick of this many seconds.
    pub fn tick(&mut self, seconds: f64, canary: TrackCounts, stable: TrackCounts) {
        self.tick_granted(seconds, [canary, canary], stable);
    }

    /// The same where the canary's failures depend on what it is granted: those that count for harm, and those that count
    /// against the proof.
    pub fn tick_granted(
        &mut self,
        seconds: f64,
        [canary, canary_less_accepted]: [TrackCounts; 2],
        stable: TrackCounts,
    ) {
        let FailureMargins { harmful_ratio, accepted_difference } = self.margins;
        let failed = outcomes(canary, 1.0, 0.0);
        self.more.tick_alike(seconds, &failed, &outcomes(stable, harmful_ratio, 0.0));
        let answered = outcomes(canary_less_accepted, -1.0, accepted_difference);
        self.not_more.tick_alike(seconds, &answered, &outcomes(stable, -1.0, 0.0));
        let dependence = self.more.dependence().max(self.not_more.dependence());
        self.more.pause(dependence);
        self.not_more.pause(dependence);
        self.harm.observe(self.more.log_e(FIRST));
        self.proven.observe(self.not_more.log_e(FIRST));
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
