//! Evaluator of tree ensembles.
//!
//! All formats become the same flat array of 16-byte nodes, so that one loop evaluates them all:
//!
//! - A tree is written depth first: the left child of node `i` is node `i + 1`, and only the right child is
//!   stored. Children stand behind their parent, so every walk ends.
//! - Every numeric split is `x <= threshold` in `f64`. Libraries that round inputs to `f32` get thresholds
//!   that decide every `f64` the same way (see [`threshold`]).
//! - A categorical split is a set of bits whose members go left.
//!
//! Sums have the precision and the order of the original, which makes most answers equal to the bit.

pub mod builder;
pub mod expected;
pub mod link;
pub mod threshold;

use thiserror::Error;

pub use self::builder::Builder;
pub use self::builder::RawNode;
pub use self::builder::Split;
pub use self::link::Link;

/// At and below this size a value counts as zero in LightGBM's splits with missing type zero.
const ZERO: f64 = 1e-35;

/// Trees that are walked in turns.
const LANES: usize = 8;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// `x <= number` goes left.
    Number,
    /// As `Number`, and a zero counts as missing.
    NumberOrZero,
    /// Members of a set go left.
    Category,
    /// The end: `number` is the value, or holds the place of its values.
    Leaf,
}

/// A split or a leaf.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The threshold; of a leaf, its value; of a category, the place and length of its set.
    number: f64,
    /// The right child; of a leaf, itself.
    right: u32,
    feature: u16,
    kind: Kind,
    /// [`MISSING_LEFT`], [`OUTSIDE_LEFT`] and [`NEGATIVE_LEFT`].
    directions: u8,
}

/// A missing value goes left.
const MISSING_LEFT: u8 = 1;
/// A category beyond the end of the set goes left.
const OUTSIDE_LEFT: u8 = 2;

/// A category below 0 goes left.
const NEGATIVE_LEFT: u8 = 4;

/// The leaf of an impossible walk. A checked ensemble never gets here.
const LOST: Node = Node { number: f64::NAN, right: 0, feature: 0, kind: Kind::Leaf, directions: 0 };

/// Where a tree begins, and the number of the answer that it adds to.
#[derive(Clone, Copy, Debug)]
struct Tree {
    root: u32,
    output: u32,
}

/// How the leaves of the trees become scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sum {
    /// Added in `f64`, tree by tree.
    Double,
    /// Added in `f32`, tree by tree (XGBoost).
    Single,
    /// Added in `f64` and divided by this number (forests).
    Mean(f64),
}

/// A checked tree ensemble.
#[derive(Clone, Debug)]
pub struct Ensemble {
    nodes: Vec<Node>,
    trees: Vec<Tree>,
    /// Sets of the categorical splits.
    sets: Vec<u32>,
    /// Values of leaves that have one per output.
    values: Vec<f64>,
    /// Expected score at each node, if the file has it; as long as `nodes`, or empty.
    expected: Vec<f64>,
    /// As `expected`, where leaves have a value for each output: one number per output for each node. Their rounding
    /// cancels along a path, which ends with the value of its leaf.
    expected_values: Vec<f32>,
    features: usize,
    /// What the sum starts with, one number per output.
    start: Vec<f64>,
    sum: Sum,
    link: Link,
    /// Whether a leaf has a value for each output.
    vector_leaves: bool,
    /// Whether all splits have the kind `Number`.
    is_plain: bool,
    /// Splits on the longest paths through all trees.
    longest: usize,
}

/// A row or a buffer has the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{what}: {found} numbers, expected {expected}")]
pub struct WrongLength {
    /// Row or answer.
    pub what: &'static str,
    /// The length given.
    pub found: usize,
    /// The length needed.
    pub expected: usize,
}

impl Ensemble {
    /// How many splits a row passes at most.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// How many numbers a row has.
    pub fn features(&self) -> usize {
        self.features
    }

    /// How many numbers an answer has.
    pub fn outputs(&self) -> usize {
        self.start.len()
    }

    /// How many trees are evaluated.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// How many splits and leaves there are.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Answers a row: probabilities or scores after the link. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`WrongLength`], if `row` or `out` has another length than the model needs.
    pub fn predict(&self, row: &[f64], out: &mut [f64]) -> Result<(), WrongLength> {
        self.scores(row, out)?;
        self.link.apply(out);
        Ok(())
    }

    /// The scores before the link (margins).
    ///
    /// # Errors
    ///
    /// As [`Ensemble::predict`].
    pub fn scores(&self, row: &[f64], out: &mut [f64]) -> Result<(), WrongLength> {
        check("row", row.len(), self.features)?;
        check("answer", out.len(), self.outputs())?;
        out.copy_from_slice(&self.start);
        match self.sum {
            _ if self.vector_leaves => self.add_vectors(row, out),
            Sum::Single => self.add_each(row, out, |sum, leaf| f64::from(sum as f32 + leaf as f32)),
            Sum::Double | Sum::Mean(_) => self.add_each(row, out, |sum, leaf| sum + leaf),
        }
        if let Sum::Mean(count) = self.sum {
            out.iter_mut().for_each(|sum| *sum /= count);
        }
        Ok(())
    }

    /// Whether [`Ensemble::contributions`] can be had: every node says what it expects.
    pub fn has_expectations(&self) -> bool {
        if self.vector_leaves {
            let numbers = self.nodes.len() * self.outputs();
            return self.expected_values.len() == numbers
                && self.expected_values.iter().all(|expected| expected.is_finite());
        }
        self.expected.len() == self.nodes.len()
            && self.expected.iter().all(|expected| expected.is_finite())
    }

    /// The score of an output that a node expects; of a leaf, the score itself.
    fn expected(&self, at: usize, output: usize) -> f64 {
        if !self.vector_leaves {
            return self.expected.get(at).copied().unwrap_or(f64::NAN);
        }
        let node = self.node(at);
        match node.kind {
            Kind::Leaf => {
                let place = (node.number.to_bits() as usize).saturating_add(output);
                self.values.get(place).copied().unwrap_or(f64::NAN)
            }
            Kind::Number | Kind::NumberOrZero | Kind::Category => {
                let expected = self.expected_values.get(at * self.outputs() + output);
                expected.copied().map_or(f64::NAN, f64::from)
            }
        }
    }

    /// From the scores to the answer.
    pub fn link(&self) -> Link {
        self.link
    }

    /// How much each feature moved the scores of one output away from their expectation, by the path of the
    /// row (Saabas 2014): at each split, the change of the expected score belongs to the split's feature.
    /// `out` has one number per feature and a last one for the expectation; together they are the score.
    /// `false`, if the file does not say what its nodes expect.
    ///
    /// The method is cheap and sums up exactly. Unlike SHAP values it favors features near the leaves.
    ///
    /// # Errors
    ///
    /// [`WrongLength`], if `row` has not one number per feature, or `out` not one more.
    pub fn contributions(
        &self,
        row: &[f64],
        output: usize,
        out: &mut [f64],
    ) -> Result<bool, WrongLength> {
        check("row", row.len(), self.features)?;
        check("contributions", out.len(), self.features + 1)?;
        let has_some = match self.vector_leaves {
            true => !self.expected_values.is_empty(),
            false => !self.expected.is_empty(),
        };
        if !has_some {
            return Ok(false);
        }
        out.fill(0.0);
        let expected = |at: usize| self.expected(at, output);
        let mut base = self.start.get(output).copied().unwrap_or(f64::NAN);
        let adds = |tree: &&Tree| self.vector_leaves || tree.output as usize == output;
        for tree in self.trees.iter().filter(adds) {
            let mut at = tree.root as usize;
            base += expected(at);
            loop {
                let node = self.node(at);
                if node.kind == Kind::Leaf {
                    break;
                }
                let next = self.step(node, at, row);
                if let Some(sum) = out.get_mut(usize::from(node.feature)) {
                    *sum += expected(next) - expected(at);
                }
                at = next;
            }
        }
        if let Some(last) = out.last_mut() {
            *last = base;
        }
        if let Sum::Mean(count) = self.sum {
            out.iter_mut().for_each(|sum| *sum /= count);
        }
        Ok(true)
    }

    fn add_each(&self, row: &[f64], out: &mut [f64], add: impl Fn(f64, f64) -> f64) {
        let (groups, rest) = self.trees.as_chunks::<LANES>();
        if let [only] = out {
            let mut sum = *only;
            for trees in groups {
                for leaf in self.leaves(trees, row) {
                    sum = add(sum, leaf.number);
                }
            }
            for tree in rest {
                sum = add(sum, self.leaf(tree.root, row).number);
            }
            *only = sum;
            return;
        }
        for trees in groups {
            for (tree, leaf) in trees.iter().zip(self.leaves(trees, row)) {
                if let Some(sum) = out.get_mut(tree.output as usize) {
                    *sum = add(*sum, leaf.number);
                }
            }
        }
        for tree in rest {
            let leaf = self.leaf(tree.root, row).number;
            if let Some(sum) = out.get_mut(tree.output as usize) {
                *sum = add(*sum, leaf);
            }
        }
    }

    fn add_vectors(&self, row: &[f64], out: &mut [f64]) {
        let mut add = |leaf: Node| {
            let place = leaf.number.to_bits() as usize;
            let values = self.values.get(place..).unwrap_or_default();
            for (sum, value) in out.iter_mut().zip(values) {
                *sum += value;
            }
        };
        let (groups, rest) = self.trees.as_chunks::<LANES>();
        for trees in groups {
            self.leaves(trees, row).into_iter().for_each(&mut add);
        }
        for tree in rest {
            add(self.leaf(tree.root, row));
        }
    }

    /// The leaves of several trees, walked in turns: their loads from memory wait side by side.
    #[inline]
    fn leaves(&self, trees: &[Tree; LANES], row: &[f64]) -> [Node; LANES] {
        if self.is_plain {
            return self.leaves_of_plain(trees, row);
        }
        trees.map(|tree| self.leaf(tree.root, row))
    }

    /// As `leaves`, for trees without categories and zeros that count as missing. A leaf steps to itself, so
    /// a step is the same few instructions for every node, without a branch that depends on the row.
    #[inline]
    fn leaves_of_plain(&self, trees: &[Tree; LANES], row: &[f64]) -> [Node; LANES] {
        let mut at = trees.map(|tree| tree.root as usize);
        loop {
            let nodes = at.map(|at| self.node(at));
            let mut done = true;
            for (at, node) in at.iter_mut().zip(nodes) {
                let is_split = node.kind != Kind::Leaf;
                let x = row.get(usize::from(node.feature)).copied().unwrap_or(f64::NAN);
                let missing_left = x.is_nan() & (node.directions & MISSING_LEFT != 0);
                let left = ((x <= node.number) | missing_left) & is_split;
                done &= !is_split;
                let (next, right) = (*at + 1, node.right as usize);
                *at = std::hint::select_unpredictable(left, next, right);
            }
            if done {
                return nodes;
            }
        }
    }

    #[inline]
    fn leaf(&self, root: u32, row: &[f64]) -> Node {
        let mut at = root as usize;
        loop {
            let node = self.node(at);
            if node.kind == Kind::Leaf {
                return node;
            }
            at = self.step(node, at, row);
        }
    }

    #[inline]
    fn node(&self, at: usize) -> Node {
        self.nodes.get(at).copied().unwrap_or(LOST)
    }

    /// The child that a row goes to.
    #[inline]
    fn step(&self, node: Node, at: usize, row: &[f64]) -> usize {
        let x = row.get(usize::from(node.feature)).copied().unwrap_or(f64::NAN);
        let missing_left = node.directions & MISSING_LEFT != 0;
        let left = match node.kind {
            Kind::Number | Kind::Leaf => (x <= node.number) | (x.is_nan() & missing_left),
            Kind::NumberOrZero if x.is_nan() || x.abs() <= ZERO => missing_left,
            Kind::NumberOrZero => x <= node.number,
            Kind::Category if x.is_nan() => missing_left,
            Kind::Category if x < 0.0 => node.directions & NEGATIVE_LEFT != 0,
            Kind::Category => {
                self.is_member(node, x).unwrap_or(node.directions & OUTSIDE_LEFT != 0)
            }
        };
        if left { at + 1 } else { node.right as usize }
    }

    /// Whether a category is in the set of a split; `None` beyond the set's end.
    fn is_member(&self, node: Node, x: f64) -> Option<bool> {
        let set = node.number.to_bits();
        let (place, length) = ((set >> 32) as usize, set as u32 as usize);
        // Saturates, so that no size of a number gets inside the set by accident.
        let code = x as usize;
        let word = code / 32;
        let word = self.sets.get(place.checked_add(word)?).filter(|_| word < length)?;
        Some(word >> (code % 32) & 1 == 1)
    }
}

fn check(what: &'static str, found: usize, expected: usize) -> Result<(), WrongLength> {
    if found == expected { Ok(()) } else { Err(WrongLength { what, found, expected }) }
}
