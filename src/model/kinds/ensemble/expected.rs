//! Expected scores of splits, from the weights of the nodes.

use super::RawNode;

/// Sets the expected score of each split to the mean of its leaves, weighted by `weights` (rows or Hessians,
/// one number a node). A split whose children stand before it, or without weights, expects NaN.
pub fn expect_means(nodes: &mut [RawNode<'_>], weights: &[f64]) {
    let mut means = vec![f64::NAN; nodes.len()];
    for (index, node) in nodes.iter_mut().enumerate().rev() {
        let mean = match node {
            RawNode::Leaf(value) => *value,
            RawNode::Values(_) => f64::NAN,
            RawNode::Split { left, right, expected, .. } => {
                let part = |child: usize| {
                    let weight = weights.get(child).copied().unwrap_or(f64::NAN);
                    (weight, weight * means.get(child).copied().unwrap_or(f64::NAN))
                };
                let ((left_weight, left), (right_weight, right)) = (part(*left), part(*right));
                *expected = (left + right) / (left_weight + right_weight);
                *expected
            }
        };
        if let Some(slot) = means.get_mut(index) {
            *slot = mean;
        }
    }
}
