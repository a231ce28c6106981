//! One tree of a LightGBM model: arrays by split and by leaf.
//!
//! `decision_type` holds bits: 1 categorical, 2 missing goes left, and two bits of the missing type (0 none,
//! 1 zero, 2 NaN). A negative child `-(i + 1)` is leaf `i`.

use std::str::FromStr;

use super::header::value;
use crate::model::kinds::ensemble::Builder;
use crate::model::kinds::ensemble::RawNode;
use crate::model::kinds::ensemble::Split;
use crate::model::kinds::limits::MAX_NODES;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

const CATEGORICAL: u8 = 1;
const MISSING_LEFT: u8 = 2;

/// Reads the block of tree `index`, which adds to one of the `outputs`.
pub(crate) fn read(
    block: &str,
    index: usize,
    outputs: usize,
    builder: &mut Builder,
) -> Reading<()> {
    let fields = Fields { block, place: format!("tree {index}") };
    if block.lines().next().map(str::trim_end) != Some(index.to_string().as_str()) {
        return Err(fields.refusal(format!("the line `Tree={index}` is missing or out of order")));
    }
    if fields.number("is_linear")?.unwrap_or(0) != 0 {
        return Err(fields.refusal("linear trees are not supported; train with linear_tree=false"));
    }
    let leaves = fields.number("num_leaves")?.unwrap_or(0);
    if leaves == 0 || leaves > MAX_NODES {
        return Err(fields.refusal("num_leaves is missing or out of range"));
    }
    let output = index % outputs;
    let leaf_values: Vec<f64> = fields.array("leaf_value", leaves)?;
    if let [only] = leaf_values.as_slice() {
        return builder.tree(&[RawNode::Leaf(*only)], output);
    }
    let splits = leaves - 1;
    let arrays = Arrays {
        features: fields.array("split_feature", splits)?,
        thresholds: fields.array("threshold", splits)?,
        decisions: fields.array("decision_type", splits)?,
        left: fields.array("left_child", splits)?,
        right: fields.array("right_child", splits)?,
        expected: fields.array("internal_value", splits).unwrap_or_default(),
        sets: Sets::read(&fields)?,
    };
    let nodes = (0..splits).map(|split| arrays.node(split, splits, leaves));
    let mut nodes: Vec<RawNode<'_>> =
        nodes.collect::<Result<_, _>>().map_err(|problem| fields.refusal(problem))?;
    nodes.extend(leaf_values.into_iter().map(RawNode::Leaf));
    builder.tree(&nodes, output)
}

/// The `key=value` lines of a tree.
struct Fields<'a> {
    block: &'a str,
    place: String,
}

impl Fields<'_> {
    fn refusal(&self, problem: impl Into<String>) -> Refusal {
        Refusal::new(self.place.clone(), problem)
    }

    fn number(&self, key: &str) -> Reading<Option<usize>> {
        let Some(text) = value(self.block, key) else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.refusal(format!("{key} {} is not a number", excerpt(text)))),
        }
    }

    /// The numbers of a line. Their count is checked before they are stored.
    fn array<T: FromStr>(&self, key: &str, expected: usize) -> Reading<Vec<T>> {
        let text =
            value(self.block, key).ok_or_else(|| self.refusal(format!("{key} is missing")))?;
        let found = text.split_ascii_whitespace().count();
        if found != expected {
            return Err(self.refusal(format!("{key} has {found} numbers, expected {expected}")));
        }
        let number = |word: &str| {
            let problem = || format!("{key}: {} is not a number of its kind", excerpt(word));
            word.parse().map_err(|_| self.refusal(problem()))
        };
        text.split_ascii_whitespace().map(number).collect()
    }
}

/// The arrays of a tree with splits.
struct Arrays {
    features: Vec<usize>,
    thresholds: Vec<f64>,
    decisions: Vec<u8>,
    left: Vec<i64>,
    right: Vec<i64>,
    /// Empty if the file has none.
    expected: Vec<f64>,
    sets: Sets,
}

impl Arrays {
    fn node(&self, index: usize, splits: usize, leaves: usize) -> Result<RawNode<'_>, String> {
        let at = |children: &[i64]| child(children.get(index).copied(), index, splits, leaves);
        let threshold = self.thresholds.get(index).copied().unwrap_or(f64::NAN);
        let decision = self.decisions.get(index).copied().unwrap_or(0);
        let default_left = decision & MISSING_LEFT != 0;
        let (split, missing_left) = if decision & CATEGORICAL != 0 {
            let words = self.sets.words(threshold);
            let words = words.ok_or_else(|| format!("split {index} names no set of categories"))?;
            // What is missing, negative or beyond the set goes right.
            let split =
                Split::Set { words, inverted: false, outside_left: false, negative_left: None };
            (split, false)
        } else {
            match decision >> 2 & 3 {
                // Without a missing type, NaN counts as 0.
                0 => (Split::AtMost(threshold), 0.0 <= threshold),
                1 => (Split::AtMostZeroMissing(threshold), default_left),
                2 => (Split::AtMost(threshold), default_left),
                other => return Err(format!("split {index}: unknown missing type {other}")),
            }
        };
        Ok(RawNode::Split {
            feature: self.features.get(index).copied().unwrap_or(usize::MAX),
            split,
            missing_left,
            left: at(&self.left)?,
            right: at(&self.right)?,
            expected: self.expected.get(index).copied().unwrap_or(f64::NAN),
        })
    }
}

/// The position of a child among splits and then leaves.
fn child(child: Option<i64>, index: usize, splits: usize, leaves: usize) -> Result<usize, String> {
    let child = child.unwrap_or(i64::MAX);
    let problem = || format!("split {index} has child {child}, of {splits} splits");
    if child >= 0 {
        return usize::try_from(child).ok().filter(|at| *at < splits).ok_or_else(problem);
    }
    // `!x` is `-(x + 1)`, without overflow.
    let leaf = usize::try_from(!child).ok().filter(|leaf| *leaf < leaves);
    leaf.map(|leaf| splits + leaf)
        .ok_or_else(|| format!("split {index} has leaf {}, of {leaves} leaves", !child))
}

/// The sets of a tree's categorical splits. The threshold of such a split is the number of its set.
struct Sets {
    boundaries: Vec<usize>,
    words: Vec<u32>,
}

impl Sets {
    fn read(fields: &Fields<'_>) -> Reading<Self> {
        let sets = fields.number("num_cat")?.unwrap_or(0);
        if sets == 0 {
            return Ok(Self { boundaries: Vec::new(), words: Vec::new() });
        }
        let boundaries: Vec<usize> = fields.array("cat_boundaries", sets.saturating_add(1))?;
        let words = boundaries.last().copied().unwrap_or(0);
        Ok(Self { words: fields.array("cat_threshold", words)?, boundaries })
    }

    fn words(&self, threshold: f64) -> Option<&[u32]> {
        // Saturates: NaN is 0, and no large number is a position.
        let set = threshold as usize;
        if threshold.fract() != 0.0 || threshold < 0.0 {
            return None;
        }
        let (from, to) = (*self.boundaries.get(set)?, *self.boundaries.get(set.checked_add(1)?)?);
        self.words.get(from..to)
    }
}
