//! Fit of a logistic regression: the coefficients `w` and intercept `b` that minimize
//!
//! ```text
//! sum over rows of log(1 + exp(-y (w x + b)))  +  l2 / 2 * |w|^2        y is +1 or -1
//! ```
//!
//! The intercept is not penalized, as in scikit-learn, whose `C` is `1 / l2`. linfa minimizes it with
//! limited-memory BFGS. For more cells than [`LINFA_CELLS`] its many passes over the whole matrix would take
//! ten times the time and memory that are needed, so the Newton fit finds the same minimum, unless its
//! matrix of columns times columns is the larger one. A test holds both against each other.
//!
//! Where each row has a level of a category, adding to all its coefficients what is taken from the intercept
//! changes the penalty alone. A small one hardly shows in the cost, so both solvers' results are centered.
//!
//! Two properties of linfa are corrected here: it treats the more frequent class as the positive one, and
//! it reports success when it runs out of iterations, so the gradient is computed again and checked.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_logistic::LogisticRegression;
use ndarray::Array1;
use ndarray::Array2;

use super::design::Design;
use super::design::Fitted;
use super::error::TrainingError;
use super::newton;

/// Maximum size of the matrix that linfa gets, in numbers: 32 MiB.
const LINFA_CELLS: usize = 4 << 20;

/// Maximum size of the matrix of either solver, in numbers: 4 GiB.
const MAX_CELLS: usize = 1 << 29;

/// Newton-like steps converge in tens of iterations; thousands mean that something is wrong.
const MAX_ITERATIONS: u64 = 5_000;

/// Gradient length per row at which the solver stops. (linfa's default is 1e-4 for all rows together.)
const SOLVER_TOLERANCE: f64 = 1e-9;

/// Maximum remaining step of a converged fit. The solver also stops when the cost no longer changes in
/// double precision, about 1e-8 from the minimum.
const ACCEPTED_STEP: f64 = 1e-6;

/// Fits with the solver that suits the size; both outcomes must occur.
pub(crate) fn fit(
    design: &Design<'_>,
    outcomes: &[bool],
    l2: f64,
) -> Result<Fitted, TrainingError> {
    let fitted = match solver(design.rows(), design.width())? {
        Solver::Linfa => fit_with_linfa(design.matrix(), outcomes, l2)?,
        Solver::Newton => newton::fit(design, outcomes, l2)?,
    };
    Ok(fitted.centered(design))
}

#[derive(Debug, PartialEq)]
enum Solver {
    Linfa,
    Newton,
}

/// The solver that suits a design; an error if its matrix does not fit the memory of an ordinary machine.
fn solver(rows: usize, width: usize) -> Result<Solver, TrainingError> {
    let (cells, squared) = (rows.saturating_mul(width), width.saturating_mul(width));
    let (solver, matrix) = match cells <= LINFA_CELLS || width > rows {
        true => (Solver::Linfa, cells),
        false => (Solver::Newton, squared),
    };
    if matrix > MAX_CELLS {
        return Err(TrainingError::TooWide { rows, width });
    }
    Ok(solver)
}

/// Fits with linfa.
pub(crate) fn fit_with_linfa(
    x: Array2<f64>,
    outcomes: &[bool],
    l2: f64,
) -> Result<Fitted, TrainingError> {
    let targets: Array1<usize> = outcomes.iter().map(|outcome| usize::from(*outcome)).collect();
    let dataset = Dataset::new(x, targets);
    let fitted = LogisticRegression::default()
        .alpha(l2)
        .max_iterations(MAX_ITERATIONS)
        .gradient_tolerance(SOLVER_TOLERANCE * outcomes.len() as f64)
        .fit(&dataset)
        .map_err(|error| TrainingError::Solver { problem: error.to_string() })?;
    let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
    let coefficients = fitted.params() * sign;
    let intercept = fitted.intercept() * sign;

    let step = remaining_step(dataset.records(), outcomes, l2, intercept, &coefficients);
    // Written so that NaN has not converged.
    let converged = step <= ACCEPTED_STEP;
    if !converged {
        return Err(TrainingError::NotConverged { step });
    }
    Ok(Fitted { intercept, coefficients: coefficients.to_vec() })
}

/// Length of the cost's gradient, which is zero at the minimum, divided by a bound of the curvature: a
/// row adds at most about 1 per standardized column, and the penalty adds `l2` per coefficient.
fn remaining_step(
    x: &Array2<f64>,
    outcomes: &[bool],
    l2: f64,
    intercept: f64,
    w: &Array1<f64>,
) -> f64 {
    let rows = outcomes.len() as f64;
    let mut residuals = x.dot(w) + intercept;
    for (residual, outcome) in residuals.iter_mut().zip(outcomes) {
        *residual = 1.0 / (1.0 + (-*residual).exp()) - f64::from(u8::from(*outcome));
    }
    let slopes = (x.t().dot(&residuals) + w * l2) / (rows + l2);
    (slopes.dot(&slopes) + (residuals.sum() / rows).powi(2)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solver_is_the_one_whose_matrix_is_small() {
        for (rows, width, expected) in [
            (1_000, 50, Solver::Linfa),
            (1_000_000, 30, Solver::Newton),
            (100_000, 2_000, Solver::Newton),
            (100_000, 2_001, Solver::Newton),
            (3_000, 5_000, Solver::Linfa),
        ] {
            assert_eq!(solver(rows, width).unwrap(), expected, "{rows} rows, {width} columns");
        }
        let refused = solver(1_000_000, 100_000).unwrap_err().to_string();
        assert!(refused.contains("100000 coefficients"), "{refused}");
    }

    /// Eight rows of two columns; the positive class is the more frequent one.
    fn rows() -> (Array2<f64>, Vec<bool>) {
        let x =
            [0.2, 1.0, 1.1, -0.3, -0.5, 0.7, 2.0, 0.1, 0.4, -1.2, -1.5, 0.6, 0.9, 0.9, 1.7, -0.8];
        let y = [true, true, false, true, true, false, true, true];
        (Array2::from_shape_vec((8, 2), x.to_vec()).unwrap(), y.to_vec())
    }

    #[test]
    fn a_huge_penalty_flattens_the_coefficients_and_spares_the_intercept() {
        let (x, y) = rows();
        let fitted = fit_with_linfa(x, &y, 1e9).unwrap();
        assert!(fitted.coefficients.iter().all(|w| w.abs() < 1e-8));
        let log_odds_of_six_in_eight = 3.0_f64.ln();
        assert!((fitted.intercept - log_odds_of_six_in_eight).abs() < 1e-6);
    }

    #[test]
    fn swapping_the_classes_flips_every_sign() {
        let (x, y) = rows();
        let swapped: Vec<bool> = y.iter().map(|outcome| !outcome).collect();
        let (one, other) = (
            fit_with_linfa(x.clone(), &y, 1.0).unwrap(),
            fit_with_linfa(x, &swapped, 1.0).unwrap(),
        );
        assert!((one.intercept + other.intercept).abs() < 1e-6);
        for (a, b) in one.coefficients.iter().zip(&other.coefficients) {
            assert!((a + b).abs() < 1e-6);
        }
    }

    #[test]
    fn classes_that_a_line_separates_still_have_finite_coefficients() {
        let x = Array2::from_shape_vec((6, 1), vec![-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]).unwrap();
        let y = [false, false, false, true, true, true];
        for l2 in [1e-6, 1e-3, 1.0] {
            let fitted = fit_with_linfa(x.clone(), &y, l2).unwrap();
            assert!(fitted.coefficients[0].is_finite() && fitted.coefficients[0] > 0.0);
        }
    }
}
