//! Newton fit for many rows: the minimum that linfa finds, in a few passes over the data.
//!
//! The cost, `fitting`'s, is convex with an exact second derivative, so a Newton step from near the minimum
//! squares the distance to it:
//!
//! ```text
//! w <- w - H^-1 g      g = sum over rows of (p - y) x  +  l2 w
//!                      H = sum over rows of p (1 - p) x x'  +  l2      (the intercept without l2)
//! ```
//!
//! The start is the fit of a sample. `H` is the expensive part, so it is kept as long as each step with it
//! makes the gradient ten times smaller. A step that raises both cost and gradient is halved. Rows are
//! encoded in blocks, so that the design never exists as a whole.
//!
//! A step is about the distance to the minimum, so the fit ends at a tiny step. The gradient says less: with
//! a small penalty a weight can be far off where it is nearly flat.

use ndarray::Array2;
use ndarray::ArrayView1;
use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::ShapeBuilder;
use ndarray::linalg::general_mat_mul;

use super::design::Design;
use super::design::Fitted;
use super::error::TrainingError;

/// Largest step at which the fit ends, relative to the largest weight if that is above 1.
const TOLERANCE: f64 = 1e-9;

/// The same for the sample, which differs from all rows by far more.
const SAMPLE_TOLERANCE: f64 = 1e-7;

/// Largest step, and gradient per row, of a fit whose cost stopped falling in double precision.
const ACCEPTED: f64 = 1e-6;

/// Rows of the sample; below twice as many, all rows are used from the start.
const SAMPLE_ROWS: usize = 50_000;

/// Rows per block: with some fifty numbers a row, a block fits the second-level cache.
const BLOCK_ROWS: usize = 512;

/// Newton's method needs about ten passes, and a bad start some more.
const MAX_PASSES: usize = 200;

/// A step that makes the gradient this much smaller may be followed by another with the same `H`.
const GOOD_CONTRACTION: f64 = 0.1;

/// Fits; both outcomes must occur.
pub(crate) fn fit(
    design: &Design<'_>,
    outcomes: &[bool],
    l2: f64,
) -> Result<Fitted, TrainingError> {
    let rows = design.rows();
    let start = vec![0.0; design.width() + 1];
    let every = (rows / SAMPLE_ROWS).max(1);
    let start = if every >= 2 {
        let sample = Problem { design, outcomes, l2: l2 / every as f64, every };
        // A sample of one class leads nowhere; the fit then starts at zero.
        sample.minimum(start.clone(), SAMPLE_TOLERANCE).unwrap_or(start)
    } else {
        start
    };
    let mut weights = Problem { design, outcomes, l2, every: 1 }.minimum(start, TOLERANCE)?;
    let intercept = weights.pop().unwrap_or_default();
    Ok(Fitted { intercept, coefficients: weights })
}

/// A fit on every n-th block of rows.
struct Problem<'p> {
    design: &'p Design<'p>,
    outcomes: &'p [bool],
    l2: f64,
    every: usize,
}

/// Cost and gradient at one point; the intercept is last.
struct Slope {
    cost: f64,
    gradient: Vec<f64>,
    length: f64,
}

impl Problem<'_> {
    /// The weights at the minimum.
    fn minimum(&self, mut weights: Vec<f64>, tolerance: f64) -> Result<Vec<f64>, TrainingError> {
        let (mut now, mut factor) = self.pass_with_curvature(&weights)?;
        let (mut is_fresh, mut is_slow) = (true, false);
        let mut remaining = f64::INFINITY;
        for _ in 0..MAX_PASSES {
            let mut step = factor.solve(&now.gradient);
            self.design.center(&mut step);
            remaining = largest(&step) / largest(&weights).max(1.0);
            if remaining <= tolerance {
                return self.settled(weights, remaining, &now);
            }
            if is_slow {
                (now, factor) = self.pass_with_curvature(&weights)?;
                (is_fresh, is_slow) = (true, false);
                continue;
            }
            let (next_weights, next) = loop {
                let moved: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w - s).collect();
                let there = self.pass(&moved, None);
                // Both comparisons are false for NaN.
                if there.cost <= now.cost || there.length < now.length {
                    break (moved, there);
                }
                step.iter_mut().for_each(|step| *step /= 2.0);
                // NaN is not visible.
                let is_visible = step.iter().any(|step| step.abs() >= tolerance);
                if !is_visible {
                    return self.settled(weights, remaining, &now);
                }
            };
            let contraction = next.length / now.length;
            (weights, now) = (next_weights, next);
            is_slow = contraction > GOOD_CONTRACTION;
            if is_fresh && contraction > 0.999 && remaining <= ACCEPTED {
                // Rounding errors are all that is left.
                return self.settled(weights, remaining, &now);
            }
            is_fresh = false;
        }
        Err(TrainingError::NotConverged { step: remaining })
    }

    /// The weights, if they are near the minimum: neither the step nor the gradient says otherwise.
    fn settled(
        &self,
        weights: Vec<f64>,
        step: f64,
        slope: &Slope,
    ) -> Result<Vec<f64>, TrainingError> {
        let rows = (self.design.rows() / self.every).max(1) as f64;
        let slope = slope.length / (rows + self.l2);
        // Written so that NaN is not near.
        let is_near = step <= ACCEPTED && slope <= ACCEPTED;
        if is_near {
            Ok(weights)
        } else {
            Err(TrainingError::NotConverged { step: step.max(slope) })
        }
    }

    fn pass_with_curvature(&self, weights: &[f64]) -> Result<(Slope, Cholesky), TrainingError> {
        let size = self.design.no_column() + 1;
        let mut curvature = Array2::zeros((size, size));
        let slope = self.pass(weights, Some(&mut curvature));
        Ok((slope, Cholesky::new(curvature, weights.len())?))
    }

    /// Cost, gradient and, if asked for, the lower triangle of the second derivative, with a row and a column
    /// for the rows without a level at the end.
    fn pass(&self, weights: &[f64], mut curvature: Option<&mut Array2<f64>>) -> Slope {
        let width = self.design.width();
        let mut block = Block::new(self.design);
        let mut gradient = vec![0.0; self.design.no_column() + 1];
        let extended = [weights, &[0.0]].concat();
        let mut cost = 0.0;
        let starts = (0..self.design.rows()).step_by(BLOCK_ROWS).step_by(self.every);
        for start in starts {
            block.fill(self.design, start);
            let end = start + block.rows;
            cost += block.residuals(&extended, &self.outcomes[start..end]);
            block.add_gradient(&mut gradient);
            if let Some(curvature) = &mut curvature {
                block.add_curvature(curvature);
            }
        }
        gradient.truncate(weights.len());
        for (slope, weight) in gradient.iter_mut().zip(&weights[..width]) {
            *slope += self.l2 * weight;
            cost += 0.5 * self.l2 * weight * weight;
        }
        if let Some(curvature) = curvature {
            (0..width).for_each(|column| curvature[[column, column]] += self.l2);
        }
        let length = dot(&gradient, &gradient).sqrt();
        Slope { cost, gradient, length }
    }
}

/// Some consecutive rows of the design, and what depends on them.
struct Block {
    rows: usize,
    /// The columns of the numbers, then that of the intercept.
    columns: Vec<usize>,
    /// The numbers and a 1, column by column.
    numbers: Vec<f64>,
    /// The same, times the weight of the row.
    weighted: Vec<f64>,
    /// The column that is 1, category by category.
    levels: Vec<Vec<usize>>,
    residuals: Vec<f64>,
    row_weights: Vec<f64>,
}

impl Block {
    fn new(design: &Design<'_>) -> Self {
        let columns: Vec<usize> = design.number_columns().chain([design.width()]).collect();
        let size = columns.len() * BLOCK_ROWS;
        Self {
            rows: 0,
            numbers: vec![1.0; size],
            weighted: vec![0.0; size],
            levels: vec![vec![0; BLOCK_ROWS]; design.categories()],
            residuals: vec![0.0; BLOCK_ROWS],
            row_weights: vec![0.0; BLOCK_ROWS],
            columns,
        }
    }

    fn fill(&mut self, design: &Design<'_>, start: usize) {
        self.rows = BLOCK_ROWS.min(design.rows() - start);
        let numbers = self.columns.len() - 1;
        for (index, filled) in self.numbers.chunks_exact_mut(BLOCK_ROWS).take(numbers).enumerate() {
            design.fill_numbers(index, start, &mut filled[..self.rows]);
        }
        for (index, filled) in self.levels.iter_mut().enumerate() {
            design.fill_levels(index, start, &mut filled[..self.rows]);
        }
    }

    /// Computes residuals `p - y` and row weights `p (1 - p)`; returns the cost of the rows.
    fn residuals(&mut self, weights: &[f64], outcomes: &[bool]) -> f64 {
        let odds = &mut self.residuals[..self.rows];
        odds.fill(0.0);
        for (column, values) in self.columns.iter().zip(self.numbers.chunks_exact(BLOCK_ROWS)) {
            let weight = weights[*column];
            odds.iter_mut().zip(values).for_each(|(odds, value)| *odds += weight * value);
        }
        for levels in &self.levels {
            odds.iter_mut().zip(levels).for_each(|(odds, level)| *odds += weights[*level]);
        }
        let mut cost = 0.0;
        for ((odds, weight), outcome) in odds.iter_mut().zip(&mut self.row_weights).zip(outcomes) {
            let signed = if *outcome { -*odds } else { *odds };
            // Of e^-|z|, which cannot overflow.
            let small = (-signed.abs()).exp();
            cost += signed.max(0.0) + small.ln_1p();
            let lesser = small / (1.0 + small);
            let wrong = if signed >= 0.0 { 1.0 / (1.0 + small) } else { lesser };
            *weight = lesser / (1.0 + small);
            *odds = if *outcome { -wrong } else { wrong };
        }
        cost
    }

    fn add_gradient(&self, gradient: &mut [f64]) {
        let residuals = &self.residuals[..self.rows];
        for (column, values) in self.columns.iter().zip(self.numbers.chunks_exact(BLOCK_ROWS)) {
            gradient[*column] += dot(residuals, &values[..self.rows]);
        }
        for levels in &self.levels {
            for (level, residual) in levels.iter().zip(residuals) {
                gradient[*level] += residual;
            }
        }
    }

    fn add_curvature(&mut self, curvature: &mut Array2<f64>) {
        let (rows, count) = (self.rows, self.columns.len());
        let both = self.weighted.chunks_exact_mut(BLOCK_ROWS);
        for (weighted, values) in both.zip(self.numbers.chunks_exact(BLOCK_ROWS)) {
            for ((weighted, value), weight) in
                weighted.iter_mut().zip(values).zip(&self.row_weights)
            {
                *weighted = value * weight;
            }
        }
        self.add_products(curvature);
        let width = curvature.ncols();
        let Some(cells) = curvature.as_slice_mut() else { return };
        for levels in &self.levels {
            let levels = &levels[..rows];
            for index in 0..count {
                let values = &self.weighted[index * BLOCK_ROWS..][..rows];
                let column = self.columns[index];
                for (level, value) in levels.iter().zip(values) {
                    cells[(*level).max(column) * width + (*level).min(column)] += value;
                }
            }
        }
        for (index, levels) in self.levels.iter().enumerate() {
            for others in &self.levels[..=index] {
                let pairs = levels.iter().zip(others).zip(&self.row_weights).take(rows);
                for ((level, other), weight) in pairs {
                    cells[(*level).max(*other) * width + (*level).min(*other)] += weight;
                }
            }
        }
    }

    /// Adds the products of the numbers with each other.
    fn add_products(&self, curvature: &mut Array2<f64>) {
        let (rows, count) = (self.rows, self.columns.len());
        let shape = (rows, count).strides((1, BLOCK_ROWS));
        let mut products = vec![0.0; count * count];
        let (Ok(numbers), Ok(weighted), Ok(mut sums)) = (
            ArrayView2::from_shape(shape, &self.numbers),
            ArrayView2::from_shape(shape, &self.weighted),
            ArrayViewMut2::from_shape((count, count), &mut products),
        ) else {
            return;
        };
        general_mat_mul(1.0, &numbers.t(), &weighted, 0.0, &mut sums);
        for (one, row) in self.columns.iter().enumerate() {
            for (other, column) in self.columns[..=one].iter().enumerate() {
                curvature[[*row, *column]] += products[one * count + other];
            }
        }
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    ArrayView1::from(one).dot(&ArrayView1::from(other))
}

/// The largest absolute value; NaN if there is one.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(
        0.0,
        |largest: f64, value| {
            if value.is_nan() { f64::NAN } else { largest.max(value.abs()) }
        },
    )
}

/// A positive definite matrix as `L L'`.
struct Cholesky {
    lower: Array2<f64>,
    size: usize,
}

impl Cholesky {
    /// Factors the lower triangle of the first rows and columns in place. A column that the ones before it
    /// determine, up to rounding, is left out: its pivot is infinite, so its part of a solution is 0.
    fn new(mut matrix: Array2<f64>, size: usize) -> Result<Self, TrainingError> {
        /// A smaller pivot, relative to the diagonal, consists of rounding errors.
        const ROUNDING: f64 = 1e-12;
        let failed = || TrainingError::Solver {
            problem: "the second derivative is not a number".to_owned(),
        };
        let width = matrix.ncols();
        let cells = matrix.as_slice_mut().ok_or_else(failed)?;
        for row in 0..size {
            let (above, below) = cells.split_at_mut(row * width);
            let own = &mut below[..=row];
            for column in 0..row {
                let other = &above[column * width..][..=column];
                let sum = dot(&own[..column], &other[..column]);
                own[column] = (own[column] - sum) / other[column];
            }
            let square = own[row] - dot(&own[..row], &own[..row]);
            if square.is_nan() {
                return Err(failed());
            }
            let is_determined = square <= ROUNDING * own[row];
            own[row] = if is_determined { f64::INFINITY } else { square.sqrt() };
        }
        Ok(Self { lower: matrix, size })
    }

    /// The solution `x` of `L L' x = right`.
    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let lower = &self.lower;
        let mut x = right.to_vec();
        for row in 0..self.size {
            for column in 0..row {
                x[row] -= lower[[row, column]] * x[column];
            }
            x[row] /= lower[[row, row]];
        }
        for row in (0..self.size).rev() {
            x[row] /= lower[[row, row]];
            for column in 0..row {
                x[column] -= lower[[row, column]] * x[row];
            }
        }
        x
    }
}
