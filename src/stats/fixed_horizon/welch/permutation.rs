//! Permutation test of the mean: is the canary's mean larger than the labels `canary` and `stable`, dealt at random,
//! would make it?
//!
//! Skewed values need it: with 180 of them against 20, Welch's test is wrong several times as often as it says.

use crate::stats::distributions::normal::normal_tail;
use crate::stats::summary::moments::Moments;
use crate::stats::summary::points::Points;
use crate::stats::summary::points::merged;

/// Deals of the labels: the smallest p-value that they give is 1/2000.
const DEALS: u32 = 1999;
/// So many deals at least as extreme as what was observed settle that it is no rarity.
const ENOUGH: u32 = 100;
/// The largest smaller sample for which labels are dealt; beyond, the moments of all deals do.
const MAX_DEALT: u64 = 500;
/// The most values that are laid out in memory. Beyond, the smaller sample is under 1 % of them, and is drawn with
/// replacement, which makes the p-value a little larger.
const MAX_LAID_OUT: u64 = 1 << 16;

/// The probability of a mean of the canary's at least this large if both samples come from one distribution.
///
/// ```text
/// p = (1 + deals with a canary mean at least as large) / (1 + 1999)       smaller sample up to 500
/// z = 6/g ((1 + g t/2)^(1/3) - 1) + g/6,   p = P(Z >= z)                  beyond
/// t = (mean_c - mean) / sqrt( v (N - n) / ((N - 1) n) )
/// g = skewness (N - 2 n) / (N - 2) sqrt( (N - 1) / (n (N - n)) )          n = n_c, N = n_c + n_s
/// ```
///
/// A random deal is exact whatever the distribution and the sizes. The formula has the variance and the skewness of all
/// deals, on a gamma distribution. It also extends a p-value that no deal reached. The dealing ends after 100 deals that
/// are at least as large, with their share as p.
///
/// Assumes independent observations. The null hypothesis is equal distributions: combine it with
/// [Welch's test](super::welch_t_test) where only the spreads may differ.
///
/// The random bits are an argument: the same bits give the same p-value. `None` means that a sample is empty.
///
/// Pitman (1937), Supplement to the Journal of the Royal Statistical Society 4(1), doi:10.2307/2984124; Dwass (1957),
/// Annals of Mathematical Statistics 28(1), doi:10.1214/aoms/1177707045; ending early: Besag and Clifford (1991),
/// Biometrika 78(2), doi:10.1093/biomet/78.2.301; gamma: Wilson and Hilferty (1931), PNAS 17(12),
/// doi:10.1073/pnas.17.12.684.
///
/// ```
/// use rand::Rng;
/// use rand::SeedableRng;
/// use serin::stats::Points;
/// use serin::stats::permutation_p_greater;
///
/// let canary = Points::from_samples(&[4.0, 5.0, 6.0]);
/// let stable = Points::from_samples(&[1.0, 2.0, 3.0]);
/// let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
/// let p = permutation_p_greater(&canary, &stable, || random.next_u64()).unwrap();
/// // One of the 20 ways to choose three of six.
/// assert!((p - 0.05).abs() < 0.02);
/// ```
pub fn permutation_p_greater(
    canary: &Points,
    stable: &Points,
    random: impl FnMut() -> u64,
) -> Option<f64> {
    let (n_canary, n_stable) = (canary.total(), stable.total());
    let total = n_canary.checked_add(n_stable)?;
    if n_canary == 0 || n_stable == 0 {
        return None;
    }
    let mut pooled = Moments::new();
    merged(canary, stable).for_each(|(value, c, s)| pooled.record_many(value, c + s));
    let mean = pooled.mean()?;
    let centered: Vec<(f64, u64)> =
        merged(canary, stable).map(|(value, c, s)| (value - mean, c + s)).collect();
    let sum: f64 = canary.iter().map(|(value, count)| (value - mean) * count as f64).sum();
    let by_moments = gamma_tail(&centered, sum / n_canary as f64, n_canary as f64, total as f64);
    let fewest = n_canary.min(n_stable);
    if fewest > MAX_DEALT {
        return Some(by_moments);
    }
    // The sum of the smaller sample is as good: both sums together are 0.
    let sign = if n_canary <= n_stable { 1.0 } else { -1.0 };
    let dealt = match total <= MAX_LAID_OUT {
        true => without_replacement(&centered, fewest, sign, sum, random),
        false => with_replacement(&centered, fewest, sign, sum, random),
    };
    Some(if dealt.0 == 0 { by_moments.min(share(dealt)) } else { share(dealt) })
}

/// The p-value of this many extreme deals among this many.
fn share((extreme, deals): (u32, u32)) -> f64 {
    match extreme < ENOUGH {
        true => f64::from(1 + extreme) / f64::from(1 + deals),
        false => f64::from(extreme) / f64::from(deals),
    }
}

/// How many deals are at least as extreme as the observed sum of the canary's values, and how many there were.
fn count(observed: f64, largest: f64, mut deal: impl FnMut() -> f64) -> (u32, u32) {
    // Sums of the same values in another order differ by roundings.
    let least = observed - 1e-9 * largest;
    let mut extreme = 0;
    for deals in 1..=DEALS {
        extreme += u32::from(deal() >= least);
        if extreme == ENOUGH {
            return (extreme, deals);
        }
    }
    (extreme, DEALS)
}

fn below(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

fn largest(centered: &[(f64, u64)]) -> f64 {
    centered.iter().fold(0.0, |largest: f64, (value, _)| largest.max(value.abs()))
}

fn without_replacement(
    centered: &[(f64, u64)],
    fewest: u64,
    sign: f64,
    sum: f64,
    mut random: impl FnMut() -> u64,
) -> (u32, u32) {
    let mut values: Vec<f64> = centered
        .iter()
        .flat_map(|(value, count)| std::iter::repeat_n(sign * value, *count as usize))
        .collect();
    count(sum, largest(centered), || {
        let mut dealt = 0.0;
        // The first steps of a Fisher-Yates shuffle; it may begin with any order.
        for place in 0..fewest as usize {
            let other = place + below(random(), (values.len() - place) as u64) as usize;
            values.swap(place, other);
            dealt += values.get(place).copied().unwrap_or_default();
        }
        dealt
    })
}

fn with_replacement(
    centered: &[(f64, u64)],
    fewest: u64,
    sign: f64,
    sum: f64,
    mut random: impl FnMut() -> u64,
) -> (u32, u32) {
    let ends: Vec<u64> = centered
        .iter()
        .scan(0_u64, |end, (_, count)| {
            *end = end.saturating_add(*count);
            Some(*end)
        })
        .collect();
    let total = ends.last().copied().unwrap_or_default();
    count(sum, largest(centered), || {
        let mut dealt = 0.0;
        for _ in 0..fewest {
            let drawn = below(random(), total);
            let place = ends.partition_point(|end| *end <= drawn);
            dealt += centered.get(place).map_or(0.0, |(value, _)| sign * value);
        }
        dealt
    })
}

/// P(mean of the dealt sample >= this one), from the first three moments of all deals.
fn gamma_tail(centered: &[(f64, u64)], mean: f64, n: f64, total: f64) -> f64 {
    let moment = |power: i32| -> f64 {
        centered.iter().map(|(value, count)| value.powi(power) * *count as f64).sum::<f64>() / total
    };
    let (variance, rest) = (moment(2), total - n);
    if variance == 0.0 || total < 3.0 {
        return 1.0;
    }
    let skewness = moment(3) / variance.powf(1.5) * (total - 2.0 * n) / (total - 2.0)
        * ((total - 1.0) / (n * rest)).sqrt();
    let t = mean / (variance * rest / ((total - 1.0) * n)).sqrt();
    if skewness.abs() < 1e-6 {
        return normal_tail(t);
    }
    let base = 1.0 + 0.5 * skewness * t;
    if base <= 0.0 {
        // Beyond the end of the gamma distribution.
        return if skewness < 0.0 { 0.0 } else { 1.0 };
    }
    normal_tail(6.0 / skewness * (base.cbrt() - 1.0) + skewness / 6.0)
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand::RngExt;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::stats::welch_t_test;

    fn p(canary: &[f64], stable: &[f64]) -> Option<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
        let [canary, stable] = [canary, stable].map(Points::from_samples);
        permutation_p_greater(&canary, &stable, || random.next_u64())
    }

    #[test]
    fn it_is_the_share_of_the_choices_with_a_larger_mean() {
        // 2 of the 10 choices of two of five have a sum of 8 or more.
        let found = p(&[3.0, 5.0], &[1.0, 2.0, 4.0]).unwrap();
        assert!((found - 0.2).abs() < 0.06, "{found}");
        // The canary as the larger sample: 8 of 10 choices of three have 8 or more.
        let found = p(&[1.0, 2.0, 5.0], &[3.0, 4.0]).unwrap();
        assert!((found - 0.8).abs() < 0.12, "{found}");
        assert_eq!(p(&[2.0; 30], &[2.0; 40]), Some(1.0));
        assert_eq!(p(&[2.0; 600], &[2.0; 700]), Some(1.0));
        assert_eq!(p(&[], &[1.0]), None);
        assert!(p(&[2.0; 50], &[1.0; 50]).unwrap() < 1e-6);
    }

    #[test]
    fn the_moments_agree_with_the_deals() {
        let skewed = |n: usize, shift: f64| -> Vec<f64> {
            (0..n).map(|i| shift - (1.0 - (i as f64 + 0.5) / n as f64).ln()).collect()
        };
        for (canary, stable, shift) in [(500, 3000, 0.06), (3000, 500, 0.08), (500, 500, 0.09)] {
            let (canary, stable) = (skewed(canary, shift), skewed(stable, 0.0));
            let dealt = p(&canary, &stable).unwrap();
            let mean: f64 = canary.iter().chain(&stable).sum::<f64>();
            let total = (canary.len() + stable.len()) as f64;
            let centered: Vec<(f64, u64)> =
                canary.iter().chain(&stable).map(|value| (value - mean / total, 1)).collect();
            let n = canary.len() as f64;
            let mean_of_canary = canary.iter().sum::<f64>() / n - mean / total;
            let by_moments = gamma_tail(&centered, mean_of_canary, n, total);
            assert!((dealt - by_moments).abs() < 0.03, "{dealt} {by_moments}");
        }
    }

    #[test]
    fn a_large_pool_is_drawn_from_with_replacement() {
        let stable: Vec<f64> = (0..70_000).map(|i| f64::from(i % 1000)).collect();
        let canary: Vec<f64> = (0..100).map(|i| f64::from(i * 10 + 50)).collect();
        let found = p(&canary, &stable).unwrap();
        // Its mean is 545 against 499.5, 1.58 standard errors.
        assert!((found - 0.058).abs() < 0.02, "{found}");
    }

    // Welch: 15 % of 180 values against 20.
    #[test]
    fn skewed_values_keep_the_level_at_a_large_share_of_the_canary() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(11);
        let mut lognormal = |n: usize| -> Vec<f64> {
            let mut normal = || {
                let (u, v) = (1.0 - random.random::<f64>(), random.random::<f64>());
                (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            };
            (0..n).map(|_| (1.5 * normal()).exp()).collect()
        };
        let (mut by_welch, mut by_deals) = (0, 0);
        for _ in 0..400 {
            let (canary, stable) = (lognormal(180), lognormal(20));
            let moments = [&canary, &stable].map(|it| it.iter().copied().collect());
            by_welch +=
                u32::from(welch_t_test(&moments[0], &moments[1]).unwrap().p_greater() < 0.025);
            by_deals += u32::from(p(&canary, &stable).unwrap() < 0.025);
        }
        assert!(by_welch > 30 && by_deals <= 20, "{by_welch} {by_deals}");
    }
}
