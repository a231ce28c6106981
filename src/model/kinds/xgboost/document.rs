//! The document of an XGBoost model: only what an answer depends on. Other keys are skipped.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::SeqAccess;
use serde::de::Visitor;

use super::values::Values;
use crate::model::kinds::limits::MAX_CATEGORIES;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_NODES;
use crate::model::kinds::limits::MAX_TREES;
use crate::text::bounded::list;
use crate::text::bounded::texts;

/// The ends of all iterations, and the start of the first.
const MAX_ENDS: usize = MAX_TREES + 1;

/// A document: a model, or the training settings and the model, as a pickled booster holds them.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    pub learner: Option<Learner>,
    #[serde(rename = "Model")]
    pub model: Option<Model>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub learner: Learner,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Learner {
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default, deserialize_with = "texts::<_, MAX_FEATURES>")]
    pub feature_names: Vec<String>,
    #[serde(default, deserialize_with = "texts::<_, MAX_FEATURES>")]
    pub feature_types: Vec<String>,
    pub gradient_booster: Booster,
    pub learner_model_param: ModelParameters,
    pub objective: Objective,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Attributes {
    pub best_iteration: Option<String>,
    /// Present if the model was saved through the scikit-learn interface.
    pub scikit_learn: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ModelParameters {
    /// `5E-1`, or `[5E-1]`, or one number per output.
    pub base_score: String,
    pub num_feature: String,
    #[serde(default)]
    pub num_class: Option<String>,
    #[serde(default)]
    pub num_target: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Objective {
    pub name: String,
}

/// The booster. What belongs to which name is checked by the reader, so that serde need not buffer it.
#[derive(Debug, Deserialize)]
pub(crate) struct Booster {
    pub name: String,
    /// The trees of `gbtree`.
    #[serde(default)]
    pub model: Option<Trees>,
    /// The trees of `dart`.
    #[serde(default)]
    pub gbtree: Option<Inner>,
    /// The weights of the trees of `dart`.
    #[serde(default, deserialize_with = "list::<_, _, MAX_TREES>")]
    pub weight_drop: Vec<f32>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Inner {
    pub model: Trees,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Trees {
    /// Since 3.1: the categories of the training frame.
    pub cats: Option<Categories>,
    pub gbtree_model_param: Option<BoosterParameters>,
    /// The first tree of each iteration, and the end; absent before 2.0.
    #[serde(deserialize_with = "list::<_, _, MAX_ENDS>")]
    pub iteration_indptr: Vec<usize>,
    /// The output that a tree adds to.
    #[serde(deserialize_with = "list::<_, _, MAX_TREES>")]
    pub tree_info: Vec<usize>,
    #[serde(deserialize_with = "list::<_, _, MAX_TREES>")]
    pub trees: Vec<SourceTree>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BoosterParameters {
    /// Trees of one iteration for each output.
    pub num_parallel_tree: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Categories {
    /// One entry per feature.
    #[serde(deserialize_with = "encodings")]
    pub enc: Vec<Category>,
}

/// The entries of all features, whose categories are counted together while they are read.
fn encodings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Category>, D::Error> {
    struct Encodings;

    impl<'de> Visitor<'de> for Encodings {
        type Value = Vec<Category>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the categories of each feature")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Category>, A::Error> {
            let (mut all, mut left) = (Vec::new(), MAX_CATEGORIES);
            while let Some(category) = items.next_element::<Category>()? {
                let count = match &category.offsets {
                    Some(offsets) => offsets.0.len().saturating_sub(1),
                    None => category.values.len(),
                };
                let is_over = count > left || all.len() >= MAX_FEATURES;
                if is_over {
                    let message = format_args!("more than {MAX_CATEGORIES} categories");
                    return Err(A::Error::custom(message));
                }
                left -= count;
                all.push(category);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_seq(Encodings)
}

/// Categories of a feature. Words are cut from bytes by offsets; numbers have no offsets.
#[derive(Debug, Deserialize)]
pub(crate) struct Category {
    #[serde(default)]
    pub offsets: Option<Offsets>,
    pub values: Values,
}

/// Where the words of a feature begin, and the end.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Offsets(
    #[serde(deserialize_with = "list::<_, _, MAX_CATEGORIES>")] pub Vec<usize>,
);

/// A tree: arrays by node. Node 0 is the root; a leaf has the left child -1 and its value as condition.
#[derive(Debug, Deserialize)]
pub(crate) struct SourceTree {
    #[serde(deserialize_with = "list::<_, _, MAX_NODES>")]
    pub left_children: Vec<i64>,
    #[serde(deserialize_with = "list::<_, _, MAX_NODES>")]
    pub right_children: Vec<i64>,
    #[serde(deserialize_with = "list::<_, _, MAX_NODES>")]
    pub split_indices: Vec<usize>,
    #[serde(deserialize_with = "list::<_, _, MAX_NODES>")]
    pub split_conditions: Vec<f32>,
    #[serde(deserialize_with = "list::<_, _, MAX_NODES>")]
    pub default_left: Vec<Flag>,
    /// Weights of the nodes, for expected scores. (`base_weights` lack the learning rate.)
    #[serde(default, deserialize_with = "list::<_, _, MAX_NODES>")]
    pub sum_hessian: Vec<f64>,
    #[serde(default, deserialize_with = "list::<_, _, MAX_NODES>")]
    pub categories: Vec<u32>,
    #[serde(default, deserialize_with = "list::<_, _, MAX_NODES>")]
    pub categories_nodes: Vec<usize>,
    #[serde(default, deserialize_with = "list::<_, _, MAX_NODES>")]
    pub categories_segments: Vec<usize>,
    #[serde(default, deserialize_with = "list::<_, _, MAX_NODES>")]
    pub categories_sizes: Vec<usize>,
    pub tree_param: TreeParameters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TreeParameters {
    pub size_leaf_vector: Option<String>,
}

/// `true` and `false`, or 1 and 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;

        impl Visitor<'_> for FlagVisitor {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, 1 or 0")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Flag, E> {
                Ok(Flag(number != 0))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Flag, E> {
                Ok(Flag(number != 0))
            }
        }

        deserializer.deserialize_any(FlagVisitor)
    }
}

/// Categorical splits of a tree: node, and the bits of its categories.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    /// Ascending by node.
    sets: Vec<(usize, Vec<u32>)>,
}

impl Sets {
    /// The set of a node, if its split is categorical.
    pub(crate) fn of(&self, node: usize) -> Option<&[u32]> {
        let found = self.sets.binary_search_by_key(&node, |(node, _)| *node).ok()?;
        self.sets.get(found).map(|(_, words)| words.as_slice())
    }
}

impl SourceTree {
    /// The sets of the categorical splits, whose bits fill at most [`MAX_NODES`] words.
    pub(crate) fn sets(&self, nodes: usize) -> Result<Sets, String> {
        let count = self.categories_nodes.len();
        if self.categories_segments.len() != count || self.categories_sizes.len() != count {
            return Err(format!("segments or sizes do not fit {count} categories_nodes"));
        }
        let mut sets = Vec::with_capacity(count);
        let mut total = 0_usize;
        let segments = self.categories_segments.iter().zip(&self.categories_sizes);
        for (node, (from, size)) in self.categories_nodes.iter().zip(segments) {
            if *node >= nodes {
                return Err(format!("categories_nodes names node {node} of {nodes}"));
            }
            let members = from.checked_add(*size).and_then(|to| self.categories.get(*from..to));
            let members = members
                .ok_or_else(|| format!("the categories of split {node} are not in the file"))?;
            let length = members.iter().max().map_or(0, |most| *most as usize / 32 + 1);
            total = total.saturating_add(length).saturating_add(*size);
            if total > MAX_NODES {
                return Err(format!("split {node}: the category sets are too long"));
            }
            let mut words = vec![0_u32; length];
            for member in members {
                if let Some(word) = words.get_mut(*member as usize / 32) {
                    *word |= 1 << (member % 32);
                }
            }
            sets.push((*node, words));
        }
        sets.sort_by_key(|(node, _)| *node);
        Ok(Sets { sets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_of_all_features_are_counted_together() {
        let of = |features: usize, categories: usize| {
            let offsets = vec!["0"; categories + 1].join(",");
            let one = format!("{{\"offsets\":[{offsets}],\"values\":[]}}");
            let json = format!("{{\"enc\":[{}]}}", vec![one; features].join(","));
            serde_json::from_str::<Categories>(&json).map(|it| it.enc.len())
        };
        assert_eq!(of(4, 200_000).unwrap(), 4);
        let error = of(6, 200_000).unwrap_err().to_string();
        assert!(error.contains("more than 1000000 categories"), "{error}");
    }
}
