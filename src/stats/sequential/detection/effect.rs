//! Effect: what the bounded functions of the engine for values see of a difference between two distributions.

/// A difference in one bounded function u of a value.
///
/// ```text
/// distance       (mean of u on the canary - mean of u on stable) / standard deviation of u on stable
/// variance_ratio variance of u on the canary / variance of u on stable
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The share of the bet's wealth that is on this function; all shares of a bet sum to 1.
    pub share: f64,
    /// In standard deviations of stable's; positive in the direction that is bet on.
    pub distance: f64,
    /// The canary's variance relative to stable's.
    pub variance_ratio: f64,
}

/// Shares of the functions capped, rank, and above p90, p95, p99 in a bet on harm.
const CAPPED: f64 = 5.0 / 16.0;
const RANK: f64 = 8.0 / 16.0;
const ABOVE: [(f64, f64); 3] = [(0.90, 1.0 / 16.0), (0.95, 1.0 / 16.0), (0.99, 1.0 / 16.0)];

/// The effects on the functions of a bet on harm, from equally likely values of each track in ascending order. The
/// canary's are those after the tolerated margin has been subtracted. Empty if a side has no values.
pub fn of_harm(stable: &[f64], canary: &[f64]) -> Vec<Effect> {
    let Some(capped) = capped(stable, canary, CAPPED) else { return Vec::new() };
    let below = |value: f64| {
        let lower = stable.partition_point(|it| *it < value);
        let upper = stable.partition_point(|it| *it <= value);
        0.5 * (lower + upper) as f64 / stable.len() as f64
    };
    let rank = effect(RANK, stable, canary, below);
    let above = ABOVE.into_iter().map(|(level, share)| {
        let quantile = quantile(stable, level);
        effect(share, stable, canary, |value| f64::from(value > quantile))
    });
    [Some(capped), rank].into_iter().chain(above).flatten().collect()
}

/// The effect on the bet that the canary is not worse: the capped value, in the other direction. The canary's values
/// are those after the accepted margin has been subtracted.
pub fn of_proof(stable: &[f64], canary: &[f64]) -> Vec<Effect> {
    let capped = capped(stable, canary, 1.0);
    capped.map(|it| Effect { distance: -it.distance, ..it }).into_iter().collect()
}

/// The probability that a value of the canary is larger than one of stable, ties counted one half.
pub fn superiority(stable: &[f64], canary: &[f64]) -> f64 {
    let wins = |value: &f64| {
        let lower = stable.partition_point(|it| it < value);
        let upper = stable.partition_point(|it| it <= value);
        0.5 * (lower + upper) as f64
    };
    canary.iter().map(wins).sum::<f64>() / (stable.len() * canary.len()).max(1) as f64
}

fn capped(stable: &[f64], canary: &[f64], share: f64) -> Option<Effect> {
    let (low, high) = (quantile(stable, 0.01), quantile(stable, 0.99));
    effect(share, stable, canary, |value| ((value - low) / (high - low)).clamp(0.0, 1.0))
}

fn quantile(ascending: &[f64], level: f64) -> f64 {
    let place = (level * ascending.len() as f64) as usize;
    ascending.get(place).or(ascending.last()).copied().unwrap_or(f64::NAN)
}

/// `None` where stable does not vary.
fn effect(
    share: f64,
    stable: &[f64],
    canary: &[f64],
    function: impl Fn(f64) -> f64,
) -> Option<Effect> {
    let moments = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().map(|value| function(*value)).sum::<f64>() / n;
        let squares = values.iter().map(|value| (function(*value) - mean).powi(2));
        (mean, squares.sum::<f64>() / n)
    };
    let ((stable_mean, variance), (canary_mean, of_canary)) = (moments(stable), moments(canary));
    let distance = (canary_mean - stable_mean) / variance.sqrt();
    let variance_ratio = of_canary / variance;
    let is_seen = distance.is_finite() && variance_ratio.is_finite();
    is_seen.then_some(Effect { share, distance, variance_ratio })
}
