//! Linear estimators of scikit-learn.

use super::fitted::Estimator;
use super::node::Node;
use super::trees::answer;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::linear::Linear;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::excerpt;

/// Reads a classifier that answers probabilities, or a regressor.
pub(crate) fn read(node: &Node<'_, '_>) -> Reading<Estimator> {
    let class = node.class();
    let is_classifier =
        matches!(class, "LogisticRegression" | "LogisticRegressionCV" | "SGDClassifier");
    let classes = if is_classifier { node.attribute("classes_")?.texts()? } else { Vec::new() };
    let answer = if is_classifier { answer(node, classes.len())? } else { Answer::Score };
    if class == "SGDClassifier" && !node.attribute("loss")?.is_text("log_loss") {
        let loss = excerpt(&node.attribute("loss")?.text()?);
        let problem = format!("the loss {loss} gives no probability; train with loss=\"log_loss\"");
        return Err(node.refusal(problem));
    }
    let one_against_rest = class == "SGDClassifier"
        || node.find("solver").is_some_and(|solver| solver.is_text("liblinear"))
        || node.find("multi_class").is_some_and(|kind| kind.is_text("ovr"));
    let is_multinomial = node.find("multi_class").is_some_and(|kind| kind.is_text("multinomial"));
    if answer == Answer::Probability && is_multinomial {
        let problem =
            "multi_class=\"multinomial\" with two classes is not supported; train with the default";
        return Err(node.refusal(problem));
    }
    let link = match answer {
        Answer::Score => Link::Identity,
        Answer::Probability => Link::Sigmoid { scale: 1.0 },
        Answer::Classes(_) if one_against_rest => Link::SigmoidShares,
        Answer::Classes(_) => Link::Softmax,
    };
    let coefficients = node.attribute("coef_")?.numbers()?;
    let outputs = answer.numbers();
    let mut intercepts = node.attribute("intercept_")?.numbers()?;
    // Without an intercept it is a single 0.
    if let [0.0] = intercepts.as_slice() {
        intercepts = vec![0.0; outputs];
    }
    if intercepts.len() != outputs {
        let problem = format!("{} intercepts for {outputs} outputs", intercepts.len());
        return Err(node.refusal(problem));
    }
    Ok(Estimator {
        scorer: Scorer::Linear(Linear::new(coefficients, intercepts, link)?),
        answer,
        classes,
        objective: class.to_owned(),
    })
}
