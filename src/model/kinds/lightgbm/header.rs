//! Header of a LightGBM model, and what its tail says about categories.

use super::categories;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_OUTPUTS;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// What stands before and behind the trees.
#[derive(Debug)]
pub(crate) struct Header {
    /// Trees of one iteration: one, or one per class.
    pub trees_per_iteration: usize,
    /// The objective line; empty for a custom objective.
    pub objective: String,
    /// Whether scores are averaged over the iterations (`boosting=rf`).
    pub average: bool,
    /// The inputs.
    pub features: Vec<FeatureSpec>,
}

impl Header {
    /// Reads the lines before the first tree, and the text behind the last one.
    pub(crate) fn read(head: &str, tail: &str) -> Reading<Self> {
        let per_iteration = count(head, "num_tree_per_iteration", 1, MAX_OUTPUTS)?;
        let last = count(head, "max_feature_idx", 0, MAX_FEATURES - 1)?;
        let features = features(head, tail, last + 1)?;
        Ok(Self {
            trees_per_iteration: per_iteration,
            objective: value(head, "objective").unwrap_or("").trim().to_owned(),
            average: head.lines().any(|line| line.trim_end() == "average_output"),
            features,
        })
    }
}

/// The value of a `key=value` line.
pub(crate) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::trim_end)
}

fn count(head: &str, key: &str, least: usize, most: usize) -> Reading<usize> {
    let text = value(head, key).ok_or_else(|| Refusal::new(key, "the line is missing"))?;
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => {
            let found = excerpt(text);
            Err(Refusal::new(key, format!("{found} is not a number from {least} to {most}")))
        }
    }
}

fn features(head: &str, tail: &str, expected: usize) -> Reading<Vec<FeatureSpec>> {
    let names = words(head, "feature_names", expected)?;
    let infos = words(head, "feature_infos", expected)?;
    let mut features: Vec<FeatureSpec> = names.into_iter().map(FeatureSpec::number).collect();
    let mut categorical: Vec<usize> = Vec::new();
    for (index, info) in infos.into_iter().enumerate() {
        // `[min:max]` is a number, `none` a constant column, `-1:0:2:1` a list of categories.
        if !info.starts_with('[') && info != "none" {
            categorical.push(index);
        }
    }
    let lists = categories::lists(tail)?;
    if !lists.is_empty() && lists.len() != categorical.len() {
        // A constant column has no category list in its info, so ask the parameters.
        categorical = named(tail).filter(|named| named.len() == lists.len()).ok_or_else(|| {
            let (lists, columns) = (lists.len(), categorical.len());
            let problem = format!("{lists} lists of categories for {columns} columns");
            Refusal::new("pandas_categorical", problem)
        })?;
    }
    let mut lists = lists.into_iter();
    for index in categorical {
        let Some(feature) = features.get_mut(index) else {
            let problem = format!("column {index} of {expected}");
            return Err(Refusal::new("categorical_feature", problem));
        };
        feature.kind = lists.next().unwrap_or(FeatureKind::Codes);
    }
    Ok(features)
}

/// The words of a line, as many as there are features.
fn words<'a>(head: &'a str, key: &str, expected: usize) -> Reading<Vec<&'a str>> {
    let text = value(head, key).ok_or_else(|| Refusal::new(key, "the line is missing"))?;
    // Counted before they are stored.
    match text.split_ascii_whitespace().count() {
        found if found == expected => Ok(text.split_ascii_whitespace().collect()),
        found => Err(Refusal::new(key, format!("{found} words, expected {expected}"))),
    }
}

/// The columns of the parameter `[categorical_feature: 2,3]`.
fn named(tail: &str) -> Option<Vec<usize>> {
    let line = tail.lines().find_map(|line| line.strip_prefix("[categorical_feature: "))?;
    line.trim_end().strip_suffix(']')?.split(',').map(|text| text.trim().parse().ok()).collect()
}
