//! Trees of an ONNX file: every walk ends.
//!
//! The runtime follows the numbers of children as the file gives them. A child that is its own ancestor would be
//! walked for ever, within one operator, which cannot be interrupted.

use std::collections::HashMap;

use crate::model::kinds::limits::MAX_DEPTH;
use crate::model::kinds::onnx::message::Node;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;

/// Nodes of all trees of an operator. Each takes some 100 bytes while it is checked.
const MAX_TREE_NODES: usize = 1_000_000;

/// Checks that the nodes of the operator are trees, and that they ask for the columns it gets.
pub(super) fn check(node: &Node<'_>, columns: Option<u64>) -> Reading<()> {
    let refused = |problem: String| Refusal::new(node.place(), problem);
    let list = |name: &str| -> Reading<Vec<i64>> {
        let list = node.attribute(name);
        if list.is_some_and(|list| list.integers > MAX_TREE_NODES) {
            return Err(refused(format!("more than {MAX_TREE_NODES} nodes")));
        }
        Ok(list.map(|list| list.list_of_integers()).transpose()?.unwrap_or_default())
    };
    let (trees, numbers) = (list("nodes_treeids")?, list("nodes_nodeids")?);
    let (yes, no) = (list("nodes_truenodeids")?, list("nodes_falsenodeids")?);
    let features = list("nodes_featureids")?;
    let modes = node.attribute("nodes_modes");
    if modes.is_some_and(|modes| modes.texts != trees.len()) {
        return Err(refused("its lists of nodes differ in length".to_owned()));
    }
    let modes = modes.map(|modes| modes.list_of_bytes()).transpose()?.unwrap_or_default();
    let count = trees.len();
    if [&numbers, &yes, &no, &features].iter().any(|list| list.len() != count)
        || modes.len() != count
    {
        return Err(refused("its lists of nodes differ in length".to_owned()));
    }
    let mut places: HashMap<(i64, i64), usize> = HashMap::with_capacity(count);
    for at in 0..count {
        if places.insert((trees[at], numbers[at]), at).is_some() {
            return Err(refused(format!("tree {}: node {} occurs twice", trees[at], numbers[at])));
        }
    }
    // Parents, as many as each node has: one but for roots.
    let mut is_child = vec![false; count];
    let mut children = vec![None; count];
    for at in 0..count {
        if modes[at] == b"LEAF" {
            continue;
        }
        let (tree, number) = (trees[at], numbers[at]);
        if columns.is_some_and(|columns| u64::try_from(features[at]).is_ok_and(|it| it >= columns))
            || features[at] < 0
        {
            let problem = format!("tree {tree}: node {number} asks for column {}", features[at]);
            return Err(refused(problem));
        }
        let mut pair = [0; 2];
        for (side, child) in [yes[at], no[at]].into_iter().enumerate() {
            let found = places.get(&(tree, child)).copied().ok_or_else(|| {
                refused(format!("tree {tree}: node {number} has no child {child}"))
            })?;
            if std::mem::replace(&mut is_child[found], true) {
                return Err(refused(format!("tree {tree}: node {child} has two parents")));
            }
            pair[side] = found;
        }
        children[at] = Some(pair);
    }
    // With one parent each, nodes that no root leads to are a circle.
    let mut walk: Vec<(usize, u32)> =
        (0..count).filter(|at| !is_child[*at]).map(|at| (at, 0)).collect();
    let mut reached = 0;
    while let Some((at, depth)) = walk.pop() {
        reached += 1;
        if depth > MAX_DEPTH {
            return Err(refused(format!("tree {}: deeper than {MAX_DEPTH}", trees[at])));
        }
        walk.extend(children[at].into_iter().flatten().map(|child| (child, depth + 1)));
    }
    match reached == count {
        true => Ok(()),
        false => Err(refused("a tree has a circle".to_owned())),
    }
}
