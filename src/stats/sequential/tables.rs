//! Do two failure rates differ, where the canary's share is not known?
//!
//! serin knows the share and uses [`Events`](super::events::Events). Counts from elsewhere (`/analyze`) come
//! without it; these e-values need only the totals.

use statrs::function::gamma::ln_gamma;

use super::sample_ratio::ln_beta;

/// ln E against "both rates are equal", by universal inference: the beta-binomial marginal
/// likelihood of two rates (Jeffreys' prior) over the largest likelihood of one.
///
/// Failures may not exceed requests, or the answer is `None`.
///
/// Wasserman, Ramdas and Balakrishnan (2020), "Universal inference", PNAS 117(29),
/// doi:10.1073/pnas.1922664117.
pub fn log_e_two_proportions(
    canary_failures: u64,
    canary_requests: u64,
    stable_failures: u64,
    stable_requests: u64,
) -> Option<f64> {
    let canary_successes = canary_requests.checked_sub(canary_failures)? as f64;
    let stable_successes = stable_requests.checked_sub(stable_failures)? as f64;
    let (canary, stable) = (canary_failures as f64, stable_failures as f64);
    let (failures, successes) = (canary + stable, canary_successes + stable_successes);
    let all = failures + successes;
    if all == 0.0 {
        return Some(0.0);
    }
    let x_ln = |count: f64| if count == 0.0 { 0.0 } else { count * (count / all).ln() };
    let marginal = ln_beta(0.5 + canary, 0.5 + canary_successes)
        + ln_beta(0.5 + stable, 0.5 + stable_successes)
        - 2.0 * ln_beta(0.5, 0.5);
    Some(marginal - x_ln(failures) - x_ln(successes))
}

/// ln E of one tick against "equal odds", betting on the odds ratio `ratio`, given the margins of
/// the tick's 2 x 2 table (Fisher's noncentral hypergeometric distribution).
///
/// E-values of successive ticks multiply. `None` when failures exceed requests or the ratio is not
/// positive and finite.
pub fn log_e_hypergeometric(
    canary_requests: u64,
    canary_failures: u64,
    stable_requests: u64,
    stable_failures: u64,
    ratio: f64,
) -> Option<f64> {
    let impossible = canary_failures > canary_requests || stable_failures > stable_requests;
    if impossible || !(ratio > 0.0 && ratio.is_finite()) {
        return None;
    }
    let failures = canary_failures.checked_add(stable_failures)?;
    let log_ratio = ratio.ln();
    let ln_factorial = |n: u64| ln_gamma(n as f64 + 1.0);
    // ln C(canary, j) C(stable, failures - j), without the factors that all j share.
    let log_ways = |j: u64| {
        -ln_factorial(j)
            - ln_factorial(canary_requests - j)
            - ln_factorial(failures - j)
            - ln_factorial(stable_requests + j - failures)
    };
    let range = failures.saturating_sub(stable_requests)..=failures.min(canary_requests);
    let log_sum = |slope: f64| {
        let logs = range.clone().map(|j| log_ways(j) + slope * j as f64);
        let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
        largest + logs.map(|log| (log - largest).exp()).sum::<f64>().ln()
    };
    Some(canary_failures as f64 * log_ratio - log_sum(log_ratio) + log_sum(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_tables_have_no_answer_and_empty_ones_no_evidence() {
        assert_eq!(log_e_two_proportions(2, 1, 0, 5), None);
        assert_eq!(log_e_two_proportions(0, 0, 0, 0), Some(0.0));
        assert_eq!(log_e_hypergeometric(1, 2, 5, 0, 2.0), None);
        assert_eq!(log_e_hypergeometric(5, 1, 5, 0, f64::NAN), None);
        assert_eq!(log_e_hypergeometric(0, 0, 0, 0, 2.0), Some(0.0));
    }

    #[test]
    fn the_expectation_given_the_margins_is_one() {
        let (canary, stable, failures) = (10_u64, 30_u64, 7_u64);
        let ways = |n: u64, k: u64| {
            (ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0))
                .exp()
        };
        let all = ways(canary + stable, failures);
        let expectation: f64 = (0..=failures)
            .map(|j| {
                let log_e = log_e_hypergeometric(canary, j, stable, failures - j, 3.0).unwrap();
                ways(canary, j) * ways(stable, failures - j) / all * log_e.exp()
            })
            .sum();
        assert!((expectation - 1.0).abs() < 1e-10, "{expectation}");
    }
}
