//! Exact two-sample Kolmogorov-Smirnov p-values by counting lattice paths.
//!
//! Two samples of one distribution in ascending order are a random lattice path: a step to the
//! right for a canary's value, a step up for one of stable's. The exact Kolmogorov-Smirnov p-value
//! is the share of paths from (0, 0) to (m, n) that somewhere leave the strip around the diagonal:
//!
//! ```text
//! A(i, j) = 1 where |m j - n i| >= gap
//! A(i, j) = ( i A(i-1, j) + j A(i, j-1) ) / (i + j)      elsewhere
//! p = A(m, n)
//! ```
//!
//! A(i, j) is the probability that a path to (i, j) has left. Nothing is subtracted, so small
//! p-values keep their digits, and nothing overflows. For m = n there is a closed product.
//!
//! Hodges (1958), Arkiv för Matematik 3(5), doi:10.1007/BF02589501; the recurrence in terms of the
//! outside: Viehmann (2021), <https://arxiv.org/abs/2102.08037>.

/// The probability that max |m j - n i| reaches `gap` along a random path.
pub(crate) fn probability_of_reaching(gap: u64, m: usize, n: usize) -> f64 {
    if gap == 0 {
        return 1.0;
    }
    let probability =
        if m == n { of_equal_sizes(gap as usize / n, n) } else { of_strip(gap as usize, m, n) };
    probability.clamp(0.0, 1.0)
}

/// For m = n by reflection: the paths that get h steps away from the diagonal.
fn of_equal_sizes(h: usize, n: usize) -> f64 {
    // C(2n, n - kh - h) / C(2n, n - kh), a product of h factors.
    let ratio = |k: usize| -> f64 {
        (0..h).map(|j| (n as f64 - (k * h + j) as f64) / (n + k * h + j + 1) as f64).product()
    };
    2.0 * (0..=n / h).rev().fold(0.0, |inner, k| ratio(k) * (1.0 - inner))
}

fn of_strip(gap: usize, m: usize, n: usize) -> f64 {
    // The shorter sample is the inner loop. Which side is which does not matter: reversed, a path
    // above the diagonal is one below it.
    let (m, n) = (m.max(n), m.min(n));
    let reciprocals: Vec<f64> = (0..=m + n).map(|k| 1.0 / k as f64).collect();
    let outside = 1.0;
    let mut left = vec![outside; n + 1];
    for i in 0..=m {
        // Inside are the j with |m j - n i| < gap.
        let end = (n * i + gap).div_ceil(m).min(n + 1);
        let start = (n * i).checked_sub(gap).map_or(0, |excess| excess / m + 1);
        if start >= end {
            return outside;
        }
        let mut below = if start == 0 { 0.0 } else { outside };
        let inside = left.iter_mut().zip(&reciprocals[i..]).enumerate();
        for (j, (left, reciprocal)) in inside.skip(start).take(end - start) {
            *left =
                if i + j == 0 { 0.0 } else { (i as f64 * *left + j as f64 * below) * reciprocal };
            below = *left;
        }
    }
    left[n]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All paths, one by one.
    fn counted(gap: u64, m: u64, n: u64) -> f64 {
        fn walk(
            at: (u64, u64),
            to: (u64, u64),
            left: bool,
            is_out: &dyn Fn(u64, u64) -> bool,
        ) -> (f64, f64) {
            let left = left || is_out(at.0, at.1);
            if at == to {
                return (f64::from(u8::from(left)), 1.0);
            }
            let mut sum = (0.0, 0.0);
            for next in [(at.0 + 1, at.1), (at.0, at.1 + 1)] {
                if next.0 <= to.0 && next.1 <= to.1 {
                    let part = walk(next, to, left, is_out);
                    sum = (sum.0 + part.0, sum.1 + part.1);
                }
            }
            sum
        }
        let is_out = |i: u64, j: u64| (m * j).abs_diff(n * i) >= gap;
        let (left, all) = walk((0, 0), (m, n), false, &is_out);
        left / all
    }

    #[test]
    fn small_lattices_are_counted() {
        for (m, n) in [(1, 1), (1, 4), (3, 3), (5, 3), (3, 5), (6, 4), (6, 6), (7, 5)] {
            // Distances between cumulative distributions are multiples of the common divisor.
            let divisor = (1..=m.min(n)).rev().find(|d| m % d == 0 && n % d == 0).unwrap();
            let steps = if m == n { m } else { divisor };
            for gap in (0..=m * n).step_by(steps as usize) {
                let found = probability_of_reaching(gap, m as usize, n as usize);
                let expected = counted(gap, m, n);
                let what = format!("{gap} {m} {n}: {found}, not {expected}");
                assert!((found - expected).abs() < 1e-14, "{what}");
            }
        }
    }
}
