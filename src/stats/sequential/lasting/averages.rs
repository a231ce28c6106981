//! Averages of both tracks at the same moments, and their differences as draws.

use serde::Deserialize;
use serde::Serialize;

use super::dependence::Dependence;
use super::noise::Noise;
use super::purse::Law;
use super::purse::Purse;
use super::series::SECONDS;
use super::span::Span;
use super::span::Total;
use crate::stats::fixed_horizon::margin::Harm;
use crate::stats::fixed_horizon::margin::Margin;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::Score;
use crate::stats::sequential::log_weighted_mean_exp;
use crate::stats::sequential::recent_mean::RecentMean;

/// The sequential test of averages that another system made of many requests: a rate, a mean or a quantile of each track
/// over the same time.
///
/// ```text
/// d        = (canary's less what it is granted) - stable's        what both share cancels
/// E(n)     a Purse on the mean of d over n observations, in standard deviations that earlier ones show
/// E_harm   = ( E(1) + E(10) ) / 2      against "the mean of d is at most 0", granted the harmful margin
///            Either: the mean of both directions
/// E_proven = the same on -d, granted the accepted margin          Either: the smaller of both directions
/// ```
///
/// Nothing is bet on the first 5 observations, and nothing counts before 20. E(1) does not count while successive
/// differences depend on each other, by their size relative to the values, and E(10) does not while those of ten do: they
/// pause and give up what they had won.
///
/// # Assumptions
/// Given those before it, the expectation of a difference is at most the margin, and its variance is the one that they
/// show. How many requests an average is of is not known, so averages of few of them, which jump rarely and far, are
/// taken for quiet ones before the first jump.
///
/// ```
/// use serin::stats::Harm;
/// use serin::stats::Margin;
/// use serin::stats::sequential::AverageMonitor;
///
/// let (none, accepted) = (Margin::default(), Margin::relative(0.1));
/// let mut errors = AverageMonitor::new(Harm::Higher, none, accepted);
/// for n in 0..40 {
///     let noise = 0.001 * f64::from(n * 7 % 5);
///     errors.tick(0.010 + noise, 0.015 + noise + 0.0005 * f64::from(n * 3 % 4));
/// }
/// assert!(errors.harm.reached(0.01) && !errors.proven.reached(0.05));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AverageMonitor {
    harmful: Vec<Side>,
    accepted: Vec<Side>,
    /// Of the differences relative to the values, so that a change of the load does not count.
    dependence: Dependence,
    observations: u64,
    /// The evidence that the canary is worse than the harmful margin allows.
    pub harm: EProcess,
    /// The evidence that the canary is not worse by the accepted margin.
    pub proven: EProcess,
    center: RecentMean,
    /// The mean difference, to draw with its interval. The verdict comes from the e-values.
    pub effect: Score,
}

/// Observations before the variance of a difference is known well enough to bet.
const KNOWN: u64 = 5;

/// Observations before evidence counts: those in which dependence shows.
const FIRST: u64 = 20;

/// Lengths of spans in observations, each with its share of the mean.
const SPANS: [(f64, f64); 2] = [(1.0, 0.5), (10.0, 0.5)];

/// A bet on differences in one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    margin: Margin,
    /// The sign of what is granted.
    sign: f64,
    /// 1 for a bet that the canary's values are larger, -1 for smaller.
    direction: f64,
    spans: Vec<Span>,
    last: Option<f64>,
    noise: Noise,
    squares: f64,
    count: f64,
}

impl AverageMonitor {
    /// A monitor without data. A difference beyond `harmful` is harm; one within `accepted` is non-inferior.
    pub fn new(harm: Harm, harmful: Margin, accepted: Margin) -> AverageMonitor {
        let sides = |margin: Margin, direction: f64, purse: fn(Law) -> Purse| -> Vec<Side> {
            let signs = harm.directions().iter();
            signs.map(|sign| Side::new(margin, *sign, direction * sign, purse)).collect()
        };
        AverageMonitor {
            harmful: sides(harmful, 1.0, Purse::shared),
            accepted: sides(accepted, -1.0, Purse::plain),
            dependence: Dependence::new(),
            observations: 0,
            harm: EProcess::default(),
            proven: EProcess::default(),
            center: RecentMean::default(),
            effect: Score::default(),
        }
    }

    /// Takes in the averages of stable and of the canary over the same time. Those that are not finite are ignored.
    pub fn tick(&mut self, stable: f64, canary: f64) {
        let difference = canary - stable;
        if !difference.is_finite() {
            return;
        }
        self.observations += 1;
        for side in self.harmful.iter_mut().chain(&mut self.accepted) {
            side.tick(stable, canary);
        }
        let size = stable.abs() + canary.abs();
        self.dependence.learn(if size > 0.0 { difference / size } else { 0.0 }, &SECONDS);
        for side in self.harmful.iter_mut().chain(&mut self.accepted) {
            side.pause(&self.dependence);
        }
        // Half a request of either track, so that the effect is the mean of the differences.
        self.effect.tick(0.5, 0.0, [(0.5 * difference, 1)], []);
        self.center.learn(&[(stable, 1)]);
        if self.observations >= FIRST {
            let harmful: Vec<f64> = self.harmful.iter().map(Side::log_e).collect();
            let share = 1.0 / harmful.len().max(1) as f64;
            self.harm.observe(log_weighted_mean_exp(&harmful, harmful.iter().map(|_| share)));
            let accepted = self.accepted.iter().map(Side::log_e);
            self.proven.observe(accepted.fold(f64::INFINITY, f64::min));
        }
    }

    /// Stable's recent mean; `None` before its first value.
    pub fn center(&self) -> Option<f64> {
        self.center.mean()
    }
}

impl Side {
    fn new(margin: Margin, sign: f64, direction: f64, purse: fn(Law) -> Purse) -> Side {
        let span = |(length, share): (f64, f64)| Span::new(length, share, purse(Law::Any));
        Side {
            margin,
            sign,
            direction,
            spans: SPANS.into_iter().map(span).collect(),
            last: None,
            noise: Noise::new(WINDOW, CAP),
            squares: 0.0,
            count: 0.0,
        }
    }

    fn tick(&mut self, stable: f64, canary: f64) {
        let outcome = self.direction * (self.margin.unshift(canary, self.sign) - stable);
        let square = outcome * outcome;
        if !square.is_finite() {
            return;
        }
        let (variance, total) = (self.variance(), |value: f64| Total::of(&[(value, 1)]));
        for span in &mut self.spans {
            // Both sides of a span's difference have half of its variance.
            span.tick(1.0, total(outcome), total(0.0), variance.map(|it| 0.5 * it));
        }
        if let Some(last) = self.last.replace(outcome) {
            self.noise.learn(0.5 * (outcome - last) * (outcome - last));
        }
        self.squares += square;
        self.count += 1.0;
    }

    /// The variance of a difference. One that has not varied yet may vary by its size in one of as many observations.
    fn variance(&self) -> Option<f64> {
        let unseen = self.squares / self.count / (self.count + 1.0);
        (self.count >= KNOWN as f64).then(|| self.noise.variance().max(unseen))
    }

    fn pause(&mut self, dependence: &Dependence) {
        let per_value = 0.5 * self.noise.variance();
        for span in &mut self.spans {
            let is_dependent = match span.length < 5.0 {
                true => dependence.lasts(span.is_paused(), &SECONDS),
                false => span.is_dependent(per_value),
            };
            span.pause(is_dependent);
        }
    }

    fn log_e(&self) -> f64 {
        let logs: Vec<f64> = self.spans.iter().map(Span::log_e).collect();
        log_weighted_mean_exp(&logs, self.spans.iter().map(|span| span.weight))
    }
}

/// The window of the noise, in observations, and what one difference adds at most.
const WINDOW: f64 = 60.0;
const CAP: f64 = 25.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(harm: Harm) -> AverageMonitor {
        AverageMonitor::new(harm, Margin::default(), Margin::relative(0.1))
    }

    /// After this many observations around `level`, with the canary's values multiplied by `factor`.
    fn after(harm: Harm, observations: u32, level: f64, factor: f64) -> AverageMonitor {
        let mut monitor = monitor(harm);
        for n in 0..observations {
            let noise = |step: u32| 1.0 + 0.01 * (f64::from(n * step % 11) - 5.0) / 5.0;
            monitor.tick(level * noise(3), factor * level * noise(5));
        }
        monitor
    }

    #[test]
    fn a_worse_canary_is_harm_and_an_equal_one_is_proven_in_every_unit() {
        for level in [1e-6, 1.0, 1e9] {
            for (harm, factor) in [(Harm::Higher, 1.3), (Harm::Lower, 0.7), (Harm::Either, 0.7)] {
                let worse = after(harm, 40, level, factor);
                assert!(worse.harm.reached(0.001), "{harm:?} of {level}");
                assert!(!worse.proven.reached(0.05), "{harm:?} of {level}");
                let equal = after(harm, 40, level, 1.0);
                assert!(!equal.harm.reached(0.05), "{harm:?} of {level}");
                assert!(equal.proven.reached(0.001), "{harm:?} of {level}");
                let (effect, _) = worse.effect.effect().unwrap();
                assert!((effect / level - (factor - 1.0)).abs() < 0.01, "{effect}");
                assert!((worse.center().unwrap() / level - 1.0).abs() < 0.01);
            }
            for (harm, factor) in [(Harm::Higher, 0.7), (Harm::Lower, 1.3)] {
                let better = after(harm, 40, level, factor);
                assert!(!better.harm.reached(0.5) && better.proven.reached(0.001), "{harm:?}");
            }
        }
    }

    #[test]
    fn small_differences_of_large_values_are_seen() {
        let mut availability = monitor(Harm::Lower);
        for n in 0..40 {
            let noise = |step: u32| 1e-4 * f64::from(n * step % 7) / 7.0;
            availability.tick(0.999 + noise(3), 0.995 + noise(5));
        }
        assert!(availability.harm.reached(0.001), "{:?}", availability.harm);
    }

    #[test]
    fn nothing_counts_before_twenty_observations() {
        let at = |observations| after(Harm::Higher, observations, 1.0, 3.0).harm;
        assert!(!at(19).reached(0.99) && at(20).reached(0.05), "{:?}", at(20));
    }

    #[test]
    fn zeros_and_constants_prove_nothing_by_a_relative_margin_and_give_no_nan() {
        let mut monitor = monitor(Harm::Higher);
        (0..100).for_each(|_| monitor.tick(0.0, 0.0));
        assert!(!monitor.harm.reached(0.99) && !monitor.proven.reached(0.99));
        for (stable, canary) in
            [(f64::NAN, 1.0), (1.0, f64::INFINITY), (1e300, -1e300), (-1.0, 1.0)]
        {
            monitor.tick(stable, canary);
        }
        assert!(monitor.harm.log_e().is_finite() && monitor.proven.log_e().is_finite());
    }

    #[test]
    fn noise_that_lasts_is_not_harm() {
        // A track that is 10 % slower for 15 observations, and then the other one.
        let mut monitor = monitor(Harm::Higher);
        for n in 0..240_u32 {
            let slow = if n / 15 % 2 == 0 { [1.1, 1.0] } else { [1.0, 1.1] };
            monitor.tick(slow[0] * 1.0, slow[1] + 0.001 * f64::from(n % 3));
        }
        assert!(!monitor.harm.reached(0.05), "{:?}", monitor.harm);
    }
}
