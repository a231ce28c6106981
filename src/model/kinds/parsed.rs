//! A model that was read: what it takes, and what it answers.

use crate::model::explanation::Explains;
use crate::model::explanation::Method;
use crate::model::explanation::Unit;
use crate::model::kinds::columns::Columns;
use crate::model::kinds::ensemble::Ensemble;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::ensemble::WrongLength;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::linear::Linear;
use crate::model::kinds::onnx::engine::Engine;
use crate::model::kinds::onnx::engine::EngineError;
use crate::model::stop::Stop;
use thiserror::Error;

/// What the numbers of an answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One number, the probability of the positive class.
    Probability,
    /// One probability per class.
    Classes(usize),
    /// One number of any size: a regression, or a score for ranking.
    Score,
}

impl Answer {
    /// How many numbers an answer has.
    pub fn numbers(self) -> usize {
        match self {
            Self::Probability | Self::Score => 1,
            Self::Classes(classes) => classes,
        }
    }
}

/// What computes the answer.
#[derive(Clone, Debug)]
pub enum Scorer {
    /// Trees.
    Trees(Ensemble),
    /// A linear model.
    Linear(Linear),
    /// ONNX Runtime.
    Onnx(Engine),
}

/// Why a model that was read gave no answer.
#[derive(Debug, Error)]
pub enum NoAnswer {
    /// The row or the answer has another length.
    #[error(transparent)]
    Length(#[from] WrongLength),
    /// ONNX Runtime gave none.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A model as its file describes it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The inputs, in order.
    pub features: Vec<FeatureSpec>,
    /// From the inputs to the numbers of the scorer; `None` if they are the same.
    pub columns: Option<Columns>,
    /// The evaluator.
    pub scorer: Scorer,
    /// What it answers.
    pub answer: Answer,
    /// The names of the classes in order, where the file has them.
    pub classes: Vec<String>,
    /// The objective in the words of the file.
    pub objective: String,
    /// The probability at and above which the label is 1, where the file has one.
    pub threshold: Option<f64>,
}

impl Parsed {
    /// Answers a row. `scratch` is work space of [`Parsed::room`] numbers; nothing is allocated if it has them.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`], if `row` or `out` has another length than the model needs, or ONNX Runtime fails.
    pub fn predict(
        &self,
        row: &[f64],
        scratch: &mut Vec<f64>,
        out: &mut [f64],
    ) -> Result<(), NoAnswer> {
        let row = self.inputs(row, scratch)?;
        match &self.scorer {
            Scorer::Trees(ensemble) => ensemble.predict(row, out)?,
            Scorer::Linear(linear) => linear.predict(row, out)?,
            Scorer::Onnx(engine) => fill(out, &engine.run(row, &Stop::default())?)?,
        }
        Ok(())
    }

    /// How many numbers the work space of a row needs.
    pub fn room(&self) -> usize {
        self.columns.as_ref().map_or(0, Columns::room)
    }

    /// The numbers that the scorer takes.
    fn inputs<'r>(
        &self,
        row: &'r [f64],
        scratch: &'r mut Vec<f64>,
    ) -> Result<&'r [f64], WrongLength> {
        match &self.columns {
            None => Ok(row),
            Some(columns) => columns.run(row, scratch),
        }
    }

    /// How the answers are explained; `None` if they cannot be.
    pub fn explains(&self) -> Option<Explains> {
        let (method, link, baseline) = match &self.scorer {
            Scorer::Trees(trees) if trees.has_expectations() => (
                Method::Path,
                trees.link(),
                "what the trees expect of a row before they see its values",
            ),
            Scorer::Trees(_) | Scorer::Onnx(_) => return None,
            Scorer::Linear(linear) => (
                Method::Linear,
                linear.link(),
                "the answer where all columns of the model are 0: the training mean of a standardized number, no \
                 category of a one-hot column",
            ),
        };
        let adds_up_to = match (self.answer, link) {
            (Answer::Probability, Link::Sigmoid { .. } | Link::SigmoidSingle) => Unit::LogOdds,
            (Answer::Probability, Link::Identity) => Unit::Probability,
            (Answer::Score, Link::Identity) => Unit::Score,
            (Answer::Score, Link::Exponential | Link::ExponentialSingle) => Unit::LogScore,
            (Answer::Classes(_), Link::Identity) => Unit::Probability,
            (Answer::Classes(_), Link::Sigmoid { .. } | Link::SigmoidSingle) => Unit::LogOdds,
            (Answer::Classes(_), Link::Softmax | Link::SoftmaxSingle | Link::SigmoidShares) => {
                Unit::ClassScore
            }
            (Answer::Probability | Answer::Classes(_) | Answer::Score, _) => return None,
        };
        Some(Explains { method, adds_up_to, baseline })
    }

    /// What each input adds to one number of the answer to a row, and as the last number the baseline, in the unit of
    /// [`Parsed::explains`]; `None` if it cannot be had. What a pipeline makes of an input counts for that input.
    ///
    /// # Errors
    ///
    /// As [`Parsed::predict`].
    pub fn contributions(
        &self,
        row: &[f64],
        output: usize,
        scratch: &mut Vec<f64>,
    ) -> Result<Option<Vec<f64>>, WrongLength> {
        let inputs = self.inputs(row, scratch)?;
        let mut parts = vec![0.0; inputs.len() + 1];
        let link = match &self.scorer {
            Scorer::Trees(trees) => {
                if !trees.contributions(inputs, output, &mut parts)? {
                    return Ok(None);
                }
                trees.link()
            }
            Scorer::Linear(linear) => {
                linear.contributions(inputs, output, &mut parts)?;
                linear.link()
            }
            Scorer::Onnx(_) => return Ok(None),
        };
        if let Link::Sigmoid { scale } = link {
            parts.iter_mut().for_each(|part| *part *= scale);
        }
        let Some(columns) = &self.columns else { return Ok(Some(parts)) };
        let mut by_input = vec![0.0; row.len() + 1];
        if let Some((last, baseline)) = by_input.last_mut().zip(parts.pop()) {
            *last = baseline;
        }
        for (origin, part) in columns.origins().into_iter().zip(parts) {
            if let Some(sum) = by_input.get_mut(origin) {
                *sum += part;
            }
        }
        Ok(Some(by_input))
    }

    /// The scores of a row before the link.
    ///
    /// # Errors
    ///
    /// As [`Parsed::predict`].
    pub fn scores(
        &self,
        row: &[f64],
        scratch: &mut Vec<f64>,
        out: &mut [f64],
    ) -> Result<(), NoAnswer> {
        let row = self.inputs(row, scratch)?;
        match &self.scorer {
            Scorer::Trees(ensemble) => ensemble.scores(row, out)?,
            Scorer::Linear(linear) => linear.scores(row, out)?,
            // An ONNX file has no scores before its last operator.
            Scorer::Onnx(engine) => fill(out, &engine.run(row, &Stop::default())?)?,
        }
        Ok(())
    }
}

fn fill(out: &mut [f64], answer: &[f64]) -> Result<(), WrongLength> {
    let (found, expected) = (out.len(), answer.len());
    if found != expected {
        return Err(WrongLength { what: "answer", found, expected });
    }
    out.copy_from_slice(answer);
    Ok(())
}
