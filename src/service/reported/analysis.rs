//! Two-sample analyses, reproducible: the random numbers are the same each time.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng as _;
use rand_xoshiro::rand_core::SeedableRng as _;

use super::recordings::Recordings;
use crate::canary::Analysis;
use crate::canary::MetricName;
use crate::canary::analysis::metric_table::TableAnalysis;
use crate::canary::analysis::metric_table::TableError;
use crate::canary::analysis::metric_table::TableMetric;
use crate::canary::analysis::metric_table::TableOptions;
use crate::canary::analysis::metric_table::analyze_table;
use crate::canary::analysis::options::AnalysisOptions;
use crate::canary::analysis::sample::Sample;
use crate::canary::analysis::two_samples::analyze;

/// Any constant: the same values must always give the same interval.
const SEED: u64 = 0x5e_417;

/// Compares two samples: some dozens of milliseconds for thousands of values a side. Not for a
/// thread that drives connections.
pub fn analyzed(baseline: &Sample, canary: &Sample, options: AnalysisOptions) -> Analysis {
    analyze(baseline, canary, options, random())
}

/// Compares several metrics, each as [`analyzed`] does.
///
/// # Errors
/// When the body has no metrics or too many, or lists one twice.
pub fn analyzed_table(
    metrics: Vec<TableMetric>,
    options: TableOptions,
) -> Result<TableAnalysis, TableError> {
    analyze_table(metrics, options, random)
}

fn random() -> impl FnMut() -> u64 {
    let mut bits = Xoshiro256PlusPlus::seed_from_u64(SEED);
    move || bits.next_u64()
}

impl Recordings {
    /// Compares the recorded values of a metric. When there are none, the reason lists the metrics
    /// that were recorded, since the name may be misspelled.
    pub fn analyzed(&self, metric: &MetricName, options: AnalysisOptions) -> Analysis {
        let (baseline, canary) = self.samples(metric);
        let mut analysis = analyzed(&baseline, &canary, options);
        if baseline.points().is_empty() && canary.points().is_empty() {
            let counts = self.counts();
            let names: Vec<&str> = counts.metrics.keys().map(MetricName::as_str).collect();
            if !names.is_empty() {
                analysis.reason += &format!(
                    "; nothing is recorded for metric {:?}, only for {}",
                    metric.as_str(),
                    names.join(", ")
                );
            }
        }
        analysis
    }
}
