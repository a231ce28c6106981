//! GradientBoosting of scikit-learn.
//!
//! The sum starts with the score of the initial estimator (log-odds of the class shares, or a constant), then
//! each tree adds its value times the learning rate.

use super::fitted::Estimator;
use super::node::Node;
use super::trees::SourceTree;
use super::trees::answer;
use crate::model::kinds::ensemble::Builder;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::ensemble::Sum;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::excerpt;

/// scikit-learn clips the shares of the classes by the epsilon of `f32`.
const SMALLEST_SHARE: f64 = f32::EPSILON as f64;

/// Reads a classifier or a regressor.
pub(crate) fn read(node: &Node<'_, '_>, features: usize) -> Reading<Estimator> {
    let is_classifier = node.class() == "GradientBoostingClassifier";
    let loss = node.attribute("loss")?.text()?;
    let classes = if is_classifier { node.attribute("classes_")?.texts()? } else { Vec::new() };
    let answer = if is_classifier { answer(node, classes.len())? } else { Answer::Score };
    let link = match (answer, loss.as_str()) {
        (Answer::Probability, "log_loss" | "deviance") => Link::Sigmoid { scale: 1.0 },
        (Answer::Probability, "exponential") => Link::Sigmoid { scale: 2.0 },
        (Answer::Classes(_), "log_loss" | "deviance") => Link::Softmax,
        (Answer::Score, _) => Link::Identity,
        (_, other) => {
            return Err(node.refusal(format!("the loss {} is not supported", excerpt(other))));
        }
    };
    let start = start(node, answer, loss == "exponential")?;
    let outputs = start.len();
    let rate = node.attribute("learning_rate")?.number()?;
    let mut builder = Builder::new(features, start, Sum::Double, link)?;
    for stage in node.attribute("estimators_")?.list()? {
        let trees = stage.list()?;
        if trees.len() != outputs {
            return Err(stage.refusal(format!("{} trees for {outputs} outputs", trees.len())));
        }
        for (output, tree) in trees.iter().enumerate() {
            let source = SourceTree::read(&tree.attribute("tree_")?, 1)?;
            let added = source.add_scores(&mut builder, output, |value| rate * value);
            added.map_err(|refusal| tree.refusal(refusal.to_string()))?;
        }
    }
    Ok(Estimator {
        scorer: Scorer::Trees(builder.finish()?),
        answer,
        classes,
        objective: format!("{} {loss}", node.class()),
    })
}

/// What the sums start with.
fn start(node: &Node<'_, '_>, answer: Answer, is_exponential: bool) -> Reading<Vec<f64>> {
    let initial = node.attribute("init_")?;
    if initial.is_text("zero") {
        return Ok(vec![0.0; answer.numbers()]);
    }
    match (initial.package(), initial.class()) {
        ("sklearn", "DummyRegressor") if answer == Answer::Score => {
            initial.attribute("constant_")?.numbers()
        }
        ("sklearn", "DummyClassifier") if initial.attribute("strategy")?.is_text("prior") => {
            let shares = initial.attribute("class_prior_")?.numbers()?;
            let clip = |share: &f64| share.clamp(SMALLEST_SHARE, 1.0 - SMALLEST_SHARE);
            let shares: Vec<f64> = shares.iter().map(clip).collect();
            match (answer, shares.as_slice()) {
                (Answer::Probability, [_, share]) if is_exponential => {
                    Ok(vec![0.5 * log_odds(*share)])
                }
                (Answer::Probability, [_, share]) => Ok(vec![log_odds(*share)]),
                (Answer::Classes(classes), shares) if shares.len() == classes => {
                    let logs = shares.iter().map(|share| share.ln());
                    let mean = logs.clone().sum::<f64>() / classes as f64;
                    Ok(logs.map(|log| log - mean).collect())
                }
                _ => Err(initial.refusal("class_prior_ does not fit the classes")),
            }
        }
        _ => {
            let class = excerpt(initial.class());
            Err(initial.refusal(format!("the initial estimator {class} is not supported")))
        }
    }
}

/// `ln(p / (1 - p))`, computed as SciPy's `logit` does: near one half as a difference of `ln_1p`.
fn log_odds(share: f64) -> f64 {
    if (0.3..=0.65).contains(&share) {
        let distance = 2.0 * (share - 0.5);
        distance.ln_1p() - (-distance).ln_1p()
    } else {
        (share / (1.0 - share)).ln()
    }
}
