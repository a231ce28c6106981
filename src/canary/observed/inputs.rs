//! Inputs of the drawn requests: how many of each track had which values, for the features that are judged.

use serde::Deserialize;
use serde::Serialize;

/// Limit of the bins of all features together. It bounds the state of the monitors and the time of a look.
pub const MAX_BINS: usize = 1_000;

/// The bins of a feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputBins {
    /// The feature.
    pub feature: String,
    /// The values of each bin in words: `missing`, `2 to 5`, `monthly`.
    pub values: Vec<String>,
}

/// The bins of all judged features.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinTable {
    /// By feature, at most [`MAX_BINS`] bins.
    pub features: Vec<InputBins>,
    /// Features that are left out, because they would be too many bins.
    pub left_out: u32,
}

impl BinTable {
    /// The number of bins.
    pub fn bins(&self) -> usize {
        self.features.iter().map(|one| one.values.len()).sum()
    }

    /// The feature of a bin, and the number of its first bin.
    pub fn feature_of(&self, bin: usize) -> Option<(&InputBins, usize)> {
        let mut first = 0;
        self.features.iter().find_map(|one| {
            let of_this = first;
            first += one.values.len();
            (bin < first).then_some((one, of_this))
        })
    }
}

/// Rows of requests that were drawn since an earlier tick, one of each in a sample of them: how many fell into which bin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputsIncrement {
    /// The bins, where the monitors do not know them yet.
    pub table: Option<BinTable>,
    /// Stable's and the canary's rows in each bin; empty if no row was counted.
    pub counts: Vec<[u64; 2]>,
}

impl InputsIncrement {
    /// Whether no row was counted.
    pub fn is_empty(&self) -> bool {
        *self == InputsIncrement::default()
    }

    /// Whether the counts are those of some bins.
    pub(super) fn is_sound(&self) -> bool {
        let is_of_these = |table: &BinTable| table.bins() == self.counts.len();
        (1..=MAX_BINS).contains(&self.counts.len()) && self.table.as_ref().is_none_or(is_of_these)
    }
}
