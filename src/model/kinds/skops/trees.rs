//! Decision trees and forests of scikit-learn.
//!
//! A tree is an array of nodes (`left_child`, `right_child`, `feature`, `threshold`, `missing_go_to_left`) and one
//! of values `[nodes, 1, classes]`: class shares since 1.3, weighted counts before. Inputs are rounded to `f32`,
//! thresholds are not. A forest answers the mean of its trees, added in order.

use super::fitted::Estimator;
use super::node::Node;
use crate::model::kinds::ensemble::Builder;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::ensemble::RawNode;
use crate::model::kinds::ensemble::Split;
use crate::model::kinds::ensemble::Sum;
use crate::model::kinds::ensemble::threshold::at_most;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;

/// Reads a single tree.
pub(crate) fn tree(node: &Node<'_, '_>, features: usize) -> Reading<Estimator> {
    mean(node, std::slice::from_ref(node), features)
}

/// Reads a forest.
pub(crate) fn forest(node: &Node<'_, '_>, features: usize) -> Reading<Estimator> {
    mean(node, &node.attribute("estimators_")?.list()?, features)
}

fn mean(node: &Node<'_, '_>, trees: &[Node<'_, '_>], features: usize) -> Reading<Estimator> {
    let (classes, answer) = match node.find("classes_") {
        None => (Vec::new(), Answer::Score),
        Some(classes) => {
            let classes = classes.texts()?;
            let answer = answer(node, classes.len())?;
            (classes, answer)
        }
    };
    if let Some(targets) = node.find("n_outputs_").filter(|targets| targets.count() != Ok(1)) {
        return Err(targets.refusal("several targets are not supported"));
    }
    let start = vec![0.0; answer.numbers()];
    let sum = Sum::Mean(trees.len() as f64);
    let mut builder = Builder::new(features, start, sum, Link::Identity)?;
    for tree in trees {
        let source = SourceTree::read(&tree.attribute("tree_")?, classes.len().max(1))?;
        source.add(answer, &mut builder).map_err(|refusal| tree.refusal(refusal.to_string()))?;
    }
    Ok(Estimator {
        scorer: Scorer::Trees(builder.finish()?),
        answer,
        classes,
        objective: node.class().to_owned(),
    })
}

/// The answer of a classifier.
pub(crate) fn answer(node: &Node<'_, '_>, classes: usize) -> Reading<Answer> {
    match classes {
        2 => Ok(Answer::Probability),
        3.. => Ok(Answer::Classes(classes)),
        _ => Err(node.refusal(format!("{classes} classes, but a classifier needs two"))),
    }
}

/// A tree of the module `sklearn.tree`.
#[derive(Debug)]
pub(crate) struct SourceTree {
    left: Vec<f64>,
    right: Vec<f64>,
    features: Vec<f64>,
    thresholds: Vec<f64>,
    missing_left: Vec<f64>,
    /// `width` numbers for each node.
    values: Vec<f64>,
    width: usize,
}

impl SourceTree {
    /// Reads a tree whose nodes have `width` values.
    pub(crate) fn read(tree: &Node<'_, '_>, width: usize) -> Reading<Self> {
        let nodes = tree.attribute("nodes")?.array()?;
        let values = tree.attribute("values")?;
        let values = values.array()?.numbers()?;
        if width.checked_mul(nodes.len()) != Some(values.len()) {
            let problem = format!("{} values for {} nodes", values.len(), nodes.len());
            return Err(tree.refusal(format!("{problem}, expected {width} for each")));
        }
        let missing = "missing_go_to_left";
        let missing_left =
            if nodes.has(missing) { nodes.column(missing)? } else { vec![0.0; nodes.len()] };
        Ok(Self {
            left: nodes.column("left_child")?,
            right: nodes.column("right_child")?,
            features: nodes.column("feature")?,
            thresholds: nodes.column("threshold")?,
            missing_left,
            values,
            width,
        })
    }

    /// Adds the tree of a forest to an ensemble.
    fn add(mut self, answer: Answer, builder: &mut Builder) -> Reading<()> {
        if self.width > 1 {
            self.normalize();
        }
        if matches!(answer, Answer::Classes(_)) {
            let values = self.values.chunks_exact(self.width);
            let nodes: Vec<RawNode<'_>> = values
                .enumerate()
                .map(|(index, values)| self.node(index, RawNode::Values(values), f64::NAN))
                .collect();
            return builder.tree_of_values(&nodes, &self.values);
        }
        self.add_scores(builder, 0, |value| value)
    }

    /// Adds a tree with one number a leaf: the last of its values, changed by `score`.
    pub(crate) fn add_scores(
        &self,
        builder: &mut Builder,
        output: usize,
        score: impl Fn(f64) -> f64,
    ) -> Reading<()> {
        let values = self.values.chunks_exact(self.width);
        let nodes: Vec<RawNode<'_>> = values
            .enumerate()
            .map(|(index, values)| {
                let value = score(values.last().copied().unwrap_or(f64::NAN));
                self.node(index, RawNode::Leaf(value), value)
            })
            .collect();
        builder.tree(&nodes, output)
    }

    fn node<'v>(&self, index: usize, leaf: RawNode<'v>, expected: f64) -> RawNode<'v> {
        let number = |numbers: &[f64]| numbers.get(index).copied().unwrap_or(f64::NAN);
        let (left, right) = (number(&self.left), number(&self.right));
        if left == -1.0 {
            return leaf;
        }
        let threshold = number(&self.thresholds);
        // NaN stays NaN, and the builder refuses it.
        let threshold = if threshold.is_nan() { threshold } else { at_most(threshold) };
        RawNode::Split {
            feature: position(number(&self.features)),
            split: Split::AtMost(threshold),
            missing_left: number(&self.missing_left) != 0.0,
            left: position(left),
            right: position(right),
            expected,
        }
    }

    /// Counts of older versions become shares.
    fn normalize(&mut self) {
        for values in self.values.chunks_exact_mut(self.width) {
            let total: f64 = values.iter().sum();
            if (total - 1.0).abs() > 1e-6 && total > 0.0 {
                values.iter_mut().for_each(|value| *value /= total);
            }
        }
    }
}

/// A position; negative and broken ones are beyond every end, so the builder refuses them.
pub(crate) fn position(number: f64) -> usize {
    if number >= 0.0 { number as usize } else { usize::MAX }
}
