//! Growth of an e-value: the number of further samples until it reaches its threshold.

use crate::stats::sequential::STAKE_SHARES;
use crate::stats::sequential::STAKE_SIZES;
use crate::stats::sequential::STAKES;
use crate::stats::sequential::log_weighted_mean_exp;

/// The horizon of a forecast, in samples.
pub(crate) const MAX: f64 = 1e12;

/// The logarithms of the wealths of the eight stakes, and their gains per sample.
///
/// ```text
/// ln E(m) = ln of the sum over k of share_k exp(now_k + m gain_k)
/// ```
///
/// Convex in m, so that below a threshold it is reached once or never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) shares: [f64; STAKES],
    pub(crate) now: [f64; STAKES],
    pub(crate) gain: [f64; STAKES],
}

impl Growth {
    /// That of values, by the normal approximation.
    ///
    /// ```text
    /// now_k  = eta_k s - eta_k^2 n / 2         gain_k = eta_k d - eta_k^2 / 2
    /// ```
    ///
    /// where n is the number of effective samples, s the sum over them of the distances from the
    /// margin and d the distance to come, both in standard deviations.
    pub(crate) fn of_values(samples: f64, sum: f64, distance: f64) -> Growth {
        Growth {
            shares: STAKE_SHARES,
            now: STAKE_SIZES.map(|eta| eta * sum - 0.5 * eta * eta * samples),
            gain: STAKE_SIZES.map(|eta| eta * distance - 0.5 * eta * eta),
        }
    }

    /// The same with ln E set to the observed value, which also reflects past changes of the share.
    pub(crate) fn moved_to(mut self, log_e: f64) -> Growth {
        let off = log_e.clamp(-MAX, MAX) - self.after(0.0);
        self.now = self.now.map(|log| log + off);
        self
    }

    /// ln E after this many further samples.
    pub(crate) fn after(&self, samples: f64) -> f64 {
        let mut logs = [0.0; STAKES];
        for ((log, now), gain) in logs.iter_mut().zip(self.now).zip(self.gain) {
            *log = now + samples * gain;
        }
        log_weighted_mean_exp(&logs, self.shares)
    }

    /// Further samples until ln E reaches the threshold; `None` if it never does.
    pub(crate) fn reaches(&self, threshold: f64) -> Option<f64> {
        if self.after(0.0) >= threshold {
            return Some(0.0);
        }
        // Once a single stake reaches this, so does the sum.
        let latest = self
            .now
            .iter()
            .zip(self.gain)
            .zip(self.shares)
            .filter(|((_, gain), _)| *gain > 0.0)
            .map(|((now, gain), share)| (threshold - share.ln() - now) / gain)
            .fold(f64::INFINITY, f64::min);
        (latest <= MAX).then(|| bisect(0.0, latest, |samples| self.after(samples) < threshold))
    }
}

/// The sum s, in standard deviations, at which this many effective samples give this ln E.
///
/// The effect that the e-value itself implies, whatever function of the values it bets on.
pub(crate) fn implied_sum(samples: f64, log_e: f64) -> f64 {
    let log_e = log_e.clamp(-MAX, MAX);
    let (largest, its_share) = (STAKE_SIZES[STAKES - 1], STAKE_SHARES[STAKES - 1]);
    let low = (log_e / STAKE_SIZES[0]).min(0.0);
    let high = (log_e.max(0.0) - its_share.ln() + 0.5 * largest * largest * samples) / largest;
    bisect(low, high, |sum| Growth::of_values(samples, sum, 0.0).after(0.0) < log_e)
}

/// The point above which a condition no longer holds.
pub(crate) fn bisect(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    // Each step halves the interval: after 100 it is as narrow as an f64 can tell.
    for _ in 0..100 {
        let middle = low + 0.5 * (high - low);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
