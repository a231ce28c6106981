//! HistGradientBoosting of scikit-learn.
//!
//! A tree is an array of nodes (`value`, `feature_idx`, `num_threshold`, `missing_go_to_left`, `left`, `right`,
//! `is_leaf`, `is_categorical`, `bitset_idx`); the sets of its categorical splits have 256 bits. Inputs stay
//! `f64`. Categories that training did not see count as missing.

use super::columns::Program;
use super::fitted::Estimator;
use super::node::Node;
use super::trees::answer;
use super::trees::position;
use crate::model::kinds::ensemble::Builder;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::ensemble::RawNode;
use crate::model::kinds::ensemble::Split;
use crate::model::kinds::ensemble::Sum;
use crate::model::kinds::ensemble::expected::expect_means;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::excerpt;

/// Words of a set: 256 categories.
const WORDS: usize = 8;

/// Reads a classifier or a regressor, and the slots that reach its trees.
pub(crate) fn read(
    node: &Node<'_, '_>,
    program: &mut Program,
    slots: Vec<usize>,
) -> Reading<(Estimator, Vec<usize>)> {
    let slots = match node.find("_preprocessor").filter(|inner| !inner.is_none()) {
        Some(preprocessor) => program.apply(&preprocessor, &slots, 0)?,
        None => slots,
    };
    let is_classifier = node.class() == "HistGradientBoostingClassifier";
    let loss = node.attribute("loss")?.text()?;
    let classes = if is_classifier { node.attribute("classes_")?.texts()? } else { Vec::new() };
    let answer = if is_classifier { answer(node, classes.len())? } else { Answer::Score };
    let link = match (answer, loss.as_str()) {
        (Answer::Probability, "log_loss") => Link::Sigmoid { scale: 1.0 },
        (Answer::Classes(_), "log_loss") => Link::Softmax,
        (Answer::Score, "squared_error" | "absolute_error" | "quantile") => Link::Identity,
        (Answer::Score, "poisson" | "gamma") => Link::Exponential,
        (_, other) => {
            return Err(node.refusal(format!("the loss {} is not supported", excerpt(other))));
        }
    };
    let start = node.attribute("_baseline_prediction")?.numbers()?;
    let outputs = answer.numbers();
    if start.len() != outputs {
        return Err(node.refusal(format!("{} baselines for {outputs} outputs", start.len())));
    }
    let known = known_categories(node, slots.len())?;
    let mut builder = Builder::new(slots.len(), start, Sum::Double, link)?;
    for stage in node.attribute("_predictors")?.list()? {
        let trees = stage.list()?;
        if trees.len() != outputs {
            return Err(stage.refusal(format!("{} trees for {outputs} outputs", trees.len())));
        }
        for (output, tree) in trees.iter().enumerate() {
            let source = SourceTree::read(tree, &known)?;
            let mut nodes: Vec<RawNode<'_>> =
                (0..source.values.len()).map(|index| source.node(index)).collect();
            // Values of splits lack the learning rate, so means of the leaves take their place.
            expect_means(&mut nodes, &source.counts);
            let added = builder.tree(&nodes, output);
            added.map_err(|refusal| tree.refusal(refusal.to_string()))?;
        }
    }
    let scorer = Scorer::Trees(builder.finish()?);
    let objective = format!("{} {loss}", node.class());
    Ok((Estimator { scorer, answer, classes, objective }, slots))
}

/// For each feature the categories that training saw; empty for numbers.
fn known_categories(node: &Node<'_, '_>, features: usize) -> Reading<Vec<[u32; WORDS]>> {
    let mut known = vec![[0; WORDS]; features];
    let flags = match node.find("is_categorical_").filter(|flags| !flags.is_none()) {
        Some(flags) => flags.numbers()?,
        None => return Ok(known),
    };
    let lists = node.attribute("_bin_mapper")?.attribute("bin_thresholds_")?.list()?;
    // The flags have the order of the inputs, the mapper has the order of the trees.
    let mapped = node.attribute("_bin_mapper")?.attribute("is_categorical_")?.numbers()?;
    if mapped.len() != features || lists.len() != features || flags.len() != features {
        return Err(node.refusal(format!("its bins do not fit {features} features")));
    }
    for ((set, list), flag) in known.iter_mut().zip(lists).zip(mapped) {
        if flag == 0.0 {
            continue;
        }
        for category in list.numbers()? {
            let code = position(category);
            if let Some(word) = set.get_mut(code / 32) {
                *word |= 1 << (code % 32);
            }
        }
    }
    Ok(known)
}

/// A tree: arrays by node.
struct SourceTree {
    values: Vec<f64>,
    /// Rows of the training.
    counts: Vec<f64>,
    features: Vec<f64>,
    thresholds: Vec<f64>,
    missing_left: Vec<f64>,
    left: Vec<f64>,
    right: Vec<f64>,
    is_leaf: Vec<f64>,
    /// For each node the categories that go left, if its split is categorical.
    sets: Vec<Option<[u32; WORDS]>>,
}

impl SourceTree {
    fn read(tree: &Node<'_, '_>, known: &[[u32; WORDS]]) -> Reading<Self> {
        let nodes = tree.attribute("nodes")?.array()?;
        let features = nodes.column("feature_idx")?;
        let missing_left = nodes.column("missing_go_to_left")?;
        let flags = nodes.column("is_categorical")?;
        let places = nodes.column("bitset_idx")?;
        let bits = tree.attribute("raw_left_cat_bitsets")?.numbers()?;
        let mut sets = vec![None; flags.len()];
        for (index, set) in sets.iter_mut().enumerate() {
            let number = |numbers: &[f64]| position(numbers.get(index).copied().unwrap_or(-1.0));
            if flags.get(index).is_none_or(|flag| *flag == 0.0) {
                continue;
            }
            let from = number(&places).saturating_mul(WORDS);
            let bits = bits.get(from..from.saturating_add(WORDS));
            let bits = bits.ok_or_else(|| tree.refusal(format!("split {index} has no set")))?;
            let known = known.get(number(&features)).copied().unwrap_or_default();
            let unknown_left = number(&missing_left) != 0;
            let mut left = [0; WORDS];
            for ((word, bits), known) in left.iter_mut().zip(bits).zip(known) {
                // Unknown categories take the side of a missing value.
                *word = *bits as u32 | if unknown_left { !known } else { 0 };
            }
            *set = Some(left);
        }
        Ok(Self {
            values: nodes.column("value")?,
            counts: nodes.column("count")?,
            thresholds: nodes.column("num_threshold")?,
            left: nodes.column("left")?,
            right: nodes.column("right")?,
            is_leaf: nodes.column("is_leaf")?,
            features,
            missing_left,
            sets,
        })
    }

    fn node(&self, index: usize) -> RawNode<'_> {
        let number = |numbers: &[f64]| numbers.get(index).copied().unwrap_or(f64::NAN);
        let value = number(&self.values);
        if number(&self.is_leaf) != 0.0 {
            return RawNode::Leaf(value);
        }
        let missing_left = number(&self.missing_left) != 0.0;
        let split = match self.sets.get(index) {
            Some(Some(words)) => Split::Set {
                words,
                inverted: false,
                outside_left: missing_left,
                negative_left: None,
            },
            _ => Split::AtMost(number(&self.thresholds)),
        };
        RawNode::Split {
            feature: position(number(&self.features)),
            split,
            missing_left,
            left: position(number(&self.left)),
            right: position(number(&self.right)),
            expected: f64::NAN,
        }
    }
}
