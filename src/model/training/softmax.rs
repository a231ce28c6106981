//! Fit of a multinomial logistic regression: for each class `k` the coefficients `w[k]` and the intercept `b[k]`
//! that minimize
//!
//! ```text
//! - sum over rows of log p[y]  +  l2 / 2 * sum over classes of |w[k]|^2
//!       p[k] = exp(w[k] x + b[k]) / sum over classes of exp(w x + b)
//! ```
//!
//! The intercepts are not penalized, as in scikit-learn, whose `C` is `1 / l2`. All classes have coefficients of their
//! own. Adding the same to those of every class changes no probability: the penalty makes their mean 0, and the
//! intercepts are given the mean 0 as well.
//!
//! linfa's multinomial fit takes the logarithm of the sum of exponentials with the largest score of *all* rows, so one
//! row far from the others makes the gradient of the rest wrong. So the minimum is found here, by Newton's method: a step
//! solves `H s = g` by conjugate gradients, which need only products of `H` with a vector, a pass over the rows each.
//! `H` itself, of all coefficients of all classes squared, never exists, and rows are encoded in blocks.

use super::design::Design;
use super::error::TrainingError;
use crate::model::artifact::limits::MAX_TRAINED_BYTES;

/// Largest step at which the fit ends, relative to the largest weight if that is above 1.
const TOLERANCE: f64 = 1e-9;

/// Largest step, and gradient per row, of a fit whose cost stopped falling in double precision.
const ACCEPTED: f64 = 1e-6;

/// Newton steps: about ten are needed, and some more for classes that can be separated.
const MAX_STEPS: usize = 200;

/// Products with `H` for one step. A step that needs more is taken as it is then.
const MAX_PRODUCTS: usize = 500;

/// Largest and smallest share of the gradient that a step leaves: near the minimum steps are worth more passes.
const REMAINDER: [f64; 2] = [1e-4, 0.1];

/// Rows per block.
const BLOCK_ROWS: usize = 512;

/// Coefficients of all classes together: half of what a model file may hold.
const MAX_COEFFICIENTS: usize = MAX_TRAINED_BYTES / 16;

/// Probabilities of all rows and classes, of which there are two copies: 2 GiB each.
const MAX_PROBABILITIES: usize = 1 << 28;

/// A fitted model.
#[derive(Debug)]
pub(crate) struct FittedClasses {
    /// One for each class.
    pub(crate) intercepts: Vec<f64>,
    /// Class by class, one for each column of the design.
    pub(crate) coefficients: Vec<f64>,
}

/// Fits; `outcomes` are places among `classes` classes, each of which must occur.
pub(crate) fn fit(
    design: &Design<'_>,
    outcomes: &[u8],
    classes: usize,
    l2: f64,
) -> Result<FittedClasses, TrainingError> {
    let (rows, width) = (design.rows(), design.width());
    let coefficients = width.saturating_mul(classes);
    if coefficients > MAX_COEFFICIENTS {
        return Err(TrainingError::TooManyCoefficients { width, classes });
    }
    if rows.saturating_mul(classes) > MAX_PROBABILITIES {
        return Err(TrainingError::TooManyRows {
            rows,
            classes,
            most: MAX_PROBABILITIES / classes,
        });
    }
    let weights = Problem { design, outcomes, classes, l2 }.minimum()?;
    let of_class = |class: usize| weights.iter().skip(class).step_by(classes).copied();
    let intercepts = (0..classes).filter_map(|class| of_class(class).nth(width)).collect();
    let coefficients = (0..classes).flat_map(|class| of_class(class).take(width)).collect();
    Ok(FittedClasses { intercepts, coefficients })
}

/// Weights are stored column by column, those of all classes next to each other; the intercepts are last.
struct Problem<'p> {
    design: &'p Design<'p>,
    outcomes: &'p [u8],
    classes: usize,
    l2: f64,
}

/// Cost, gradient and the probabilities of all rows at one point, and the diagonal of `H`.
struct Point {
    cost: f64,
    gradient: Vec<f64>,
    length: f64,
    diagonal: Vec<f64>,
    probabilities: Vec<f64>,
}

impl Problem<'_> {
    /// The weights at the minimum.
    fn minimum(&self) -> Result<Vec<f64>, TrainingError> {
        let mut weights = vec![0.0; (self.design.width() + 1) * self.classes];
        let mut now = self.point(&weights, Vec::new());
        let first = now.length;
        let mut spare = Vec::new();
        let mut remaining = f64::INFINITY;
        for _ in 0..MAX_STEPS {
            let [least, most] = REMAINDER;
            let mut step = self.newton_step(&now, (now.length / first).clamp(least, most));
            self.center(&mut step);
            remaining = largest(&step) / largest(&weights).max(1.0);
            if remaining <= TOLERANCE {
                return self.settled(weights, remaining, &now);
            }
            loop {
                let moved: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w - s).collect();
                let there = self.point(&moved, std::mem::take(&mut spare));
                // Both comparisons are false for NaN.
                if there.cost <= now.cost || there.length < now.length {
                    weights = moved;
                    spare = std::mem::replace(&mut now, there).probabilities;
                    break;
                }
                spare = there.probabilities;
                step.iter_mut().for_each(|step| *step /= 2.0);
                // NaN is not visible.
                let is_visible = step.iter().any(|step| step.abs() >= TOLERANCE);
                if !is_visible {
                    return self.settled(weights, remaining, &now);
                }
            }
        }
        Err(TrainingError::NotConverged { step: remaining })
    }

    /// The weights, if neither the step nor the gradient says that the minimum is far.
    fn settled(
        &self,
        mut weights: Vec<f64>,
        step: f64,
        now: &Point,
    ) -> Result<Vec<f64>, TrainingError> {
        let slope = now.length / (self.design.rows() as f64 + self.l2);
        // Written so that NaN is not near.
        let is_near = step <= ACCEPTED && slope <= ACCEPTED;
        if !is_near {
            return Err(TrainingError::NotConverged { step: step.max(slope) });
        }
        self.center(&mut weights);
        Ok(weights)
    }

    /// Gives the weights of all classes the mean 0, and those of complete categories as well.
    fn center(&self, weights: &mut [f64]) {
        for of_column in weights.chunks_exact_mut(self.classes) {
            let mean = of_column.iter().sum::<f64>() / self.classes as f64;
            of_column.iter_mut().for_each(|weight| *weight -= mean);
        }
        for class in 0..self.classes {
            let mut own: Vec<f64> =
                weights.iter().skip(class).step_by(self.classes).copied().collect();
            self.design.center(&mut own);
            let places = weights.iter_mut().skip(class).step_by(self.classes);
            places.zip(own).for_each(|(weight, own)| *weight = own);
        }
    }

    /// Solves `H s = g` by conjugate gradients with the diagonal of `H`, up to a share of `g`.
    fn newton_step(&self, at: &Point, share: f64) -> Vec<f64> {
        let smallest = largest(&at.diagonal) * f64::EPSILON;
        let scaled = |residual: &[f64]| -> Vec<f64> {
            residual.iter().zip(&at.diagonal).map(|(r, d)| r / d.max(smallest)).collect()
        };
        let mut step = vec![0.0; at.gradient.len()];
        let mut residual = at.gradient.clone();
        let mut direction = scaled(&residual);
        let mut size = dot(&residual, &direction);
        let enough = share * share * size;
        for _ in 0..MAX_PRODUCTS.min(2 * step.len()) {
            let image = self.product(&direction, &at.probabilities);
            let curvature = dot(&direction, &image);
            // False for NaN.
            let is_curved = curvature > 0.0;
            if !is_curved {
                break;
            }
            let length = size / curvature;
            for (((step, residual), direction), image) in
                step.iter_mut().zip(&mut residual).zip(&direction).zip(&image)
            {
                *step += length * direction;
                *residual -= length * image;
            }
            let next = scaled(&residual);
            let next_size = dot(&residual, &next);
            let goes_on = next_size > enough;
            if !goes_on {
                break;
            }
            let turn = next_size / size;
            size = next_size;
            direction.iter_mut().zip(next).for_each(|(d, next)| *d = next + turn * *d);
        }
        step
    }

    /// `H v`.
    fn product(&self, vector: &[f64], probabilities: &[f64]) -> Vec<f64> {
        let mut image = self.penalty(vector);
        let mut block = Block::new(self.design, self.classes);
        for start in (0..self.design.rows()).step_by(BLOCK_ROWS) {
            block.fill(self.design, start);
            block.score(vector);
            let rows = block.scores.chunks_exact_mut(self.classes).take(block.rows);
            for (row, p) in rows.zip(probabilities[start * self.classes..].chunks(self.classes)) {
                let mean: f64 = row.iter().zip(p).map(|(score, p)| score * p).sum();
                row.iter_mut().zip(p).for_each(|(score, p)| *score = p * (*score - mean));
            }
            block.add_to(&mut image, |x| x);
        }
        image
    }

    /// The penalty's part of a gradient or product: the intercepts have none.
    fn penalty(&self, vector: &[f64]) -> Vec<f64> {
        let penalized = self.design.width() * self.classes;
        let part = |(place, weight): (usize, &f64)| {
            if place < penalized { self.l2 * weight } else { 0.0 }
        };
        vector.iter().enumerate().map(part).collect()
    }

    /// Everything at one point; `room` is memory for the probabilities.
    fn point(&self, weights: &[f64], mut room: Vec<f64>) -> Point {
        room.clear();
        room.reserve_exact(self.design.rows() * self.classes);
        let mut gradient = self.penalty(weights);
        let mut cost = 0.5 * dot(&gradient, weights);
        let mut diagonal = self.penalty(&vec![1.0; weights.len()]);
        let mut block = Block::new(self.design, self.classes);
        for start in (0..self.design.rows()).step_by(BLOCK_ROWS) {
            block.fill(self.design, start);
            block.score(weights);
            let rows = block.scores.chunks_exact_mut(self.classes).take(block.rows);
            for (row, outcome) in rows.zip(&self.outcomes[start..]) {
                cost += to_probabilities(row, usize::from(*outcome));
                room.extend_from_slice(row);
                row.iter_mut().for_each(|p| *p *= 1.0 - *p);
            }
            block.add_to(&mut diagonal, |x| x * x);
            let rows = block.scores.chunks_exact_mut(self.classes).take(block.rows);
            let known = room[start * self.classes..].chunks_exact(self.classes);
            for ((row, p), outcome) in rows.zip(known).zip(&self.outcomes[start..]) {
                row.copy_from_slice(p);
                row[usize::from(*outcome)] -= 1.0;
            }
            block.add_to(&mut gradient, |x| x);
        }
        let length = dot(&gradient, &gradient).sqrt();
        Point { cost, gradient, length, diagonal, probabilities: room }
    }
}

/// Replaces scores by probabilities; returns `-log p` of the outcome.
fn to_probabilities(scores: &mut [f64], outcome: usize) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let own = scores[outcome] - top;
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - top).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    sum.ln() - own
}

/// Some consecutive rows of the design, and a number for each of their rows and classes.
struct Block {
    rows: usize,
    classes: usize,
    intercept: usize,
    /// The columns of the numbers.
    columns: Vec<usize>,
    /// The numbers, column by column.
    numbers: Vec<f64>,
    /// The column that is 1, category by category; behind the intercept where none is.
    levels: Vec<Vec<usize>>,
    /// Row by row.
    scores: Vec<f64>,
}

impl Block {
    fn new(design: &Design<'_>, classes: usize) -> Self {
        let columns: Vec<usize> = design.number_columns().collect();
        Self {
            rows: 0,
            classes,
            intercept: design.width(),
            numbers: vec![0.0; columns.len() * BLOCK_ROWS],
            levels: vec![vec![0; BLOCK_ROWS]; design.categories()],
            scores: vec![0.0; BLOCK_ROWS * classes],
            columns,
        }
    }

    fn fill(&mut self, design: &Design<'_>, start: usize) {
        self.rows = BLOCK_ROWS.min(design.rows() - start);
        for (index, filled) in self.numbers.chunks_exact_mut(BLOCK_ROWS).enumerate() {
            design.fill_numbers(index, start, &mut filled[..self.rows]);
        }
        for (index, filled) in self.levels.iter_mut().enumerate() {
            design.fill_levels(index, start, &mut filled[..self.rows]);
        }
    }

    /// Makes the scores those of the rows with these weights.
    fn score(&mut self, weights: &[f64]) {
        let classes = self.classes;
        let of = |column: usize| &weights[column * classes..][..classes];
        let scores = &mut self.scores[..self.rows * classes];
        for row in scores.chunks_exact_mut(classes) {
            row.copy_from_slice(of(self.intercept));
        }
        for (column, values) in self.columns.iter().zip(self.numbers.chunks_exact(BLOCK_ROWS)) {
            let own = of(*column);
            for (row, x) in scores.chunks_exact_mut(classes).zip(values) {
                row.iter_mut().zip(own).for_each(|(score, weight)| *score += weight * x);
            }
        }
        for levels in &self.levels {
            for (row, level) in scores.chunks_exact_mut(classes).zip(levels) {
                if *level < self.intercept {
                    row.iter_mut().zip(of(*level)).for_each(|(score, weight)| *score += weight);
                }
            }
        }
    }

    /// Adds the scores of all rows to the sums of each column, times what `of` makes of the column's number.
    fn add_to(&self, sums: &mut [f64], of: fn(f64) -> f64) {
        let classes = self.classes;
        let scores = || self.scores[..self.rows * classes].chunks_exact(classes);
        let mut own = vec![0.0; classes];
        for row in scores() {
            own.iter_mut().zip(row).for_each(|(sum, score)| *sum += score);
        }
        add(&mut sums[self.intercept * classes..], &own);
        for (column, values) in self.columns.iter().zip(self.numbers.chunks_exact(BLOCK_ROWS)) {
            own.fill(0.0);
            for (row, x) in scores().zip(values) {
                let x = of(*x);
                own.iter_mut().zip(row).for_each(|(sum, score)| *sum += score * x);
            }
            add(&mut sums[column * classes..], &own);
        }
        for levels in &self.levels {
            for (row, level) in scores().zip(levels).filter(|(_, level)| **level < self.intercept) {
                add(&mut sums[level * classes..], row);
            }
        }
    }
}

fn add(sums: &mut [f64], numbers: &[f64]) {
    sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
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

#[cfg(test)]
#[path = "softmax_tests.rs"]
mod tests;
