//! Reader of LightGBM's text models (`model.txt`, `model.lgb`).
//!
//! Source: the files that LightGBM 3 and 4 write with `save_model`, and its documentation of parameters and
//! objectives. The first line is `tree`; `key=value` lines follow, then one block per tree, then the
//! parameters of the training, and a last line with the categories of a pandas frame.
//!
//! - `header`: names, kinds and categories of the features.
//! - `categories`: the words or numbers of each categorical feature.
//! - `tree`: a block of arrays becomes the nodes of a tree.
//!
//! Refused by name: linear trees, and objectives this reader does not know.

pub(crate) mod categories;
pub(crate) mod header;
pub(crate) mod tree;

use self::header::Header;
use crate::model::kinds::ensemble::Builder;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::ensemble::Sum;
use crate::model::kinds::limits::MAX_BYTES;
use crate::model::kinds::limits::MAX_OUTPUTS;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Parsed;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// Whether a file looks like a LightGBM model.
pub fn is_lightgbm(bytes: &[u8]) -> bool {
    bytes.starts_with(b"tree\n") || bytes.starts_with(b"tree\r\n")
}

/// Reads a model with all its trees.
///
/// # Errors
///
/// [`Refusal`] names the line or the tree.
pub fn read(text: &str) -> Reading<Parsed> {
    read_iterations(text, None)
}

/// Reads the first iterations of a model, for a wrapper that remembers the best one.
///
/// # Errors
///
/// As [`read`].
pub fn read_iterations(text: &str, iterations: Option<usize>) -> Reading<Parsed> {
    if text.len() > MAX_BYTES {
        let size = text.len();
        return Err(Refusal::new("file", format!("{size} bytes, at most {MAX_BYTES} are read")));
    }
    if !is_lightgbm(text.as_bytes()) {
        return Err(Refusal::new("line 1", "it is not `tree`, as in LightGBM's text models"));
    }
    let (head, rest) = text.split_once("\nTree=").unwrap_or((text, ""));
    let (trees, tail) = rest.split_once("\nend of trees").unwrap_or((rest, ""));
    if rest.len() == trees.len() {
        return Err(Refusal::new(
            "trees",
            "the line `end of trees` is missing: the file is cut off",
        ));
    }
    let header = Header::read(head, tail)?;
    let purpose = purpose(&header)?;
    let blocks = trees.split("\nTree=").count();
    let per_iteration = header.trees_per_iteration;
    if blocks % per_iteration != 0 {
        let problem = format!("{blocks} of them, not a multiple of {per_iteration} per iteration");
        return Err(Refusal::new("trees", problem));
    }
    let used = iterations.unwrap_or(blocks).min(blocks / per_iteration).max(1);
    let sum = if header.average { Sum::Mean(used as f64) } else { Sum::Double };
    let start = vec![0.0; per_iteration];
    let mut builder = Builder::new(header.features.len(), start, sum, purpose.link)?;
    for (index, block) in trees.split("\nTree=").take(used * per_iteration).enumerate() {
        tree::read(block, index, per_iteration, &mut builder)?;
    }
    Ok(Parsed {
        scorer: Scorer::Trees(builder.finish()?),
        columns: None,
        features: header.features,
        answer: purpose.answer,
        classes: Vec::new(),
        objective: header.objective,
        threshold: None,
    })
}

/// What an objective makes of the scores.
struct Purpose {
    answer: Answer,
    link: Link,
}

fn purpose(header: &Header) -> Reading<Purpose> {
    let objective = header.objective.as_str();
    let mut words = objective.split_ascii_whitespace();
    let name = words.next().unwrap_or("");
    let scale = match words.clone().find_map(|word| word.strip_prefix("sigmoid:")) {
        None => 1.0,
        Some(text) => match text.parse::<f64>() {
            Ok(scale) if scale.is_finite() && scale > 0.0 => scale,
            _ => {
                let problem = format!("sigmoid {} is not a number above 0", excerpt(text));
                return Err(Refusal::new("objective", problem));
            }
        },
    };
    let classes = header.trees_per_iteration;
    let (answer, link) = match name {
        "binary" => (Answer::Probability, Link::Sigmoid { scale }),
        "cross_entropy" | "xentropy" => (Answer::Probability, Link::Sigmoid { scale: 1.0 }),
        "cross_entropy_lambda" | "xentlambda" => (Answer::Score, Link::Softplus),
        "multiclass" => (Answer::Classes(classes), Link::Softmax),
        "multiclassova" => (Answer::Classes(classes), Link::Sigmoid { scale }),
        "poisson" | "gamma" | "tweedie" => (Answer::Score, Link::Exponential),
        "regression" | "regression_l2" if words.any(|word| word == "sqrt") => {
            (Answer::Score, Link::SignedSquare)
        }
        "regression" | "regression_l2" | "regression_l1" | "huber" | "fair" | "quantile"
        | "mape" | "lambdarank" | "rank_xendcg" | "custom" | "" => (Answer::Score, Link::Identity),
        other => {
            let problem = format!("{} is not an objective that serin knows", excerpt(other));
            return Err(Refusal::new("objective", problem));
        }
    };
    let one_number = answer.numbers() == 1 && !matches!(answer, Answer::Classes(_));
    let allowed = if one_number { 1..=1 } else { 2..=MAX_OUTPUTS };
    if !allowed.contains(&classes) {
        let name = if name.is_empty() { "a model without objective" } else { name };
        let problem = format!("{classes} trees per iteration do not fit {name}");
        return Err(Refusal::new("objective", problem));
    }
    Ok(Purpose { answer, link })
}

#[cfg(test)]
#[path = "lightgbm/lightgbm_tests.rs"]
mod tests;
