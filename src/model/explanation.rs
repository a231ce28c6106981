//! Explanation of an answer: how much each feature contributed to it.

use serde::Serialize;
use utoipa::ToSchema;

/// How a model explains its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explains {
    /// How contributions are computed.
    pub method: Method,
    /// What baseline and contributions add up to.
    pub adds_up_to: Unit,
    /// What the baseline is.
    pub baseline: &'static str,
}

/// How contributions are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub enum Method {
    /// Coefficient times the distance of the value from its reference; exact.
    #[serde(rename = "linear")]
    Linear,
    /// At each split of the row's path the change of the expected score belongs to the split's feature.
    ///
    /// Source: Saabas, "Interpreting random forests" (2014), the `treeinterpreter` package. Unlike SHAP values it
    /// favors features near the leaves.
    #[serde(rename = "path attribution (Saabas)")]
    Path,
}

/// What baseline and contributions add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The log-odds of the answered probability, of many classes that of the answered class.
    LogOdds,
    /// The answered probability, of many classes that of the answered class: a forest is a mean of probabilities, not of log-odds.
    Probability,
    /// The answered score.
    Score,
    /// The logarithm of the answered score (Poisson, gamma, Tweedie).
    LogScore,
    /// What the model computes for the answered class, before it makes probabilities of these numbers of all classes.
    ClassScore,
}

/// Explanation of the answer to one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The place of the class that is explained, of many: the answered one.
    pub class: Option<usize>,
    /// The answer without the contributions.
    pub baseline: f64,
    /// What each feature adds to it, in the order of the schema.
    pub contributions: Vec<f64>,
}

impl Explanation {
    /// Baseline and contributions together.
    pub fn sum(&self) -> f64 {
        self.baseline + self.contributions.iter().sum::<f64>()
    }
}
