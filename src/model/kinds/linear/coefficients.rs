//! Reader of coefficients as JSON, format `serin.model/v1`: a linear model that any tool can write.
//!
//! `docs/models.md` describes the format. Unknown fields are refused, and an error names the field by its path.
//!
//! A number `x` adds `coefficient * (x - mean) / scale`, a category the coefficient of its level, and an unknown
//! category nothing. The file may contain probes: rows with their answers, which the model must repeat.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Value as Json;

use super::Linear;
use crate::model::kinds::columns::Columns;
use crate::model::kinds::columns::Lookup;
use crate::model::kinds::columns::Step;
use crate::model::kinds::ensemble::Link;
use crate::model::kinds::features::FeatureKind;
use crate::model::kinds::features::FeatureSpec;
use crate::model::kinds::features::Values;
use crate::model::kinds::features::levels;
use crate::model::kinds::limits::MAX_COEFFICIENT_BYTES;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Parsed;
use crate::model::kinds::parsed::Scorer;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;
use crate::model::kinds::refusal::excerpt;
use crate::model::schema::Feature;
use crate::model::schema::Schema;
use crate::model::schema::features::Features;
use crate::text::fields;

/// The `format` of the files that this release reads.
const FORMAT: &str = "serin.model/v1";

/// What the `format` of every version begins with.
const FAMILY: &str = "serin.model/";

/// The most probes, each of which every load computes.
const MAX_PROBES: usize = 10_000;

/// What some editors and tools of Windows write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The largest difference from a probe's answer, so that answers may be written with six decimals.
const PROBE_TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(rename = "format")]
    _format: String,
    model: Kind,
    intercept: f64,
    #[serde(default)]
    threshold: Option<f64>,
    features: Vec<Term>,
    #[serde(borrow, default)]
    probes: Vec<Probe<'a>>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    LogisticRegression,
    LinearRegression,
}

/// A feature. Which fields belong to which kind is checked below, so that errors keep their path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Term {
    name: String,
    kind: TermKind,
    coefficient: Option<f64>,
    mean: Option<f64>,
    scale: Option<f64>,
    levels: Option<Vec<Json>>,
    coefficients: Option<Vec<f64>>,
    missing: Option<Json>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TermKind {
    Number,
    Category,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe<'a> {
    #[serde(borrow)]
    features: Features<'a>,
    expected: f64,
}

/// Whether a file is a JSON object whose `format` is a version of this one.
pub fn is_coefficients(bytes: &[u8]) -> bool {
    format(bytes).is_some_and(|format| format.starts_with(FAMILY))
}

/// Reads a model.
///
/// # Errors
///
/// [`Refusal`] names the field by its path.
pub fn read(bytes: &[u8]) -> Reading<Parsed> {
    if bytes.len() > MAX_COEFFICIENT_BYTES {
        let problem = format!("{} bytes, at most {MAX_COEFFICIENT_BYTES} are read", bytes.len());
        return Err(Refusal::new("file", problem));
    }
    if let Some(other) = format(bytes).filter(|format| format != FORMAT) {
        let problem = format!("`{}` is not known; this release reads `{FORMAT}`", excerpt(&other));
        return Err(Refusal::new("format", problem));
    }
    let mut json = serde_json::Deserializer::from_slice(unmarked(bytes));
    let document: Document<'_> = fields::read(&mut json).map_err(|error| {
        let place = if error.path.is_empty() { "JSON".to_owned() } else { error.path };
        Refusal::new(place, error.message)
    })?;
    json.end().map_err(|cause| Refusal::new("JSON", cause.to_string()))?;
    let Document { model, intercept, threshold, features, probes, .. } = document;
    if probes.len() > MAX_PROBES {
        let problem = format!("{} of them; keep at most {MAX_PROBES}", probes.len());
        return Err(Refusal::new("probes", problem));
    }
    let parsed = assemble(model, intercept, threshold, features)?;
    check(&parsed, probes)?;
    Ok(parsed)
}

fn assemble(
    model: Kind,
    intercept: f64,
    threshold: Option<f64>,
    terms: Vec<Term>,
) -> Reading<Parsed> {
    if !(1..=MAX_FEATURES).contains(&terms.len()) {
        let problem = format!("{} of them; use 1 to {MAX_FEATURES}", terms.len());
        return Err(Refusal::new("features", problem));
    }
    let (link, answer, objective) = match model {
        Kind::LogisticRegression => {
            (Link::Sigmoid { scale: 1.0 }, Answer::Probability, "logistic_regression")
        }
        Kind::LinearRegression => (Link::Identity, Answer::Score, "linear_regression"),
    };
    match threshold {
        Some(_) if model == Kind::LinearRegression => {
            let problem = "a linear_regression answers with no probability; remove the threshold";
            return Err(Refusal::new("threshold", problem));
        }
        Some(value) if !(0.0..=1.0).contains(&value) => {
            let problem = format!("{value} is not a probability; use 0 to 1");
            return Err(Refusal::new("threshold", problem));
        }
        _ => {}
    }
    let mut program = Program::default();
    let count = terms.len();
    for (index, term) in terms.into_iter().enumerate() {
        program.add(term, index, count)?;
    }
    let Program { features, steps, outputs, coefficients } = program;
    let linear = Linear::new(coefficients, vec![intercept], link)?;
    let columns = match steps.is_empty() {
        true => None,
        false => Some(Columns::new(count, steps, outputs)?),
    };
    Ok(Parsed {
        features,
        columns,
        scorer: Scorer::Linear(linear),
        answer,
        classes: Vec::new(),
        objective: objective.to_owned(),
        threshold,
    })
}

/// The terms of the sum so far.
#[derive(Default)]
struct Program {
    features: Vec<FeatureSpec>,
    steps: Vec<Step>,
    /// The slot of each term.
    outputs: Vec<usize>,
    coefficients: Vec<f64>,
}

impl Program {
    /// Adds the term of feature `index` of `count`.
    fn add(&mut self, term: Term, index: usize, count: usize) -> Reading<()> {
        let field = |name: &str, problem: String| {
            Refusal::new(format!("features[{index}].{name}"), problem)
        };
        let Term { name, kind, coefficient, mean, scale, levels, coefficients, missing } = term;
        let strange = match kind {
            TermKind::Number => {
                [("levels", levels.is_some()), ("coefficients", coefficients.is_some())]
            }
            TermKind::Category => [
                ("coefficient", coefficient.is_some()),
                if mean.is_some() { ("mean", true) } else { ("scale", scale.is_some()) },
            ],
        };
        if let Some((name, _)) = strange.into_iter().find(|(_, is_given)| *is_given) {
            let problem = match kind {
                TermKind::Number => {
                    "a number has `coefficient`, and `mean`, `scale` and `missing` if needed"
                }
                TermKind::Category => {
                    "a category has `levels` and `coefficients`, and `missing` if needed"
                }
            };
            return Err(field(name, problem.to_owned()));
        }
        match kind {
            TermKind::Number => {
                let coefficient = coefficient
                    .ok_or_else(|| field("coefficient", "missing; give a number".to_owned()))?;
                let mut slot = index;
                if let Some(fill) = missing {
                    let problem = || {
                        format!("{} is not a number, which replaces a missing one", short(&fill))
                    };
                    let value = fill.as_f64().ok_or_else(|| field("missing", problem()))?;
                    slot = self.push(Step::Fill { from: slot, value }, count);
                }
                if mean.is_some() || scale.is_some() {
                    let (center, scale) = (mean.unwrap_or(0.0), scale.unwrap_or(1.0));
                    if scale <= 0.0 {
                        return Err(field("scale", format!("{scale} is not a number above 0")));
                    }
                    slot = self.push(Step::Scale { from: slot, center, scale }, count);
                }
                self.outputs.push(slot);
                self.coefficients.push(coefficient);
                self.features.push(FeatureSpec::number(name));
            }
            TermKind::Category => {
                let list = levels
                    .filter(|levels| !levels.is_empty())
                    .ok_or_else(|| field("levels", "missing; give the categories".to_owned()))?;
                let coefficients = coefficients.unwrap_or_default();
                if coefficients.len() != list.len() {
                    let problem = format!(
                        "{} numbers for {} levels; give one for each",
                        coefficients.len(),
                        list.len()
                    );
                    return Err(field("coefficients", problem));
                }
                let spec = FeatureSpec {
                    name,
                    kind: levels_of(&list, &format!("features[{index}].levels"))?,
                };
                let missing = match &missing {
                    None => 0.0,
                    Some(level) => {
                        let found = position(&spec.kind, level);
                        let problem = || format!("{} is not one of the levels", short(level));
                        let found = found.and_then(|at| coefficients.get(at)).copied();
                        found.ok_or_else(|| field("missing", problem()))?
                    }
                };
                let lookup = Lookup { levels: None, targets: coefficients, missing, unknown: 0.0 };
                let slot = self.push(Step::Ordinal { from: index, lookup }, count);
                self.outputs.push(slot);
                self.coefficients.push(1.0);
                self.features.push(spec);
            }
        }
        Ok(())
    }

    /// Appends a step that makes one number, and returns its slot.
    fn push(&mut self, step: Step, count: usize) -> usize {
        self.steps.push(step);
        count + self.steps.len() - 1
    }
}

/// The levels, each once.
fn levels_of(list: &[Json], place: &str) -> Reading<FeatureKind> {
    let kind = levels(list, place)?;
    let repeated = match &kind {
        FeatureKind::Words(words) => {
            let mut sorted: Vec<&String> = words.iter().collect();
            sorted.sort_unstable();
            let pair = sorted.windows(2).find(|pair| pair[0] == pair[1]);
            pair.map(|pair| short(&Json::from(pair[0].as_str())))
        }
        FeatureKind::Numbers(numbers) => {
            // -0.0 is 0.0, as in a request.
            let mut sorted: Vec<f64> = numbers.iter().map(|number| number + 0.0).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_string())
        }
        FeatureKind::Number | FeatureKind::Codes | FeatureKind::Unused => None,
    };
    match repeated {
        Some(level) => Err(Refusal::new(place, format!("{level} occurs twice"))),
        None => Ok(kind),
    }
}

/// The place of a level in its list, however JSON writes it.
fn position(kind: &FeatureKind, level: &Json) -> Option<usize> {
    match (kind, level) {
        (FeatureKind::Words(words), Json::String(word)) => words.iter().position(|one| one == word),
        (FeatureKind::Words(words), Json::Bool(flag)) => {
            let word = flag.to_string();
            words.iter().position(|one| *one == word)
        }
        (FeatureKind::Numbers(numbers), Json::Number(number)) => {
            let number = number.as_f64()?;
            numbers.iter().position(|one| *one == number)
        }
        _ => None,
    }
}

fn short(value: &Json) -> String {
    excerpt(&value.to_string())
}

/// Compares the model's answers with those of the file.
fn check(parsed: &Parsed, probes: Vec<Probe<'_>>) -> Reading<()> {
    if probes.is_empty() {
        return Ok(());
    }
    let feature = |spec: &FeatureSpec| {
        Some(Feature { name: spec.name.clone(), kind: spec.kind.for_clients()? })
    };
    let schema =
        Schema::new(parsed.features.iter().filter_map(feature).collect()).map_err(|cause| {
            let text = cause.to_string();
            Refusal::new("features", text.trim_start_matches("features: "))
        })?;
    let look_ups: Vec<Values> = parsed.features.iter().map(|spec| Values::of(&spec.kind)).collect();
    let mut scratch = Vec::new();
    for (index, Probe { features, expected }) in probes.into_iter().enumerate() {
        let refusal = |problem: String| Refusal::new(format!("probes[{index}]"), problem);
        let row = schema.row(features).map_err(|cause| refusal(cause.to_string()))?;
        let values = look_ups.iter().zip(row.values());
        let numbers: Option<Vec<f64>> =
            values.map(|(look_up, value)| look_up.number(value, schema.missing())).collect();
        let numbers = numbers.ok_or_else(|| refusal("a value is of another kind".to_owned()))?;
        let mut answer = [f64::NAN];
        parsed
            .predict(&numbers, &mut scratch, &mut answer)
            .map_err(|cause| refusal(cause.to_string()))?;
        let tolerance = PROBE_TOLERANCE * expected.abs().max(1.0);
        // Written so that NaN does not agree.
        let agrees = (answer[0] - expected).abs() <= tolerance;
        if !agrees {
            let problem = format!(
                "the model answers {}, expected {expected}; check the coefficients, the order of the levels, and \
                 what a missing value means",
                answer[0]
            );
            return Err(refusal(problem));
        }
    }
    Ok(())
}

/// The bytes without a byte order mark.
fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// The field `format` of a JSON object. Stops at the first key of another library.
fn format(bytes: &[u8]) -> Option<String> {
    let mut found = None;
    // What comes behind `format` is left unread, which is an error here.
    let _ = serde_json::Deserializer::from_slice(unmarked(bytes)).deserialize_map(Head(&mut found));
    found
}

struct Head<'f>(&'f mut Option<String>);

impl<'de> Visitor<'de> for Head<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "format" => {
                    *self.0 = Some(map.next_value()?);
                    return Ok(());
                }
                // XGBoost's, whose documents are large.
                "learner" | "Model" | "Config" => return Ok(()),
                _ => map.next_value::<IgnoredAny>()?,
            };
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "coefficients_tests.rs"]
mod tests;
