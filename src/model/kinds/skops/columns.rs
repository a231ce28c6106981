//! Transformers of scikit-learn as steps over columns.

use std::collections::BTreeMap;

use super::node::Node;
use super::node::Plain;
use crate::model::kinds::columns::Columns;
use crate::model::kinds::columns::Lookup;
use crate::model::kinds::columns::Step;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::limits::MAX_CATEGORIES;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::limits::MAX_NESTING;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;

/// Parts of a ColumnTransformer.
const MAX_PARTS: usize = 1_000;

/// An input of the pipeline, with the words that its encoders know.
#[derive(Debug)]
struct Input {
    name: String,
    words: BTreeMap<String, usize>,
    /// Whether a step uses it as a number.
    is_number: bool,
}

/// A program under construction.
#[derive(Debug)]
pub(crate) struct Program {
    inputs: Vec<Input>,
    steps: Vec<Step>,
    /// For each slot, the input whose value it still is, at most with its gaps filled.
    origins: Vec<Option<usize>>,
    /// Categories of all lookups so far.
    categories: usize,
}

impl Program {
    /// A program over inputs, and the slots that hold them.
    pub(crate) fn new(names: Vec<String>) -> Reading<(Self, Vec<usize>)> {
        let slots: Vec<usize> = (0..names.len()).collect();
        if names.len() > MAX_FEATURES {
            return Err(Refusal::new("features", format!("more than {MAX_FEATURES} of them")));
        }
        let origins = slots.iter().copied().map(Some).collect();
        let input = |name| Input { name, words: BTreeMap::new(), is_number: false };
        let inputs = names.into_iter().map(input).collect();
        Ok((Self { inputs, steps: Vec::new(), origins, categories: 0 }, slots))
    }

    /// Appends what a transformer does to some slots, and returns the slots of its results.
    pub(crate) fn apply(
        &mut self,
        transformer: &Node<'_, '_>,
        slots: &[usize],
        depth: u32,
    ) -> Reading<Vec<usize>> {
        if depth > MAX_NESTING {
            return Err(transformer.refusal(format!("nested more than {MAX_NESTING} deep")));
        }
        if transformer.is_text("passthrough") {
            return Ok(slots.to_vec());
        }
        match (transformer.package(), transformer.class()) {
            ("sklearn", "Pipeline") => {
                let mut slots = slots.to_vec();
                for step in transformer.attribute("steps")?.list()? {
                    let [_, step] = step.tuple()?;
                    slots = self.apply(&step, &slots, depth + 1)?;
                }
                Ok(slots)
            }
            ("sklearn", "ColumnTransformer") => self.transform_columns(transformer, slots, depth),
            ("sklearn", "StandardScaler") => self.scale(transformer, "mean_", slots),
            ("sklearn", "RobustScaler") => self.scale(transformer, "center_", slots),
            ("sklearn", "MaxAbsScaler") => self.scale(transformer, "", slots),
            ("sklearn", "MinMaxScaler") => self.stretch(transformer, slots),
            ("sklearn", "SimpleImputer") => self.fill(transformer, slots),
            ("sklearn", "OneHotEncoder") => self.one_hot(transformer, slots),
            ("sklearn", "OrdinalEncoder") => self.ordinal(transformer, slots),
            ("sklearn", "FunctionTransformer") if is_identity(transformer) => Ok(slots.to_vec()),
            (package, class) => {
                let problem = format!("the transformer {} is not supported", excerpt(class));
                Err(transformer.refusal(format!("{problem} (package {})", excerpt(package))))
            }
        }
    }

    /// The inputs and the program. No program means that the slots are the inputs, in order.
    pub(crate) fn finish(
        mut self,
        outputs: Vec<usize>,
    ) -> Reading<(Vec<FeatureSpec>, Option<Columns>)> {
        self.use_as_numbers(&outputs);
        let features = self.inputs.into_iter().map(|input| {
            let Input { name, words, is_number } = input;
            if words.is_empty() {
                let kind = if is_number { FeatureKind::Number } else { FeatureKind::Unused };
                return Ok(FeatureSpec { name, kind });
            }
            if is_number {
                let problem = format!("{} is used both as words and as a number", excerpt(&name));
                return Err(Refusal::new("columns", problem));
            }
            let mut levels = vec![String::new(); words.len()];
            for (word, code) in words {
                if let Some(level) = levels.get_mut(code) {
                    *level = word;
                }
            }
            Ok(FeatureSpec { name, kind: FeatureKind::Words(levels) })
        });
        let features: Vec<FeatureSpec> = features.collect::<Reading<_>>()?;
        let same = self.steps.is_empty() && outputs.iter().copied().eq(0..features.len());
        let columns = Columns::new(features.len(), self.steps, outputs)?;
        Ok((features, (!same).then_some(columns)))
    }

    /// Appends a step, and returns its slots.
    fn push(&mut self, step: Step, origin: Option<usize>) -> Reading<std::ops::Range<usize>> {
        let (start, width) = (self.origins.len(), step.width());
        if start.saturating_add(width) > MAX_FEATURES {
            return Err(Refusal::new("columns", format!("more than {MAX_FEATURES} of them")));
        }
        self.origins.resize(start + width, origin);
        self.steps.push(step);
        Ok(start..start + width)
    }

    fn push_number(&mut self, step: Step) -> Reading<usize> {
        Ok(self.push(step, None)?.start)
    }

    fn origin(&self, slot: usize) -> Option<usize> {
        self.origins.get(slot).copied().flatten()
    }

    fn use_as_numbers(&mut self, slots: &[usize]) {
        for slot in slots {
            if let Some(input) = self.origin(*slot).and_then(|input| self.inputs.get_mut(input)) {
                input.is_number = true;
            }
        }
    }

    /// The code of a word of the input that a slot holds.
    fn code(&mut self, slot: usize, word: &str) -> Option<f64> {
        let origin = self.origin(slot)?;
        let words = &mut self.inputs.get_mut(origin)?.words;
        let next = words.len();
        Some(*words.entry(word.to_owned()).or_insert(next) as f64)
    }

    fn transform_columns(
        &mut self,
        transformer: &Node<'_, '_>,
        slots: &[usize],
        depth: u32,
    ) -> Reading<Vec<usize>> {
        if transformer.find("transformer_weights").is_some_and(|weights| !weights.is_none()) {
            return Err(transformer.refusal("transformer_weights are not supported"));
        }
        let places = transformer.attribute("_transformer_to_input_indices")?;
        let mut results = Vec::new();
        let parts = transformer.attribute("transformers_")?.list()?;
        // The columns of each part are looked up among those of all.
        if parts.len() > MAX_PARTS {
            let problem = format!("{} parts, at most {MAX_PARTS} are read", parts.len());
            return Err(transformer.refusal(problem));
        }
        for part in parts {
            let [name, part, _] = part.tuple()?;
            if part.is_text("drop") {
                continue;
            }
            let mut inputs = Vec::new();
            for place in places.attribute(&name.text()?)?.numbers()? {
                let slot = slots.get(place as usize).filter(|_| place >= 0.0);
                let slot = slot.ok_or_else(|| {
                    part.refusal(format!("it takes column {place} of {}", slots.len()))
                })?;
                inputs.push(*slot);
            }
            // An estimator without columns was never fitted and has no results.
            if !inputs.is_empty() {
                results.extend(self.apply(&part, &inputs, depth + 1)?);
            }
            if results.len() > MAX_FEATURES {
                return Err(part.refusal(format!("more than {MAX_FEATURES} columns")));
            }
        }
        Ok(results)
    }

    fn scale(
        &mut self,
        transformer: &Node<'_, '_>,
        center: &str,
        slots: &[usize],
    ) -> Reading<Vec<usize>> {
        self.use_as_numbers(slots);
        // StandardScaler keeps its mean even if it does not subtract it.
        let is_off = |flags: [&str; 2]| {
            let mut found = flags.iter().filter_map(|flag| transformer.find(flag));
            found.any(|flag| flag.plain() == Ok(Plain::Flag(false)))
        };
        let center = if is_off(["with_mean", "with_centering"]) { "" } else { center };
        let scale = if is_off(["with_std", "with_scaling"]) { "" } else { "scale_" };
        let centers = optional(transformer, center, 0.0, slots.len())?;
        let scales = optional(transformer, scale, 1.0, slots.len())?;
        let numbers = centers.into_iter().zip(scales);
        let step = |(from, (center, scale)): (&usize, _)| {
            self.push_number(Step::Scale { from: *from, center, scale })
        };
        slots.iter().zip(numbers).map(step).collect()
    }

    fn stretch(&mut self, transformer: &Node<'_, '_>, slots: &[usize]) -> Reading<Vec<usize>> {
        self.use_as_numbers(slots);
        let factors = numbers(transformer, "scale_", slots.len())?;
        let offsets = numbers(transformer, "min_", slots.len())?;
        let clips =
            transformer.find("clip").is_some_and(|clip| clip.plain() == Ok(Plain::Flag(true)));
        let clip = if clips {
            let [low, high] = transformer.attribute("feature_range")?.tuple()?;
            Some((low.number()?, high.number()?))
        } else {
            None
        };
        let numbers = factors.into_iter().zip(offsets);
        let step = |(from, (factor, offset)): (&usize, _)| {
            self.push_number(Step::Stretch { from: *from, factor, offset, clip })
        };
        slots.iter().zip(numbers).map(step).collect()
    }

    fn fill(&mut self, transformer: &Node<'_, '_>, slots: &[usize]) -> Reading<Vec<usize>> {
        match transformer.attribute("missing_values")?.plain()? {
            Plain::None => {}
            Plain::Number(number) if number.is_nan() => {}
            other => {
                let problem =
                    format!("missing_values={other:?} is not supported, only NaN and None");
                return Err(transformer.refusal(problem));
            }
        }
        let statistics = transformer.attribute("statistics_")?;
        let values = sized(&statistics, statistics.plains()?, slots.len())?;
        let mut results = Vec::new();
        for (slot, value) in slots.iter().zip(values) {
            let value = match value {
                Plain::Number(number) if !number.is_nan() => number,
                Plain::Text(word) => self.code(*slot, &word).ok_or_else(|| {
                    transformer.refusal("a computed column is filled with a word")
                })?,
                other => {
                    return Err(transformer.refusal(format!("it fills with {other:?}")));
                }
            };
            let step = Step::Fill { from: *slot, value };
            let origin = self.origin(*slot);
            results.extend(self.push(step, origin)?);
        }
        if let Some(indicator) = transformer.find("indicator_").filter(|node| !node.is_none()) {
            for place in indicator.attribute("features_")?.numbers()? {
                let slot = slots.get(place as usize).filter(|_| place >= 0.0);
                let from = *slot.ok_or_else(|| indicator.refusal("it names no column"))?;
                results.push(self.push_number(Step::IsMissing { from })?);
            }
        }
        Ok(results)
    }

    /// The lookup of an encoder's column: `target` gives each of its categories a number.
    fn lookup(
        &mut self,
        categories: &Node<'_, '_>,
        slot: usize,
        unknown: f64,
        missing: f64,
        target: impl Fn(usize) -> f64,
    ) -> Reading<Lookup> {
        let plains = categories.plains()?;
        let mut lookup = Lookup { levels: None, targets: Vec::new(), missing, unknown };
        let is_missing = |plain: &Plain| match plain {
            Plain::None => true,
            Plain::Number(number) => number.is_nan(),
            _ => false,
        };
        let is_word = |plain: &Plain| !is_missing(plain) && !matches!(plain, Plain::Number(_));
        let has_words = plains.iter().any(is_word);
        let mut levels = Vec::new();
        for (position, plain) in plains.iter().enumerate() {
            match plain {
                missing if is_missing(missing) => lookup.missing = target(position),
                Plain::Number(number) if !has_words => {
                    levels.push(*number);
                    lookup.targets.push(target(position));
                }
                word => {
                    let text = match word {
                        Plain::Text(text) => text.clone(),
                        Plain::Flag(flag) => flag.to_string(),
                        _ => return Err(categories.refusal("it mixes words and numbers")),
                    };
                    let code = self.code(slot, &text).map(|code| code as usize);
                    let code = code.ok_or_else(|| {
                        categories.refusal("words of a computed column are not supported")
                    })?;
                    if lookup.targets.len() <= code {
                        lookup.targets.resize(code + 1, unknown);
                    }
                    if let Some(slot) = lookup.targets.get_mut(code) {
                        *slot = target(position);
                    }
                }
            }
        }
        // Encoders may share one list in the file, so the file's size does not bound their sum.
        self.categories = self.categories.saturating_add(lookup.targets.len());
        if self.categories > MAX_CATEGORIES {
            return Err(categories.refusal(format!("more than {MAX_CATEGORIES} categories")));
        }
        if !has_words {
            self.use_as_numbers(&[slot]);
            lookup.levels = Some(levels);
        }
        Ok(lookup)
    }

    fn ordinal(&mut self, encoder: &Node<'_, '_>, slots: &[usize]) -> Reading<Vec<usize>> {
        refuse_grouping(encoder)?;
        let unknown = match encoder.find("unknown_value").map(|value| value.plain()).transpose()? {
            Some(Plain::Number(number)) => number,
            _ => f64::NAN,
        };
        let missing = match encoder.find("encoded_missing_value").map(|value| value.plain()) {
            Some(Ok(Plain::Number(number))) => number,
            _ => f64::NAN,
        };
        let categories = encoder.attribute("categories_")?;
        let lists = sized(&categories, categories.list()?, slots.len())?;
        let mut results = Vec::new();
        for (from, list) in slots.iter().zip(lists) {
            let mut lookup =
                self.lookup(&list, *from, unknown, f64::NAN, |position| position as f64)?;
            // A missing value that training did not see is unknown, unless it passes through.
            lookup.missing = if lookup.missing.is_nan() { unknown } else { missing };
            results.push(self.push_number(Step::Ordinal { from: *from, lookup })?);
        }
        Ok(results)
    }

    fn one_hot(&mut self, encoder: &Node<'_, '_>, slots: &[usize]) -> Reading<Vec<usize>> {
        let categories = encoder.attribute("categories_")?;
        let lists = sized(&categories, categories.list()?, slots.len())?;
        let widths = encoder.attribute("_n_features_outs")?;
        let widths = sized(&widths, widths.numbers()?, slots.len())?;
        let drops = per_column(encoder, "_drop_idx_after_grouping", slots.len())?;
        let groups = per_column(encoder, "_default_to_infrequent_mappings", slots.len())?;
        let unknown = encoder.attribute("handle_unknown")?;
        let to_infrequent = unknown.is_text("infrequent_if_exist") || unknown.is_text("warn");
        let mut results = Vec::new();
        for (column, (from, list)) in slots.iter().zip(lists).enumerate() {
            let group = match groups.get(column).filter(|group| !group.is_none()) {
                Some(group) => Some(group.numbers()?),
                None => None,
            };
            let drop = match drops.get(column).filter(|drop| !drop.is_none()) {
                Some(drop) => Some(drop.count()?),
                None => None,
            };
            let width = widths.get(column).copied().unwrap_or(0.0) as usize;
            let place = |grouped: usize| match drop {
                Some(drop) if grouped == drop => f64::NAN,
                Some(drop) if grouped > drop => (grouped - 1) as f64,
                _ => grouped as f64,
            };
            let target = |position: usize| match &group {
                None => place(position),
                Some(group) => group.get(position).map_or(f64::NAN, |at| place(*at as usize)),
            };
            // Infrequent categories share the last place, and unknown ones may join them.
            let last = group.as_ref().and_then(|group| group.iter().copied().reduce(f64::max));
            let unknown = match last {
                Some(last) if to_infrequent => place(last as usize),
                _ => f64::NAN,
            };
            let lookup = self.lookup(&list, *from, unknown, unknown, target)?;
            let step = Step::OneHot { from: *from, lookup, width };
            results.extend(self.push(step, None)?);
        }
        Ok(results)
    }
}

/// A FunctionTransformer without function, or with scikit-learn's own check of arrays, which changes nothing.
fn is_identity(transformer: &Node<'_, '_>) -> bool {
    let Some(function) = transformer.find("func") else { return false };
    let checks = function
        .find("func")
        .is_some_and(|inner| (inner.package(), inner.class()) == ("sklearn", "check_array"));
    function.is_none() || (function.class() == "partial" && checks)
}

fn refuse_grouping(encoder: &Node<'_, '_>) -> Reading<()> {
    match encoder.find("_infrequent_enabled").map(|flag| flag.plain()) {
        Some(Ok(Plain::Flag(true))) => {
            Err(encoder.refusal("min_frequency and max_categories are not supported here"))
        }
        _ => Ok(()),
    }
}

/// A list with an entry for each column, or nothing.
fn per_column<'n, 'a>(
    encoder: &Node<'n, 'a>,
    name: &str,
    expected: usize,
) -> Reading<Vec<Node<'n, 'a>>> {
    match encoder.find(name).filter(|node| !node.is_none()) {
        None => Ok(Vec::new()),
        Some(node) => sized(&node, node.list()?, expected),
    }
}

fn sized<T>(node: &Node<'_, '_>, items: Vec<T>, expected: usize) -> Reading<Vec<T>> {
    match items.len() {
        found if found == expected => Ok(items),
        found => Err(node.refusal(format!("{found} entries for {expected} columns"))),
    }
}

fn numbers(transformer: &Node<'_, '_>, name: &str, expected: usize) -> Reading<Vec<f64>> {
    let node = transformer.attribute(name)?;
    let numbers = sized(&node, node.numbers()?, expected)?;
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(bad) => Err(node.refusal(format!("{bad} is not finite"))),
        None => Ok(numbers),
    }
}

/// Numbers of an attribute, or the same number for all columns where it is absent or None.
fn optional(
    transformer: &Node<'_, '_>,
    name: &str,
    default: f64,
    expected: usize,
) -> Reading<Vec<f64>> {
    match transformer.find(name).filter(|node| !node.is_none()) {
        Some(_) => numbers(transformer, name, expected),
        None => Ok(vec![default; expected]),
    }
}
