//! Objectives of XGBoost: the start of the sum, the link, and the kind of answer.
//!
//! `base_score` is written in the units of the answer. The sum starts with the score that the link turns into
//! it: `-ln(1 / p - 1)` for a sigmoid, `ln(p)` for an exponential, the number itself otherwise.

use super::document::Learner;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::limits::MAX_OUTPUTS;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// What an objective makes of the scores.
#[derive(Debug)]
pub(crate) struct Purpose {
    pub answer: Answer,
    pub link: Link,
    /// What the sum of each output starts with.
    pub start: Vec<f32>,
}

/// The purpose of a model.
pub(crate) fn purpose(learner: &Learner) -> Reading<Purpose> {
    let parameters = &learner.learner_model_param;
    let classes = count("num_class", parameters.num_class.as_deref())?;
    let targets = count("num_target", parameters.num_target.as_deref())?;
    if targets > 1 {
        let problem = format!("{targets} targets; only models with one are supported");
        return Err(Refusal::new("num_target", problem));
    }
    let name = learner.objective.name.as_str();
    let (answer, link) = match name {
        "binary:logistic" | "reg:logistic" => (Answer::Probability, Link::SigmoidSingle),
        "multi:softprob" | "multi:softmax" => (Answer::Classes(classes), Link::SoftmaxSingle),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
            (Answer::Score, Link::ExponentialSingle)
        }
        "reg:squarederror"
        | "reg:linear"
        | "reg:squaredlogerror"
        | "reg:absoluteerror"
        | "reg:pseudohubererror"
        | "reg:quantileerror"
        | "reg:expectileerror"
        | "binary:logitraw"
        | "rank:pairwise"
        | "rank:ndcg"
        | "rank:map" => (Answer::Score, Link::Identity),
        other => {
            let problem = format!("{} is not supported", excerpt(other));
            return Err(Refusal::new("objective", problem));
        }
    };
    let outputs = match answer {
        Answer::Classes(2..=MAX_OUTPUTS) => classes,
        Answer::Probability | Answer::Score if classes <= 1 => 1,
        _ => {
            let problem = format!("{classes} classes do not fit the objective {name}");
            return Err(Refusal::new("num_class", problem));
        }
    };
    let scores = base_scores(&parameters.base_score, outputs)?;
    let start = scores.into_iter().map(|score| match name {
        "binary:logistic" | "reg:logistic" | "binary:logitraw" => -(1.0 / score - 1.0).ln(),
        _ if link == Link::ExponentialSingle => score.ln(),
        _ => score,
    });
    let start: Vec<f32> = start.collect();
    if start.iter().any(|score| !score.is_finite()) {
        let text = excerpt(&parameters.base_score);
        let problem = format!("{text} is out of range for the objective {name}");
        return Err(Refusal::new("base_score", problem));
    }
    Ok(Purpose { answer, link, start })
}

fn count(place: &str, text: Option<&str>) -> Reading<usize> {
    let text = text.unwrap_or("0");
    text.parse().map_err(|_| Refusal::new(place, format!("{} is not a number", excerpt(text))))
}

/// `5E-1`, `[5E-1]` or `[3E-1,2E-1,5E-1]`: one number for all outputs, or one for each.
fn base_scores(text: &str, outputs: usize) -> Reading<Vec<f32>> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let scores: Result<Vec<f32>, _> = inner.split(',').map(|word| word.trim().parse()).collect();
    match scores.as_deref() {
        Ok([score]) => Ok(vec![*score; outputs]),
        Ok(scores) if scores.len() == outputs => Ok(scores.to_vec()),
        Ok(scores) => {
            let problem = format!("{} numbers for {outputs} outputs", scores.len());
            Err(Refusal::new("base_score", problem))
        }
        Err(_) => {
            Err(Refusal::new("base_score", format!("{} is not a list of numbers", excerpt(text))))
        }
    }
}
