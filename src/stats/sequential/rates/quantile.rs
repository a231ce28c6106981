//! Monitor of a quantile (p95, p99): does the canary exceed stable's more often?

use serde::Deserialize;
use serde::Serialize;

use super::failures::TrackCounts;
use crate::stats::fixed_horizon::margin::Margin;
use crate::stats::sequential::bets::events::Events;
use crate::stats::sequential::confidence_sequence::Score;
use crate::stats::sequential::e_process::EProcess;
use crate::stats::sequential::reference::ReferenceWindow;
use crate::stats::summary::histogram::Histogram;
use crate::stats::summary::layout::Layout;

/// The sequential test of a quantile, where higher values are harm.
///
/// A value *exceeds* if it is above t, stable's recent quantile, which is fixed before the tick. The canary's values are
/// measured without what they are granted: `y' = (y - absolute) / (1 + relative)`. The canary's quantile is at most
/// `t (1 + relative) + absolute` exactly if y' exceeds no more often than stable's values do. So the quantile becomes a
/// rate of rare events, and [`Events`] asks whose they are:
///
/// ```text
/// E_harm     the canary's values less the tolerated margin exceed more often than stable's
/// E_proven   stable's values exceed more often than the canary's less the accepted margin
/// ```
///
/// `E_harm` also finds harm that begins late; `E_proven` does not share, as in
/// [`Monitor`](crate::stats::sequential::Monitor).
/// For p99 it takes 300 values of the canary at least, because three exceedances have to be missing.
///
/// Any t is valid. It costs power if it is not the quantile; t from few values is too low, so nothing is bet before
/// stable has `1 / (1 - q)` values. Where the values do not vary above t, nothing exceeds and nothing is proven.
///
/// ```
/// use serin::stats::Layout;
/// use serin::stats::Margin;
/// use serin::stats::sequential::QuantileMonitor;
///
/// let [tolerated, accepted] = [Margin::relative(0.2), Margin::relative(0.5)];
/// let mut p99 = QuantileMonitor::new(Layout::Seconds, 0.99, [tolerated, accepted]);
/// for _ in 0..60 {
///     p99.tick(0.1, &[(0.010, 9), (0.090, 1)], &[(0.010, 89), (0.030, 1)]);
/// }
/// assert!(p99.harm.reached(0.05) && !p99.proven.reached(0.5));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantileMonitor {
    quantile: f64,
    tolerated: Margin,
    accepted: Margin,
    window: ReferenceWindow,
    threshold: Option<f64>,
    more: Events,
    fewer: Events,
    /// The evidence that the canary's quantile is higher than tolerated.
    pub harm: EProcess,
    /// The evidence that it is not higher by the accepted margin.
    pub proven: EProcess,
    /// The canary's and stable's values in units of the threshold of their tick, so that they compare although the load
    /// changes.
    canary: Histogram,
    stable: Histogram,
    /// The difference of the shares of values above stable's quantile.
    pub effect: Score,
}

/// Values of one tick above stable's quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceedances {
    /// Of stable.
    pub stable: TrackCounts,
    /// Of the canary, nothing granted.
    pub canary: TrackCounts,
    /// Of the canary less the tolerated margin.
    pub beyond_tolerated: TrackCounts,
    /// Of the canary less the accepted margin.
    pub beyond_accepted: TrackCounts,
}

/// Values below this part of the threshold count as this part: only the tail is shown.
const LOWEST: f64 = 0.25;

impl QuantileMonitor {
    /// A monitor without data of the quantile `quantile`, with the tolerated and the accepted margin.
    pub fn new(layout: Layout, quantile: f64, margins: [Margin; 2]) -> Self {
        let [tolerated, accepted] = margins;
        Self {
            quantile: if quantile > 0.0 && quantile < 1.0 { quantile } else { 0.5 },
            tolerated,
            accepted,
            window: ReferenceWindow::new(layout),
            threshold: None,
            more: Events::with_fixed_share(1.0),
            fewer: Events::new(1.0),
            harm: EProcess::default(),
            proven: EProcess::default(),
            canary: Histogram::new(Layout::Seconds),
            stable: Histogram::new(Layout::Seconds),
            effect: Score::default(),
        }
    }

    /// Takes in values of stable from before the first tick. Bets nothing.
    pub fn remember(&mut self, stable: &[(f64, u64)]) {
        self.window.learn(stable);
        if let Some(past) = self.window.renewed() {
            let enough = past.total() as f64 * (1.0 - self.quantile) >= 1.0 - 1e-9;
            let threshold = past.quantile(self.quantile).filter(|it| enough && *it > 0.0);
            self.threshold = threshold.or(self.threshold);
        }
    }

    /// A monitor of the same signal with other margins, which knows what this one has learned of stable but has bet
    /// nothing.
    pub fn restarted(&self, quantile: f64, margins: [Margin; 2]) -> Self {
        Self::of_past(&self.window, quantile, margins)
    }

    /// A monitor that knows the past of stable in this window.
    pub(crate) fn of_past(window: &ReferenceWindow, quantile: f64, margins: [Margin; 2]) -> Self {
        let mut monitor = Self::new(window.layout(), quantile, margins);
        monitor.remember(window.points().as_slice());
        monitor
    }

    /// Takes in one tick, as [`Monitor::tick`](crate::stats::sequential::Monitor::tick). Returns what exceeded; `None`
    /// while stable's quantile is unknown.
    pub fn tick(
        &mut self,
        share: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) -> Option<Exceedances> {
        let (canary, stable) = (self.window.in_buckets(canary), self.window.in_buckets(stable));
        let found = self.threshold.map(|threshold| self.exceedances(threshold, &canary, &stable));
        if let (Some(threshold), Some(found)) = (self.threshold, found) {
            let Exceedances { stable: above, beyond_tolerated, beyond_accepted, .. } = found;
            self.more.tick(share, beyond_tolerated.failures, above.failures);
            self.fewer.tick(1.0 - share, above.failures, beyond_accepted.failures);
            self.harm.observe(self.more.log_e());
            self.proven.observe(self.fewer.log_e());
            let [canary_above, stable_above] = [found.canary, above].map(indicators);
            self.effect.tick(share, 1.0 - self.quantile, canary_above, stable_above);
            let tracks = [(&mut self.canary, &canary), (&mut self.stable, &stable)];
            for (relative, values) in tracks {
                for &(value, count) in values {
                    relative.record_many((value / threshold).max(LOWEST), count);
                }
            }
        }
        // Only after all bets on this tick are settled.
        self.remember(&stable);
        found
    }

    fn exceedances(
        &self,
        threshold: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) -> Exceedances {
        let above = |values: &[(f64, u64)], margin: Margin| {
            let mut counts = TrackCounts::default();
            for &(value, count) in values {
                counts.requests = counts.requests.saturating_add(count);
                if margin.unshift(value, 1.0) > threshold {
                    counts.failures = counts.failures.saturating_add(count);
                }
            }
            counts
        };
        Exceedances {
            stable: above(stable, Margin::default()),
            canary: above(canary, Margin::default()),
            beyond_tolerated: above(canary, self.tolerated),
            beyond_accepted: above(canary, self.accepted),
        }
    }

    /// Stable's recent quantile; `None` before it has enough values.
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// The canary's quantile minus stable's, in the unit of the values. `None` before both have enough values.
    pub fn difference(&self) -> Option<f64> {
        let least = (1.0 / (1.0 - self.quantile)).ceil() as u64;
        let of =
            |values: &Histogram| values.quantile(self.quantile).filter(|_| values.count() >= least);
        Some(self.threshold? * (of(&self.canary)? / of(&self.stable)? - 1.0))
    }
}

fn indicators(counts: TrackCounts) -> [(f64, u64); 2] {
    [(0.0, counts.requests - counts.failures), (1.0, counts.failures)]
}

#[cfg(test)]
#[path = "quantile_tests.rs"]
mod tests;
