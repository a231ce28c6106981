//! Time to detection: after how many canary requests does a bet reach its threshold, if the effect is known?
//!
//! - `effect`: what each bounded function of a value sees of a difference
//! - `values`: bets on values, as a Brownian motion that crosses a curved boundary
//! - `events`: bets on failures, as a random walk

pub mod effect;
pub mod events;
pub mod values;

/// The canary requests after which `reached` is `p`; `None` beyond 10^9.
///
/// `reached` is the probability of having reached a threshold after this many canary requests. It must not fall.
pub fn requests_until(p: f64, reached: impl Fn(f64) -> f64) -> Option<f64> {
    const MAX_LN: f64 = 20.7;
    let (mut low, mut high) = (0.0, MAX_LN);
    if reached(f64::exp(high)) < p {
        return None;
    }
    // To a tenth of a percent.
    while high - low > 1e-3 {
        let middle: f64 = 0.5 * (low + high);
        if reached(middle.exp()) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high.exp())
}
