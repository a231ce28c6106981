//! How often do two shuffled samples drift apart as far as these did?
//!
//! Two samples of one distribution in ascending order are a random lattice path: a step to the
//! right for a canary's value, a step up for one of stable's. The exact Kolmogorov-Smirnov p-value
//! is the share of paths from (0, 0) to (m, n) that somewhere leave the strip around the diagonal:
//!
//! ```text
//! A(i, j) = 1 where m j - n i >= gap (or n i - m j >= gap, for both sides)
//! A(i, j) = ( i A(i-1, j) + j A(i, j-1) ) / (i + j)      elsewhere
//! p = A(m, n)
//! ```
//!
//! A(i, j) is the probability that a path to (i, j) has left. Nothing is subtracted, so small
//! p-values keep their digits, and nothing overflows. For m = n there is a closed product.
//!
//! Hodges (1958), Arkiv för Matematik 3(5), doi:10.1007/BF02589501; the recurrence in terms of the
//! outside: Viehmann (2021), <https://arxiv.org/abs/2102.08037>.

/// Which side of the diagonal counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// Too far in one direction.
    One,
    /// Too far in either direction.
    Both,
}

/// The probability that max (m j - n i), or max |m j - n i|, reaches `gap` along a random path.
pub(crate) fn probability_of_reaching(gap: u64, m: usize, n: usize, boundary: Boundary) -> f64 {
    if gap == 0 {
        return 1.0;
    }
    let probability = if m == n {
        of_equal_sizes(gap as usize / n, n, boundary)
    } else {
        of_strip(gap as usize, m, n, boundary)
    };
    probability.clamp(0.0, 1.0)
}

/// For m = n by reflection: the paths that get h steps away from the diagonal.
fn of_equal_sizes(h: usize, n: usize, boundary: Boundary) -> f64 {
    // C(2n, n - kh - h) / C(2n, n - kh), a product of h factors.
    let ratio = |k: usize| -> f64 {
        (0..h).map(|j| (n as f64 - (k * h + j) as f64) / (n + k * h + j + 1) as f64).product()
    };
    match boundary {
        Boundary::One => ratio(0),
        Boundary::Both => 2.0 * (0..=n / h).rev().fold(0.0, |inner, k| ratio(k) * (1.0 - inner)),
    }
}

/// Of the paths that left on one side, fewer than exp(-2 w^2) come as far to the other, where w is
/// the distance times sqrt(m n / (m + n)): 3e-18, which no float shows.
const NEGLIGIBLE: f64 = 4.5;

fn of_strip(gap: usize, m: usize, n: usize, boundary: Boundary) -> f64 {
    // The shorter sample is the inner loop. Which side is which does not matter: reversed, a path
    // above the diagonal is one below it.
    let (m, n) = (m.max(n), m.min(n));
    let reciprocals: Vec<f64> = (0..=m + n).map(|k| 1.0 / k as f64).collect();
    let outside = 1.0;
    // How far below the diagonal a path may go, and the probability to have left beyond that.
    let (gap_below, beyond) = match boundary {
        Boundary::Both => (gap, outside),
        Boundary::One => {
            (((NEGLIGIBLE * ((m + n) as f64 * m as f64 * n as f64).sqrt()) as usize), 0.0)
        }
    };
    let mut left = vec![outside; n + 1];
    for i in 0..=m {
        // Inside are the j with m j - n i < gap and, for both sides, n i - m j < gap.
        let end = (n * i + gap).div_ceil(m).min(n + 1);
        let start = (n * i).checked_sub(gap_below).map_or(0, |excess| excess / m + 1);
        if start >= end {
            return outside;
        }
        let mut below = if start == 0 { 0.0 } else { beyond };
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
    fn counted(gap: u64, m: u64, n: u64, boundary: Boundary) -> f64 {
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
        let is_out = |i: u64, j: u64| match boundary {
            Boundary::One => m * j >= n * i + gap,
            Boundary::Both => (m * j).abs_diff(n * i) >= gap,
        };
        let (left, all) = walk((0, 0), (m, n), false, &is_out);
        left / all
    }

    #[test]
    fn leaving_out_what_is_negligible_changes_nothing() {
        let (m, n) = (700, 430);
        for gap in [1_000, 20_000, 60_000, 150_000_usize] {
            // All of the lattice below the boundary.
            let mut left = vec![1.0; n + 1];
            for i in 0..=m {
                let mut below = 0.0;
                for (j, left) in left.iter_mut().enumerate() {
                    *left = if m * j >= n * i + gap {
                        1.0
                    } else if i + j == 0 {
                        0.0
                    } else {
                        (i as f64 * *left + j as f64 * below) / (i + j) as f64
                    };
                    below = *left;
                }
            }
            let found = probability_of_reaching(gap as u64, m, n, Boundary::One);
            assert!((found / left[n] - 1.0).abs() < 1e-12, "{gap}: {found}, not {}", left[n]);
        }
    }

    #[test]
    fn small_lattices_are_counted() {
        for (m, n) in [(1, 1), (1, 4), (3, 3), (5, 3), (3, 5), (6, 4), (6, 6), (7, 5)] {
            // Distances between cumulative distributions are multiples of the common divisor.
            let divisor = (1..=m.min(n)).rev().find(|d| m % d == 0 && n % d == 0).unwrap();
            let steps = if m == n { m } else { divisor };
            for gap in (0..=m * n).step_by(steps as usize) {
                for boundary in [Boundary::One, Boundary::Both] {
                    let found = probability_of_reaching(gap, m as usize, n as usize, boundary);
                    let expected = counted(gap, m, n, boundary);
                    let what = format!("{gap} {m} {n} {boundary:?}: {found}, not {expected}");
                    assert!((found - expected).abs() < 1e-14, "{what}");
                }
            }
        }
    }
}
