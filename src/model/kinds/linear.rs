//! Linear models: a sum of products for each output, and a link.
//!
//! Products are added in the order of the features. BLAS adds them in another order, so answers agree with
//! scikit-learn's to rounding (1e-15 of the largest term), not to the bit.
//!
//! - [`coefficients`]: linear models as a file of coefficients.

pub mod coefficients;

use crate::model::kinds::ensemble::Link;
use crate::model::kinds::ensemble::WrongLength;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_OUTPUTS;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;

/// A checked linear model.
#[derive(Clone, Debug)]
pub struct Linear {
    features: usize,
    /// Output by output.
    coefficients: Vec<f64>,
    intercepts: Vec<f64>,
    link: Link,
}

impl Linear {
    /// Checks the numbers: as many coefficients as features times outputs, all finite.
    ///
    /// # Errors
    ///
    /// [`Refusal`] names what does not fit.
    pub fn new(coefficients: Vec<f64>, intercepts: Vec<f64>, link: Link) -> Reading<Self> {
        let outputs = intercepts.len();
        let features = coefficients.len().checked_div(outputs).unwrap_or(0);
        let fits = features * outputs == coefficients.len();
        if !fits || !(1..=MAX_FEATURES).contains(&features) || outputs > MAX_OUTPUTS {
            let problem = format!("{} of them for {outputs} outputs", coefficients.len());
            return Err(Refusal::new("coefficients", problem));
        }
        match coefficients.iter().chain(&intercepts).find(|number| !number.is_finite()) {
            Some(bad) => Err(Refusal::new("coefficients", format!("{bad} is not finite"))),
            None => Ok(Self { features, coefficients, intercepts, link }),
        }
    }

    /// How many numbers a row has.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Answers a row. A missing value makes the answer NaN, where scikit-learn refuses the row.
    ///
    /// # Errors
    ///
    /// [`WrongLength`], if `row` or `out` has another length than the model needs.
    pub fn predict(&self, row: &[f64], out: &mut [f64]) -> Result<(), WrongLength> {
        self.scores(row, out)?;
        self.link.apply(out);
        Ok(())
    }

    /// From the scores to the answer.
    pub fn link(&self) -> Link {
        self.link
    }

    /// What each number of a row adds to the score of one output: its product with its coefficient. `out` has one
    /// number more than the row; the last one is the intercept, the score of a row of zeros.
    ///
    /// # Errors
    ///
    /// [`WrongLength`], if `row` or `out` has another length.
    pub fn contributions(
        &self,
        row: &[f64],
        output: usize,
        out: &mut [f64],
    ) -> Result<(), WrongLength> {
        let lengths =
            [("row", row.len(), self.features), ("contributions", out.len(), row.len() + 1)];
        for (what, found, expected) in lengths {
            if found != expected {
                return Err(WrongLength { what, found, expected });
            }
        }
        let coefficients = self.coefficients.chunks_exact(self.features).nth(output);
        for ((part, coefficient), x) in
            out.iter_mut().zip(coefficients.unwrap_or_default()).zip(row)
        {
            *part = coefficient * x;
        }
        if let Some(last) = out.last_mut() {
            *last = self.intercepts.get(output).copied().unwrap_or(f64::NAN);
        }
        Ok(())
    }

    /// The scores before the link.
    ///
    /// # Errors
    ///
    /// As [`Linear::predict`].
    pub fn scores(&self, row: &[f64], out: &mut [f64]) -> Result<(), WrongLength> {
        let lengths =
            [("row", row.len(), self.features), ("answer", out.len(), self.intercepts.len())];
        for (what, found, expected) in lengths {
            if found != expected {
                return Err(WrongLength { what, found, expected });
            }
        }
        let rows = self.coefficients.chunks_exact(self.features).zip(&self.intercepts);
        for (score, (coefficients, intercept)) in out.iter_mut().zip(rows) {
            let products = coefficients.iter().zip(row).map(|(coefficient, x)| coefficient * x);
            *score = products.sum::<f64>() + intercept;
        }
        Ok(())
    }
}
