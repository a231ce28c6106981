//! Inputs of requests: how far they are from the inputs of training, and whether both tracks get the same.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Track;
use crate::canary::analysis::statistics::DriftLevel;
use crate::service::serving::inputs::InputColumn;
use crate::service::serving::inputs::Sampled;
use crate::service::serving::live::Live;
use crate::stats::SharedBins;
use crate::text::lists::quoted;
use crate::text::numbers::equation;
use crate::text::numbers::number;
use crate::text::numbers::share;
use crate::text::numbers::two_digits;

/// The inputs of a sample of the latest requests since the step began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputsStatus {
    /// Rows in the sample, one for each request.
    pub rows: u64,
    /// Features beyond the limit, which are not compared.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub features_left_out: usize,
    /// For each version, how far the requests are from its inputs of training.
    pub against_training: Vec<TrainingDrift>,
    /// Whether the tracks get the same inputs; left out where no request is drawn, or too few are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between_tracks: Option<TrackBalance>,
    /// All of it in sentences: that the tracks differ, and moderate and large drift from training.
    pub messages: Vec<String>,
}

/// How far the requests are from the inputs of training of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainingDrift {
    /// The version.
    pub track: Track,
    /// Rows of training; `null` if the model file has no inputs of training, and nothing is compared.
    pub training_rows: Option<u64>,
    /// Features that are compared.
    pub compared: usize,
    /// Those with the largest index, at most 20; empty before 100 rows.
    pub features: Vec<FeatureDrift>,
}

/// How far a feature is from training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeatureDrift {
    /// The feature.
    pub feature: String,
    /// Population stability index: by custom, small below 0.1, and large from 0.25 on.
    pub psi: f64,
    /// Its mean by chance with this many rows.
    pub psi_by_chance: f64,
    /// P-value of the chi-square test that nothing has changed.
    pub p_value: f64,
    /// What the index means: `chance` if the p-value is 0.01 divided by the features compared, or more.
    pub level: DriftLevel,
    /// The values whose share has changed most: `missing`, `2 to 5`, `monthly`.
    pub values: String,
    /// Their share in training.
    pub training_share: f64,
    /// Their share in the requests.
    pub share: f64,
}

/// Whether the tracks get the same inputs, as they do if the split is random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrackBalance {
    /// Rows of stable: each of a request whose track was drawn, the first of its key.
    pub stable_rows: u64,
    /// Rows of the canary.
    pub canary_rows: u64,
    /// Features that are compared.
    pub compared: usize,
    /// Whether a feature differs: its p-value is below 0.001 divided by the features compared.
    pub differs: bool,
    /// The features that differ most, at most 20.
    pub features: Vec<FeatureBalance>,
    /// The difference in a sentence; `null` without one.
    pub message: Option<String>,
}

/// The values of a feature on both tracks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeatureBalance {
    /// The feature.
    pub feature: String,
    /// P-value of the chi-square test that both tracks get the same, for one look.
    pub p_value: f64,
    /// Population stability index of the canary against stable.
    pub psi: f64,
    /// Whether it differs.
    pub differs: bool,
    /// The values whose share differs most.
    pub values: String,
    /// Their share on stable.
    pub stable_share: f64,
    /// Their share on the canary.
    pub canary_share: f64,
}

/// Features in an answer, which may have thousands.
const MAX_SHOWN: usize = 20;

/// Features in a sentence.
const MAX_NAMED: usize = 3;

/// Rows of a side below which nothing is said: ten bins of ten rows.
const MIN_ROWS: u64 = 100;

/// Drift is called chance unless its p-value is below this, divided by the features.
const DRIFT_ALPHA: f64 = 0.01;

/// People look often, and a difference between the tracks means that something is broken.
const BALANCE_ALPHA: f64 = 0.001;

impl InputsStatus {
    /// The inputs of the latest requests; `None` before the first.
    pub(crate) fn of(live: &Live) -> Option<InputsStatus> {
        let training_rows = |track: Track| {
            let canary = live.canary.as_ref().map(|canary_slot| &canary_slot.loaded);
            let loaded = match track {
                Track::Stable => Some(&live.stable),
                Track::Canary => canary,
            };
            Some(loaded?.card.as_ref().and_then(|card| Some(card.inputs.as_ref()?.rows)))
        };
        let tracks = [Track::Stable, Track::Canary];
        let versions = tracks.into_iter().filter_map(|track| Some((track, training_rows(track)?)));
        InputsStatus::new(&live.inputs.sampled(), versions)
    }

    /// The status of a sample, for versions with this many rows of training.
    fn new(
        sampled: &Sampled,
        versions: impl Iterator<Item = (Track, Option<u64>)>,
    ) -> Option<InputsStatus> {
        let all = sampled.all();
        if all.rows == 0 {
            return None;
        }
        let against_training: Vec<TrainingDrift> = versions
            .map(|(track, training_rows)| {
                TrainingDrift::new(track, training_rows, sampled, all.rows, &all.slots)
            })
            .collect();
        let between_tracks = TrackBalance::new(sampled);
        let drifted = against_training.iter().filter_map(TrainingDrift::sentence);
        let balance = between_tracks.iter().filter_map(|it| it.message.clone());
        let messages = balance.chain(drifted);
        Some(InputsStatus {
            rows: all.rows,
            features_left_out: sampled.plan.skipped,
            messages: messages.collect(),
            against_training,
            between_tracks,
        })
    }
}

impl TrainingDrift {
    fn new(
        track: Track,
        training_rows: Option<u64>,
        sampled: &Sampled,
        rows: u64,
        slots: &[u64],
    ) -> TrainingDrift {
        let columns = sampled.plan.columns().iter();
        let columns: Vec<&InputColumn> =
            columns.filter(|column| column.track == track && column.has_training).collect();
        let compared = columns.len();
        let alpha = DRIFT_ALPHA / compared.max(1) as f64;
        let mut features: Vec<FeatureDrift> = match rows >= MIN_ROWS {
            true => columns.iter().filter_map(|it| FeatureDrift::new(it, slots, alpha)).collect(),
            false => Vec::new(),
        };
        features.sort_by(|a, b| b.psi.total_cmp(&a.psi));
        features.truncate(MAX_SHOWN);
        TrainingDrift { track, training_rows, compared, features }
    }

    /// The sentence about moderate and large drift.
    fn sentence(&self) -> Option<String> {
        let is_drifted =
            |it: &&FeatureDrift| matches!(it.level, DriftLevel::Moderate | DriftLevel::Large);
        let drifted: Vec<&FeatureDrift> = self.features.iter().filter(is_drifted).collect();
        let named = drifted.iter().take(MAX_NAMED).map(|one| {
            let level = if one.level == DriftLevel::Large { "large" } else { "moderate" };
            format!(
                "{} (PSI {}, {level}; {}: {} in training, {} now)",
                quoted(&one.feature),
                number(two_digits(one.psi)),
                one.values,
                share(one.training_share),
                share(one.share),
            )
        });
        let named = enumerated(named.collect(), drifted.len())?;
        let version = match self.track {
            Track::Stable => "stable",
            Track::Canary => "the canary",
        };
        Some(format!("Inputs have drifted from the training of {version}: {named}."))
    }
}

impl FeatureDrift {
    fn new(column: &InputColumn, slots: &[u64], alpha: f64) -> Option<FeatureDrift> {
        let now = column.of(slots);
        let training: Vec<u64> = column.training.at_places().collect();
        let bins = SharedBins::of_counts(now.iter().copied().zip(training.iter().copied()))?;
        let (psi, p_value) = (bins.population_stability_index(), bins.homogeneity_p_value());
        let moved = Moved::between(column, &training, now);
        Some(FeatureDrift {
            feature: column.feature.clone(),
            psi,
            psi_by_chance: bins.stability_index_by_chance(),
            p_value,
            level: DriftLevel::of(psi, p_value >= alpha),
            values: moved.values,
            training_share: moved.before,
            share: moved.now,
        })
    }
}

impl TrackBalance {
    fn new(sampled: &Sampled) -> Option<TrackBalance> {
        let (stable, canary) = (&sampled.stable, &sampled.canary);
        if stable.rows.min(canary.rows) < MIN_ROWS {
            return None;
        }
        let columns = sampled.plan.columns();
        // A feature of both versions may be in two columns, and each is one test.
        let alpha = BALANCE_ALPHA / columns.len().max(1) as f64;
        let balance = |column: &InputColumn| {
            let (of_stable, of_canary) = (column.of(&stable.slots), column.of(&canary.slots));
            let pairs = of_canary.iter().copied().zip(of_stable.iter().copied());
            let bins = SharedBins::of_counts(pairs)?;
            let p_value = bins.homogeneity_p_value();
            let moved = Moved::between(column, of_stable, of_canary);
            Some(FeatureBalance {
                feature: column.feature.clone(),
                p_value,
                psi: bins.population_stability_index(),
                differs: p_value < alpha,
                values: moved.values,
                stable_share: moved.before,
                canary_share: moved.now,
            })
        };
        let mut features: Vec<FeatureBalance> = columns.iter().filter_map(balance).collect();
        features.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
        let mut names = std::collections::BTreeSet::new();
        features.retain(|one| names.insert(one.feature.clone()));
        let compared = features.len();
        features.truncate(MAX_SHOWN);
        let mut balance = TrackBalance {
            stable_rows: stable.rows,
            canary_rows: canary.rows,
            compared,
            differs: features.iter().any(|one| one.differs),
            features,
            message: None,
        };
        balance.message = balance.sentence();
        Some(balance)
    }

    fn sentence(&self) -> Option<String> {
        let off: Vec<&FeatureBalance> = self.features.iter().filter(|one| one.differs).collect();
        let named = off.iter().take(MAX_NAMED).map(|one| {
            format!(
                "{} ({}: {} on stable, {} on the canary; {})",
                quoted(&one.feature),
                one.values,
                share(one.stable_share),
                share(one.canary_share),
                equation("p", one.p_value),
            )
        });
        let named = enumerated(named.collect(), off.len())?;
        Some(format!(
            "The tracks get different inputs: {named}. A random split gives both the same, so a client chooses its key by \
             the version that answers, or the requests are not drawn one by one; comparisons cannot be trusted."
        ))
    }
}

/// The place whose share has changed most.
struct Moved {
    values: String,
    before: f64,
    now: f64,
}

impl Moved {
    fn between(column: &InputColumn, before: &[u64], now: &[u64]) -> Moved {
        let shares = |counts: &[u64]| -> Vec<f64> {
            let sum = counts.iter().sum::<u64>().max(1) as f64;
            counts.iter().map(|count| *count as f64 / sum).collect()
        };
        let (before, now) = (shares(before), shares(now));
        let pairs = before.iter().zip(&now).enumerate();
        let gap = |pair: &(usize, (&f64, &f64))| (pair.1.1 - pair.1.0).abs();
        let most = pairs.max_by(|a, b| gap(a).total_cmp(&gap(b)));
        let (place, before, now) = most.map_or((0, 0.0, 0.0), |(place, (a, b))| (place, *a, *b));
        Moved { values: column.place_in_words(place), before, now }
    }
}

/// Names, and how many more there are; `None` without any.
fn enumerated(named: Vec<String>, all: usize) -> Option<String> {
    let more = match all.saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
#[path = "inputs_tests.rs"]
mod tests;
