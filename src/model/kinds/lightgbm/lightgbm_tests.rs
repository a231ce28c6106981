//! Files of LightGBM: what is read, and what is refused with its place.

use super::*;
use crate::model::kinds::features::FeatureKind;

const SMALL: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\n\
    objective=binary sigmoid:1\nfeature_names=a b\nfeature_infos=[0:1] -1:0:1\n\nTree=0\n\
    num_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=0.5 0\ndecision_type=2 1\n\
    left_child=1 -2\nright_child=-1 -3\nleaf_value=1 2 3\ncat_boundaries=0 1\ncat_threshold=2\n\
    is_linear=0\n\nend of trees\n\npandas_categorical:[[\"no\", \"yes\"]]\n";

#[test]
fn a_small_model_answers_by_its_splits() {
    let parsed = read(SMALL).unwrap();
    assert_eq!(parsed.features[1].kind, FeatureKind::Words(vec!["no".into(), "yes".into()]));
    let cases = [([0.5, 1.0], 2.0), ([0.5, 0.0], 3.0), ([0.6, 1.0], 1.0), ([f64::NAN, 1.0], 2.0)];
    for (row, expected) in cases {
        let mut score = [0.0];
        parsed.scores(&row, &mut Vec::new(), &mut score).unwrap();
        assert_eq!(score, [expected], "{row:?}");
    }
}

#[test]
fn damage_is_refused_with_its_place() {
    let cases = [
        ("tree\n", "trees\n", "line 1: it is not `tree`"),
        ("end of trees", "", "trees: the line `end of trees` is missing"),
        ("split_feature=0 1", "split_feature=0 45", "tree 0: split 1 names feature 45 of 2"),
        ("left_child=1 -2", "left_child=1 0", "tree 0: node 0 is the child of two nodes"),
        ("left_child=1 -2", "left_child=1 -9", "tree 0: split 1 has leaf 8, of 3 leaves"),
        ("left_child=1 -2", "left_child=5 -2", "tree 0: split 0 has child 5, of 2 splits"),
        ("threshold=0.5 0", "threshold=nan 0", "tree 0: split 0: the threshold is not a number"),
        ("threshold=0.5 0", "threshold=0.5 7", "tree 0: split 1 names no set of categories"),
        ("threshold=0.5 0", "threshold=0.5", "tree 0: threshold has 1 numbers, expected 2"),
        ("leaf_value=1 2 3", "leaf_value=1 2 inf", "tree 0: node 4: leaf value inf is not finite"),
        ("num_leaves=3", "num_leaves=99999999", "tree 0: num_leaves is missing or out of range"),
        ("num_leaves=3", "num_leaves=4000000", "leaf_value has 3 numbers, expected 4000000"),
        ("is_linear=0", "is_linear=1", "tree 0: linear trees are not supported"),
        ("Tree=0", "Tree=1", "tree 0: the line `Tree=0` is missing or out of order"),
        ("objective=binary", "objective=bine", "objective: bine is not an objective"),
        ("sigmoid:1", "sigmoid:-1", "objective: sigmoid -1 is not a number above 0"),
        ("iteration=1", "iteration=0", "num_tree_per_iteration: 0 is not a number from 1"),
        ("feature_names=a b", "feature_names=a", "feature_names: 1 words, expected 2"),
        ("[[\"no\", \"yes\"]]", "[[\"no\"], [1]]", "pandas_categorical: 2 lists of categories"),
        ("[[\"no\", \"yes\"]]", "[[\"no\"", "pandas_categorical: EOF"),
    ];
    for (from, to, expected) in cases {
        let message = read(&SMALL.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}
