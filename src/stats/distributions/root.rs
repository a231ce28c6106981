//! Root finding for monotone functions.
//!
//! The ITP method (interpolate, truncate, project) needs at most one evaluation more than
//! bisection and is about as fast as the secant method on smooth functions. Its worst case is what
//! a server needs: no input can make it run long.
//!
//! Oliveira and Takahashi (2020), "An enhancement of the bisection method average performance
//! preserving minmax optimality", ACM Transactions on Mathematical Software 47(1),
//! doi:10.1145/3423597.

/// The zero of `function` between `low` and `high`, to within `tolerance`.
///
/// `function` must have different signs at the two ends and may be infinite there. Where it does
/// not change its sign, the answer is an end of the interval.
pub(crate) fn find_root(
    mut low: f64,
    mut high: f64,
    tolerance: f64,
    function: impl Fn(f64) -> f64,
) -> f64 {
    let mut at_low = function(low);
    let mut at_high = function(high);
    let rising = if at_high >= at_low { 1.0 } else { -1.0 };
    let truncation = 0.2 / (high - low);
    let bisections = ((high - low) / (2.0 * tolerance)).log2().ceil().max(0.0);
    // The farthest from the middle that a step may go and still finish one step after bisection.
    let mut reach = tolerance * (bisections + 1.0).exp2();
    while high - low > 2.0 * tolerance {
        let middle = low + 0.5 * (high - low);
        let radius = (reach - 0.5 * (high - low)).max(0.0);
        let interpolated = (at_high * low - at_low * high) / (at_high - at_low);
        let interpolated = if interpolated.is_finite() { interpolated } else { middle };
        let toward_middle = (middle - interpolated).signum();
        let nudge = truncation * (high - low).powi(2);
        let truncated = if nudge <= (middle - interpolated).abs() {
            interpolated + toward_middle * nudge
        } else {
            middle
        };
        let next = if (truncated - middle).abs() <= radius {
            truncated
        } else {
            middle - toward_middle * radius
        };
        // A nudge below the rounding would leave the interval as it is.
        let next = if next > low && next < high { next } else { middle };
        // Neighboring floats have nothing between them.
        if next <= low || next >= high {
            break;
        }
        let value = function(next);
        if value * rising > 0.0 {
            (high, at_high) = (next, value);
        } else if value * rising < 0.0 {
            (low, at_low) = (next, value);
        } else {
            return next;
        }
        reach *= 0.5;
    }
    low + 0.5 * (high - low)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn roots_are_found_within_the_evaluations_bisection_needs() {
        type Case = (fn(f64) -> f64, f64);
        let functions: [Case; 4] = [
            (|x| x * x * x - 2.0, 2_f64.cbrt()),
            (|x| 1.0 - x.exp(), 0.0),
            (|x| if x < 1.25 { f64::NEG_INFINITY } else { 1.0 }, 1.25),
            (|x| (x - 0.3).powi(9), 0.3),
        ];
        for (function, expected) in functions {
            let evaluations = Cell::new(0);
            let root = find_root(-10.0, 10.0, 1e-12, |x| {
                evaluations.set(evaluations.get() + 1);
                function(x)
            });
            assert!((root - expected).abs() < 1e-10, "{root}, expected {expected}");
            assert!(evaluations.get() <= 48, "{} evaluations", evaluations.get());
        }
    }
}
