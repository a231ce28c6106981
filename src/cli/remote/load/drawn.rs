//! Random rows: each feature has the values it had in training, about as often.
//!
//! Features are drawn independently of each other, so single rows may be unusual; the share of each value is not.

use serde_json::Map;
use serde_json::Value as Json;

use super::served::Served;
use crate::model::inputs::InputHistogram;
use crate::model::schema::Feature;
use crate::model::schema::FeatureKind;
use crate::model::schema::Value;
use crate::model::training::random::Stream;
use crate::text::lists::listed;

/// Draws rows.
pub(super) struct Drawn {
    features: Vec<(String, Source)>,
}

/// Where the values of a feature come from.
enum Source {
    /// The places of a histogram: missing, then its bins.
    Histogram { bins: Bins, counts: Vec<u64>, rows: u64 },
    /// Mean and standard deviation.
    Normal(f64, f64),
    /// Each word equally often.
    Words(Vec<String>),
    /// Nothing is known.
    Unknown,
}

/// What the bins of a histogram hold.
enum Bins {
    /// Numbers from one edge to the next; whole ones only, if all edges are.
    Numbers { edges: Vec<f64>, is_whole: bool },
    /// A word each, and in the last bin one of these others.
    Words { words: Vec<String>, others: Vec<String> },
}

/// One value in this many is missing where it is not known how many were.
const ONE_MISSING_IN: f64 = 100.0;

impl Drawn {
    pub(super) fn new(served: &Served) -> Drawn {
        let histograms = served.inputs.iter().flat_map(|inputs| &inputs.features).map(Some);
        let histograms = histograms.chain(std::iter::repeat(None));
        let source = |(feature, histogram): (&Feature, Option<&InputHistogram>)| {
            (feature.name.clone(), Source::of(feature, histogram))
        };
        Drawn { features: served.schema.features().iter().zip(histograms).map(source).collect() }
    }

    pub(super) fn in_words(&self) -> String {
        let is_unknown = |(name, source): &(String, Source)| match source {
            Source::Unknown => Some(name.clone()),
            Source::Histogram { .. } | Source::Normal(..) | Source::Words(_) => None,
        };
        let unknown: Vec<String> = self.features.iter().filter_map(is_unknown).collect();
        match unknown.as_slice() {
            [] => "random rows, each feature as in training".to_owned(),
            unknown => format!(
                "random rows. The model does not tell the values in training of {}, so numbers around 0 are sent; \
                 rows of a file are better (--data)",
                listed(unknown.iter().map(String::as_str))
            ),
        }
    }

    pub(super) fn row(&self, stream: &mut Stream) -> Json {
        let draw =
            |(name, source): &(String, Source)| (name.clone(), source.draw(stream).into_json());
        self.features.iter().map(draw).collect::<Map<String, Json>>().into()
    }
}

impl Source {
    fn of(feature: &Feature, histogram: Option<&InputHistogram>) -> Source {
        match (histogram, &feature.kind) {
            (Some(histogram), kind) => {
                let counts: Vec<u64> = histogram.at_places().collect();
                let bins = match kind {
                    FeatureKind::Categorical { levels } => {
                        let is_other = |level: &&String| !histogram.words.contains(level);
                        let others = levels.iter().filter(is_other).cloned().collect();
                        Bins::Words { words: histogram.words.clone(), others }
                    }
                    FeatureKind::Numeric { .. } | FeatureKind::Number => {
                        let is_whole = histogram.edges.iter().all(|edge| is_whole(*edge));
                        Bins::Numbers { edges: histogram.edges.clone(), is_whole }
                    }
                };
                Source::Histogram { bins, rows: counts.iter().sum(), counts }
            }
            (None, FeatureKind::Numeric { mean, scale }) => Source::Normal(*mean, *scale),
            (None, FeatureKind::Categorical { levels }) => Source::Words(levels.clone()),
            (None, FeatureKind::Number) => Source::Unknown,
        }
    }

    fn draw(&self, stream: &mut Stream) -> Value<'_> {
        let is_missing = match self {
            Source::Histogram { .. } => false,
            Source::Normal(..) | Source::Words(_) | Source::Unknown => {
                stream.uniform() * ONE_MISSING_IN < 1.0
            }
        };
        match self {
            _ if is_missing => Value::Missing,
            Source::Histogram { bins, counts, rows } => {
                let mut left = (stream.uniform() * *rows as f64) as u64;
                let is_it = |count: &u64| match left.checked_sub(*count) {
                    Some(rest) => {
                        left = rest;
                        false
                    }
                    None => true,
                };
                match counts.iter().position(is_it) {
                    None | Some(0) => Value::Missing,
                    Some(place) => bins.draw(place - 1, stream),
                }
            }
            Source::Normal(mean, scale) => {
                let (low, high) = (mean - scale, mean + scale);
                Value::Number(rounded(mean + scale * stream.normal(), low, high))
            }
            Source::Words(words) => word(words, stream),
            Source::Unknown => Value::Number(rounded(stream.normal(), -1.0, 1.0)),
        }
    }
}

impl Bins {
    fn draw(&self, bin: usize, stream: &mut Stream) -> Value<'_> {
        match self {
            Bins::Words { words, others } => match words.get(bin) {
                Some(word) => Value::Text(word.as_str().into()),
                None if others.is_empty() => Value::Missing,
                None => word(others, stream),
            },
            Bins::Numbers { edges, is_whole } => {
                let low = bin.checked_sub(1).and_then(|before| edges.get(before)).copied();
                let (low, high) = match (low, edges.get(bin).copied()) {
                    (Some(low), Some(high)) => (low, high),
                    // Values beyond the ends were not seen in training.
                    (Some(end), None) | (None, Some(end)) => return Value::Number(end),
                    (None, None) => return Value::Missing,
                };
                let number = low + (high - low) * (1.0 - stream.uniform());
                let number = match is_whole {
                    true => number.round().min(high.floor()).max(low.next_up().ceil()),
                    false => rounded(number, low, high),
                };
                // A bin reaches from above its lower edge up to its upper one, which may be the only number in it.
                Value::Number(if number > low && number <= high { number } else { high })
            }
        }
    }
}

fn word<'w>(words: &'w [String], stream: &mut Stream) -> Value<'w> {
    words.get(stream.below(words.len())).map_or(Value::Missing, |word| Value::Text(word.into()))
}

/// Whether an edge, or the number just above it, is whole: the lower end of a bin with one number is just below it.
fn is_whole(edge: f64) -> bool {
    edge.fract() == 0.0 || edge.next_up().fract() == 0.0
}

/// The number with as many decimals as tell a hundredth of the range.
fn rounded(number: f64, low: f64, high: f64) -> f64 {
    let step = 10_f64.powf(((high - low) / 100.0).log10().floor());
    let short = (number / step).round() * step;
    // Without the digits that no decimal number has.
    let short = format!("{short:.12}").parse().unwrap_or(short);
    if step.is_normal() { short } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Schema;
    use crate::model::inputs::Inputs;

    fn histogram(missing: u64, edges: &[f64], words: &[&str], counts: &[u64]) -> InputHistogram {
        InputHistogram {
            missing,
            edges: edges.to_vec(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            counts: counts.to_vec(),
        }
    }

    fn feature(name: &str, levels: &[&str]) -> Feature {
        let kind = match levels {
            [] => FeatureKind::Numeric { mean: 40.0, scale: 10.0 },
            levels => FeatureKind::Categorical {
                levels: levels.iter().map(|level| (*level).to_owned()).collect(),
            },
        };
        Feature { name: name.to_owned(), kind }
    }

    fn served(features: Vec<Feature>, histograms: Vec<InputHistogram>) -> Served {
        let inputs = Inputs { rows: 100, features: histograms };
        let schema = Schema::new(features).unwrap();
        Served { version: "v1".to_owned(), schema, inputs: Some(inputs), answers: None }
    }

    #[test]
    fn values_have_the_shares_and_the_form_of_training() {
        let features = vec![
            feature("age", &[]),
            feature("plan", &["basic", "plus", "pro"]),
            feature("late", &[]),
            feature("beyond", &[]),
        ];
        let histograms = vec![
            // From 18 to 80, with 20 in a bin of its own.
            histogram(
                10,
                &[18_f64.next_down(), 20_f64.next_down(), 20.0, 80.0],
                &[],
                &[0, 10, 50, 30, 0],
            ),
            histogram(0, &[], &["basic"], &[90, 10]),
            histogram(0, &[0_f64.next_down(), 0.25, 1.0], &[], &[0, 75, 25, 0]),
        ];
        let drawn = Drawn::new(&served(features, histograms));
        let mut stream = Stream::new(1);
        let rows: Vec<Json> = (0..4000).map(|_| drawn.row(&mut stream)).collect();
        let share = |is_meant: &dyn Fn(&Json) -> bool| {
            rows.iter().filter(|row| is_meant(row)).count() as f64 / 4000.0
        };
        let close = |share: f64, expected: f64| {
            assert!((share - expected).abs() < 0.04, "{share} {expected}")
        };
        close(share(&|row| row["age"].is_null()), 0.1);
        close(share(&|row| row["age"] == 20.0), 0.5);
        close(share(&|row| row["plan"] == "basic"), 0.9);
        close(share(&|row| row["plan"] == "pro"), 0.05);
        close(share(&|row| row["late"].as_f64().is_some_and(|late| late <= 0.25)), 0.75);
        let numbers = |name: &'static str| rows.iter().filter_map(move |row| row[name].as_f64());
        assert!(numbers("age").all(|age| (18.0..=80.0).contains(&age) && age.fract() == 0.0));
        assert!(numbers("late").all(|late| (0.0..=1.0).contains(&late)));
        // Without a histogram, by mean and spread.
        let mean = numbers("beyond").sum::<f64>() / numbers("beyond").count() as f64;
        assert!((mean - 40.0).abs() < 1.0, "{mean}");
        assert!(drawn.in_words().starts_with("random rows, each feature"), "{}", drawn.in_words());
    }

    #[test]
    fn numbers_have_few_decimals() {
        assert_eq!(rounded(0.123_456_789, 0.1, 0.2), 0.123);
        assert_eq!(rounded(12_345.678, 10_000.0, 20_000.0), 12_300.0);
        assert_eq!(rounded(1.5, 1.0, 1.0), 1.5, "no range");
    }
}
