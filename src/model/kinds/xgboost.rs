//! Reader of XGBoost's models: JSON (`model.json`) and UBJSON (`model.ubj`).
//!
//! Source: XGBoost's documented model schema (`doc/model.schema`, versions 1.0 to 3.2) and files of 3.2. Both
//! formats hold the same document.
//!
//! - `document`: the parts of the document that matter here.
//! - `objective`: base score, link and kind of answer.
//! - `ubjson`: UBJSON for serde.
//! - `values`: the categories of a feature.
//!
//! A split sends `x < condition` left, in `f32`. Sums are `f32`, in the order of the trees. After early
//! stopping, models saved through the scikit-learn interface answer with the best iteration, as there.
//!
//! A DART model multiplies each leaf by the weight of its tree. Predictions in place, which the scikit-learn
//! interface uses, add the base score to the leaf and subtract it again before, in `f32`; so does the reader
//! for models saved through that interface. Other models get the answers of `Booster.predict(DMatrix)`.
//!
//! Refused by name: `gblinear`, trees with vector leaves, several targets.

pub(crate) mod document;
pub(crate) mod objective;
pub(crate) mod ubjson;
pub(crate) mod values;

use self::document::Category;
use self::document::Document;
use self::document::Learner;
use self::document::SourceTree;
use self::document::Trees;
use crate::model::kinds::ensemble::Builder;
use crate::model::kinds::ensemble::RawNode;
use crate::model::kinds::ensemble::Split;
use crate::model::kinds::ensemble::Sum;
use crate::model::kinds::ensemble::expected::expect_means;
use crate::model::kinds::ensemble::threshold::below;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::limits::MAX_BYTES;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::parsed::Parsed;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// Whether a file looks like an XGBoost document, in JSON or UBJSON.
pub fn is_xgboost(bytes: &[u8]) -> bool {
    let mut visible = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    bytes.first() == Some(&b'{') && matches!(visible.nth(1), Some(b'"' | b'L' | b'i' | b'U'))
}

/// Reads a model.
///
/// # Errors
///
/// [`Refusal`] names the place in the document.
pub fn read(bytes: &[u8]) -> Reading<Parsed> {
    parse(&learner(bytes)?)
}

/// Reads a model that the scikit-learn interface holds, whether its document says so or not.
///
/// # Errors
///
/// As [`read`].
pub fn read_of_wrapper(bytes: &[u8]) -> Reading<Parsed> {
    let mut learner = learner(bytes)?;
    learner.attributes.scikit_learn.get_or_insert_default();
    parse(&learner)
}

fn learner(bytes: &[u8]) -> Reading<Learner> {
    if bytes.len() > MAX_BYTES {
        let size = bytes.len();
        return Err(Refusal::new("file", format!("{size} bytes, at most {MAX_BYTES} are read")));
    }
    let is_json = bytes.iter().skip(1).find(|byte| !byte.is_ascii_whitespace()) == Some(&b'"');
    let document: Document = if is_json {
        serde_json::from_slice(bytes).map_err(|cause| Refusal::new("JSON", cause.to_string()))?
    } else {
        ubjson::from_slice(bytes).map_err(|cause| Refusal::new("UBJSON", cause.to_string()))?
    };
    let learner = document.learner.or(document.model.map(|model| model.learner));
    learner.ok_or_else(|| Refusal::new("document", "it has neither `learner` (XGBoost) nor `\"format\": \"serin.model/v1\"` (coefficients)"))
}

fn parse(learner: &Learner) -> Reading<Parsed> {
    let booster = &learner.gradient_booster;
    let (trees, weights) = match booster.name.as_str() {
        "gbtree" => (booster.model.as_ref(), None),
        "dart" => (booster.gbtree.as_ref().map(|inner| &inner.model), Some(&booster.weight_drop)),
        other => {
            let problem = format!("{} is not supported; train with gbtree or dart", excerpt(other));
            return Err(Refusal::new("booster", problem));
        }
    };
    let trees = trees.ok_or_else(|| Refusal::new("booster", "it has no trees"))?;
    let features = features(learner, trees)?;
    let purpose = objective::purpose(learner)?;
    let used = used_trees(learner, trees, purpose.start.len())?;
    if trees.tree_info.len() != trees.trees.len() {
        let (infos, trees) = (trees.tree_info.len(), trees.trees.len());
        return Err(Refusal::new("tree_info", format!("{infos} entries for {trees} trees")));
    }
    let in_place = learner.attributes.scikit_learn.is_some();
    let start = purpose.start.iter().map(|number| f64::from(*number)).collect();
    let mut builder = Builder::new(features.len(), start, Sum::Single, purpose.link)?;
    for (index, tree) in trees.trees.iter().take(used).enumerate() {
        let output = trees.tree_info.get(index).copied().unwrap_or(0);
        let weight = match weights.map(|weights| weights.get(index)) {
            None => Weight { factor: 1.0, detour: 0.0 },
            Some(Some(factor)) if in_place => {
                let detour = purpose.start.get(output).copied().unwrap_or(0.0);
                Weight { factor: *factor, detour }
            }
            Some(Some(factor)) => Weight { factor: *factor, detour: 0.0 },
            Some(None) => {
                let problem = format!("there is none for tree {index}");
                return Err(Refusal::new("weight_drop", problem));
            }
        };
        add(tree, index, weight, output, &features, &mut builder)?;
    }

    Ok(Parsed {
        scorer: Scorer::Trees(builder.finish()?),
        columns: None,
        features,
        answer: purpose.answer,
        classes: Vec::new(),
        objective: learner.objective.name.clone(),
        threshold: None,
    })
}

/// The weight of a DART tree.
#[derive(Clone, Copy)]
struct Weight {
    factor: f32,
    /// Added to a leaf and subtracted again before the product: only its rounding matters.
    detour: f32,
}

impl Weight {
    fn of(self, leaf: f32) -> f64 {
        f64::from(((self.detour + leaf) - self.detour) * self.factor)
    }
}

/// How many trees answer: all, or those up to the best iteration.
fn used_trees(learner: &Learner, model: &Trees, outputs: usize) -> Reading<usize> {
    let trees = model.trees.len();
    let attributes = &learner.attributes;
    let Some(text) =
        attributes.best_iteration.as_ref().filter(|_| attributes.scikit_learn.is_some())
    else {
        return Ok(trees);
    };
    let place = "attributes.best_iteration";
    let best: usize = text
        .parse()
        .map_err(|_| Refusal::new(place, format!("{} is not a number", excerpt(text))))?;
    // `iteration_indptr` has the first tree of each iteration, and the end. Without it, all have as many trees.
    let iterations = best.saturating_add(1);
    let end = match model.iteration_indptr.is_empty() {
        true => Some(iterations.saturating_mul(outputs).saturating_mul(parallel_trees(model)?)),
        false => model.iteration_indptr.get(iterations).copied(),
    };
    match end {
        Some(end) if (1..=trees).contains(&end) => Ok(end),
        _ => Err(Refusal::new(place, format!("{best}, but the model has no such iteration"))),
    }
}

/// Trees of one iteration for each output.
fn parallel_trees(model: &Trees) -> Reading<usize> {
    let parameters = model.gbtree_model_param.as_ref();
    let Some(text) = parameters.and_then(|found| found.num_parallel_tree.as_ref()) else {
        return Ok(1);
    };
    let count = text.parse().ok().filter(|count| *count > 0);
    let problem = || format!("{} is not a number above 0", excerpt(text));
    count.ok_or_else(|| Refusal::new("num_parallel_tree", problem()))
}

fn features(learner: &Learner, trees: &Trees) -> Reading<Vec<FeatureSpec>> {
    let text = &learner.learner_model_param.num_feature;
    let count = text.parse().ok().filter(|count| (1..=MAX_FEATURES).contains(count));
    let count = count.ok_or_else(|| {
        let problem = format!("{} is not a number from 1 to {MAX_FEATURES}", excerpt(text));
        Refusal::new("num_feature", problem)
    })?;
    let (names, types) = (&learner.feature_names, &learner.feature_types);
    for (place, found) in [("feature_names", names.len()), ("feature_types", types.len())] {
        if found != 0 && found != count {
            return Err(Refusal::new(place, format!("{found} entries for {count} features")));
        }
    }
    let categories = trees.cats.as_ref().map_or(&[][..], |cats| &cats.enc);
    let feature = |index: usize| {
        let name = names.get(index).cloned().unwrap_or_else(|| format!("f{index}"));
        let kind = match types.get(index).map(String::as_str) {
            Some("c") => kind(categories.get(index), index)?,
            _ => FeatureKind::Number,
        };
        Ok(FeatureSpec { name, kind })
    };
    (0..count).map(feature).collect()
}

/// The categories of a feature, in the order of their codes.
fn kind(category: Option<&Category>, index: usize) -> Reading<FeatureKind> {
    let place = || format!("cats.enc[{index}]");
    match category {
        None => Ok(FeatureKind::Codes),
        Some(Category { offsets: None, values, .. }) => Ok(FeatureKind::Numbers(values.numbers())),
        Some(Category { offsets: Some(offsets), .. }) if offsets.0.is_empty() => {
            Ok(FeatureKind::Codes)
        }
        Some(Category { offsets: Some(offsets), values, .. }) => {
            let bytes = values.bytes();
            // XGBoost 3.2 writes offsets that count characters, and values that end after as many bytes: the last
            // words are lost.
            if !bytes.is_ascii() {
                let problem = "words with letters beyond ASCII, which XGBoost cuts at the wrong places when it saves \
                               them; train with other names for these categories, or encode them before the model";
                return Err(Refusal::new(place(), problem));
            }
            let word = |ends: &[usize]| match ends {
                [from, to] => str::from_utf8(bytes.get(*from..*to)?).ok().map(str::to_owned),
                _ => None,
            };
            let words: Option<Vec<String>> = offsets.0.windows(2).map(word).collect();
            let problem = "the offsets do not cut its values into words of UTF-8";
            words.map(FeatureKind::Words).ok_or_else(|| Refusal::new(place(), problem))
        }
    }
}

fn add(
    tree: &SourceTree,
    index: usize,
    weight: Weight,
    output: usize,
    features: &[FeatureSpec],
    builder: &mut Builder,
) -> Reading<()> {
    let refusal = |problem| Refusal::new(format!("tree {index}"), problem);
    if tree.tree_param.size_leaf_vector.as_ref().is_some_and(|size| size != "1" && size != "0") {
        return Err(refusal("leaves with several values are not supported".to_owned()));
    }
    let nodes = tree.left_children.len();
    let lengths = [
        ("right_children", tree.right_children.len()),
        ("split_indices", tree.split_indices.len()),
        ("split_conditions", tree.split_conditions.len()),
        ("default_left", tree.default_left.len()),
    ];
    if let Some((name, found)) = lengths.into_iter().find(|(_, found)| *found != nodes) {
        return Err(refusal(format!("{name} has {found} entries for {nodes} nodes")));
    }
    let sets = tree.sets(nodes).map_err(refusal)?;
    let nodes = (0..nodes).map(|node| tree.node(node, weight, &sets, features));
    let mut nodes: Vec<RawNode<'_>> = nodes.collect::<Result<_, _>>().map_err(refusal)?;
    expect_means(&mut nodes, &tree.sum_hessian);
    builder.tree(&nodes, output)
}

impl SourceTree {
    fn node<'a>(
        &self,
        node: usize,
        weight: Weight,
        sets: &'a document::Sets,
        features: &[FeatureSpec],
    ) -> Result<RawNode<'a>, String> {
        let missing = || format!("node {node} is incomplete");
        let left = *self.left_children.get(node).ok_or_else(missing)?;
        let right = *self.right_children.get(node).ok_or_else(missing)?;
        let condition = *self.split_conditions.get(node).ok_or_else(missing)?;
        if left == -1 {
            return Ok(RawNode::Leaf(weight.of(condition)));
        }
        let child = |child: i64| {
            usize::try_from(child).map_err(|_| format!("split {node} has child {child}"))
        };
        let feature = *self.split_indices.get(node).ok_or_else(missing)?;
        let split = match sets.of(node) {
            // Members of a set go right; all other codes go left, known or not, also below 0. In a list of the file an
            // unknown category has the code -1, and is missing.
            Some(words) => {
                let are_codes =
                    features.get(feature).is_some_and(|it| it.kind == FeatureKind::Codes);
                let negative_left = are_codes.then_some(true);
                Split::Set { words, inverted: true, outside_left: true, negative_left }
            }
            None if condition.is_nan() => Split::AtMost(f64::NAN),
            None => Split::AtMost(below(condition)),
        };
        Ok(RawNode::Split {
            feature,
            split,
            missing_left: self.default_left.get(node).is_some_and(|left| left.0),
            left: child(left)?,
            right: child(right)?,
            expected: f64::NAN,
        })
    }
}

#[cfg(test)]
#[path = "xgboost/xgboost_tests.rs"]
mod tests;
