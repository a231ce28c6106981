//! Builder of an ensemble: from the nodes of a file to the flat array.
//!
//! The builder checks what evaluation relies on: each node is reached once (no cycle, no shared branch), every
//! feature exists, no threshold or leaf is NaN, and all sizes are within the limits.

use super::Ensemble;
use super::Kind;
use super::Link;
use super::MISSING_LEFT;
use super::NEGATIVE_LEFT;
use super::Node;
use super::OUTSIDE_LEFT;
use super::Sum;
use super::Tree;
use crate::model::kinds::limits::MAX_DEPTH;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_NODES;
use crate::model::kinds::limits::MAX_OUTPUTS;
use crate::model::kinds::limits::MAX_TREES;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;

/// A node of a file. Node 0 is the root.
#[derive(Clone, Debug, PartialEq)]
pub enum RawNode<'a> {
    /// A split.
    Split {
        /// The feature's position.
        feature: usize,
        /// How it decides.
        split: Split<'a>,
        /// Where a missing value goes.
        missing_left: bool,
        /// The left child.
        left: usize,
        /// The right child.
        right: usize,
        /// The score expected here, NaN if the file has none.
        expected: f64,
    },
    /// A leaf of one value.
    Leaf(f64),
    /// A leaf with a value for each output.
    Values(&'a [f64]),
}

/// How a split decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Split<'a> {
    /// `x <= threshold` goes left.
    AtMost(f64),
    /// As `AtMost`; a zero counts as missing.
    AtMostZeroMissing(f64),
    /// The categories whose bit is set go left.
    Set {
        /// 32 categories a word, the first in the lowest bit.
        words: &'a [u32],
        /// Whether the set bits go right instead, and the others left.
        inverted: bool,
        /// Where categories beyond the set's end go.
        outside_left: bool,
        /// Where categories below 0 go; `None`: where a missing value goes, because they are unknown ones.
        negative_left: Option<bool>,
    },
}

/// An ensemble under construction.
#[derive(Debug)]
pub struct Builder {
    ensemble: Ensemble,
    /// Work space of [`Builder::tree`], kept from tree to tree.
    reached: Vec<bool>,
    stack: Vec<Waiting>,
    has_expected: bool,
    /// The nodes of the last tree in the order in which they were written.
    order: Vec<usize>,
    /// Nodes given so far, reached or not: they bound the time of reading a file.
    given: usize,
}

/// A node that waits to be written.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    node: usize,
    depth: u32,
    /// The written split whose right child it is.
    parent: Option<usize>,
}

impl Builder {
    /// An ensemble without trees.
    ///
    /// # Errors
    ///
    /// [`Refusal`], if there are no or too many features or outputs.
    pub fn new(features: usize, start: Vec<f64>, sum: Sum, link: Link) -> Reading<Self> {
        in_range("features", features, MAX_FEATURES)?;
        in_range("outputs", start.len(), MAX_OUTPUTS)?;
        if let Some(bad) = start.iter().find(|number| !number.is_finite()) {
            return Err(Refusal::new("start of the sum", format!("{bad} is not finite")));
        }
        let ensemble = Ensemble {
            nodes: Vec::new(),
            trees: Vec::new(),
            sets: Vec::new(),
            values: Vec::new(),
            expected: Vec::new(),
            expected_values: Vec::new(),
            features,
            start,
            sum,
            link,
            vector_leaves: false,
            is_plain: true,
            longest: 0,
        };
        Ok(Self {
            ensemble,
            reached: Vec::new(),
            stack: Vec::new(),
            has_expected: true,
            order: Vec::new(),
            given: 0,
        })
    }

    /// Adds a tree whose leaves add to one number of the answer, or (leaves of many values) to all.
    ///
    /// # Errors
    ///
    /// [`Refusal`] names the tree and the node.
    pub fn tree(&mut self, nodes: &[RawNode<'_>], output: usize) -> Reading<()> {
        let number = self.ensemble.trees.len();
        self.add(nodes, output).map_err(|problem| Refusal::new(format!("tree {number}"), problem))
    }

    /// As [`Builder::tree`], for leaves of many values. `values` are those that each node of the file expects, one for each
    /// output.
    ///
    /// # Errors
    ///
    /// As [`Builder::tree`].
    pub fn tree_of_values(&mut self, nodes: &[RawNode<'_>], values: &[f64]) -> Reading<()> {
        self.tree(nodes, 0)?;
        let outputs = self.ensemble.outputs();
        let of_node = |node: &usize| values.chunks_exact(outputs).nth(*node).unwrap_or_default();
        let written = self.order.iter().flat_map(of_node);
        self.ensemble.expected_values.extend(written.map(|value| *value as f32));
        Ok(())
    }

    /// The ensemble.
    ///
    /// # Errors
    ///
    /// [`Refusal`], if it has no tree.
    pub fn finish(mut self) -> Reading<Ensemble> {
        if self.ensemble.trees.is_empty() {
            return Err(Refusal::new("trees", "there are none"));
        }
        if !self.has_expected {
            self.ensemble.expected = Vec::new();
        }
        self.ensemble.nodes.shrink_to_fit();
        self.ensemble.expected.shrink_to_fit();
        self.ensemble.expected_values.shrink_to_fit();
        Ok(self.ensemble)
    }

    fn add(&mut self, nodes: &[RawNode<'_>], output: usize) -> Result<(), String> {
        if self.ensemble.trees.len() >= MAX_TREES {
            return Err(format!("more than {MAX_TREES} trees"));
        }
        self.given = self.given.saturating_add(nodes.len());
        if self.given > MAX_NODES {
            return Err(format!("more than {MAX_NODES} nodes"));
        }
        if output >= self.ensemble.outputs() {
            return Err(format!("it adds to output {output} of {}", self.ensemble.outputs()));
        }
        let root = self.ensemble.nodes.len() as u32;
        self.order.clear();
        self.reached.clear();
        self.reached.resize(nodes.len(), false);
        self.stack.clear();
        self.stack.push(Waiting { node: 0, depth: 0, parent: None });
        let mut deepest = 0;
        while let Some(waiting) = self.stack.pop() {
            deepest = deepest.max(waiting.depth as usize);
            self.write(nodes, waiting)?;
        }
        self.ensemble.longest += deepest;
        self.ensemble.trees.push(Tree { root, output: output as u32 });
        Ok(())
    }

    fn write(&mut self, nodes: &[RawNode<'_>], waiting: Waiting) -> Result<(), String> {
        let Waiting { node: index, depth, parent } = waiting;
        let Some(raw) = nodes.get(index) else {
            return Err(format!("node {index} of {} is named as a child", nodes.len()));
        };
        match self.reached.get_mut(index) {
            Some(reached) if !*reached => *reached = true,
            _ => return Err(format!("node {index} is the child of two nodes")),
        }
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} splits on one path"));
        }
        let at = self.ensemble.nodes.len();
        if let Some(parent) = parent.and_then(|parent| self.ensemble.nodes.get_mut(parent)) {
            parent.right = at as u32;
        }
        let (mut node, expected) = self.node(raw, index)?;
        // Overwritten in a split, once its right child is written.
        node.right = at as u32;
        self.ensemble.is_plain &= matches!(node.kind, Kind::Number | Kind::Leaf);
        if let RawNode::Split { left, right, .. } = raw {
            let depth = depth + 1;
            self.stack.push(Waiting { node: *right, depth, parent: Some(at) });
            // Written next, directly behind its parent.
            self.stack.push(Waiting { node: *left, depth, parent: None });
        }
        self.order.push(index);
        self.ensemble.nodes.push(node);
        self.has_expected &= !expected.is_nan();
        if self.has_expected {
            self.ensemble.expected.push(expected);
        }
        Ok(())
    }

    fn node(&mut self, raw: &RawNode<'_>, index: usize) -> Result<(Node, f64), String> {
        let leaf = Node { number: 0.0, right: 0, feature: 0, kind: Kind::Leaf, directions: 0 };
        match raw {
            RawNode::Leaf(value) if !value.is_finite() => {
                Err(format!("node {index}: leaf value {value} is not finite"))
            }
            RawNode::Leaf(value) => Ok((Node { number: *value, ..leaf }, *value)),
            RawNode::Values(values) => {
                let place = self.values(values, index)?;
                Ok((Node { number: f64::from_bits(place), ..leaf }, f64::NAN))
            }
            RawNode::Split { feature, split, missing_left, expected, .. } => {
                let features = self.ensemble.features;
                if *feature >= features {
                    return Err(format!("split {index} names feature {feature} of {features}"));
                }
                let (kind, number) = self.split(split, index)?;
                let mut directions = if *missing_left { MISSING_LEFT } else { 0 };
                if let Split::Set { outside_left, negative_left, .. } = split {
                    directions |= if *outside_left { OUTSIDE_LEFT } else { 0 };
                    let negative_left = negative_left.unwrap_or(*missing_left);
                    directions |= if negative_left { NEGATIVE_LEFT } else { 0 };
                }
                let feature = *feature as u16;
                Ok((Node { number, right: 0, feature, kind, directions }, *expected))
            }
        }
    }

    fn split(&mut self, split: &Split<'_>, index: usize) -> Result<(Kind, f64), String> {
        match split {
            Split::AtMost(threshold) | Split::AtMostZeroMissing(threshold)
                if threshold.is_nan() =>
            {
                Err(format!("split {index}: the threshold is not a number"))
            }
            Split::AtMost(threshold) => Ok((Kind::Number, *threshold)),
            Split::AtMostZeroMissing(threshold) => Ok((Kind::NumberOrZero, *threshold)),
            Split::Set { words, inverted, .. } => {
                let sets = &mut self.ensemble.sets;
                let place = sets.len();
                if place.saturating_add(words.len()) > MAX_NODES {
                    return Err(format!("split {index}: the category sets are too long"));
                }
                sets.extend(words.iter().map(|word| if *inverted { !word } else { *word }));
                let set = (place as u64) << 32 | words.len() as u64;
                Ok((Kind::Category, f64::from_bits(set)))
            }
        }
    }

    fn values(&mut self, values: &[f64], index: usize) -> Result<u64, String> {
        let outputs = self.ensemble.outputs();
        if values.len() != outputs {
            let found = values.len();
            return Err(format!("node {index}: a leaf of {found} values, expected {outputs}"));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(format!("node {index}: a leaf value is not finite"));
        }
        self.ensemble.vector_leaves = true;
        let place = self.ensemble.values.len();
        self.ensemble.values.extend_from_slice(values);
        Ok(place as u64)
    }
}

fn in_range(what: &str, found: usize, most: usize) -> Reading<()> {
    if (1..=most).contains(&found) {
        return Ok(());
    }
    Err(Refusal::new(what, format!("{found} of them, allowed are 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_paths_are_counted_exactly() {
        let split = |left, right| RawNode::Split {
            feature: 0,
            split: Split::AtMost(0.0),
            missing_left: false,
            left,
            right,
            expected: f64::NAN,
        };
        // A chain of 300 splits, and a tree of one leaf.
        let mut chain: Vec<RawNode<'_>> = (0..300).map(|at| split(300 + at, at + 1)).collect();
        chain[299] = split(599, 600);
        chain.extend((0..301).map(|_| RawNode::Leaf(1.0)));
        let mut builder = Builder::new(1, vec![0.0], Sum::Double, Link::Identity).unwrap();
        builder.tree(&chain, 0).unwrap();
        builder.tree(&[RawNode::Leaf(1.0)], 0).unwrap();
        builder.tree(&chain, 0).unwrap();
        assert_eq!(builder.finish().unwrap().longest(), 600);
    }
}
