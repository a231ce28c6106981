//! The second test of a metric: spans of time as draws, where requests may share noise that lasts.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::policy::metric::Metric;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::Exceedances;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::LastingFailures;
use crate::stats::sequential::LastingValues;
use crate::stats::sequential::Monitor;
use crate::stats::sequential::TrackCounts;

/// The test of values, or of failures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lasting {
    Values(Box<LastingValues>),
    Failures(Box<LastingFailures>),
}

/// The evidence of the test.
pub(super) struct InSpans {
    pub(super) harm: EProcess,
    pub(super) proven: EProcess,
    /// The shortest span that counts as one draw now, in seconds.
    pub(super) span_seconds: Option<f64>,
}

impl Lasting {
    /// A test of the values of this monitor; `None` where every request is a draw.
    pub(super) fn of_values(metric: &Metric, monitor: &Monitor) -> Option<Lasting> {
        let Metric { unit, harm, test, tolerated, accepted, .. } = *metric;
        (!unit.is_request()).then(|| {
            let mut lasting = LastingValues::new(unit, harm, test, tolerated, accepted);
            monitor.teach(&mut lasting);
            Lasting::Values(Box::new(lasting))
        })
    }

    /// A test of failures; `None` where every request is a draw.
    pub(super) fn of_failures(metric: &Metric) -> Option<Lasting> {
        let lasting = || LastingFailures::new(metric.unit, failure_margins(metric));
        (!metric.unit.is_request()).then(|| Lasting::Failures(Box::new(lasting())))
    }

    /// Takes in the values of a tick. Before the monitor does, so that they are measured with what was known of stable.
    pub(super) fn tick_values(
        &mut self,
        monitor: &Monitor,
        seconds: f64,
        canary: &[(f64, u64)],
        stable: &[(f64, u64)],
    ) {
        if let Lasting::Values(lasting) = self {
            monitor.compare(lasting, seconds, canary, stable);
        }
    }

    /// A test of exceedances of a quantile; `None` where every request is a draw.
    pub(super) fn of_quantile(metric: &Metric) -> Option<Lasting> {
        // The margins are granted value by value.
        let none = FailureMargins { harmful_ratio: 1.0, accepted_difference: 0.0 };
        let lasting = || LastingFailures::new(metric.unit, none);
        (!metric.unit.is_request()).then(|| Lasting::Failures(Box::new(lasting())))
    }

    /// Takes in the exceedances of a tick.
    pub(super) fn tick_quantile(&mut self, seconds: f64, found: Exceedances) {
        if let Lasting::Failures(lasting) = self {
            let Exceedances { stable, beyond_tolerated, beyond_accepted, .. } = found;
            lasting.tick_granted(seconds, [beyond_tolerated, beyond_accepted], stable);
        }
    }

    /// Takes in the requests of a tick.
    pub(super) fn tick_failures(&mut self, seconds: f64, canary: TrackCounts, stable: TrackCounts) {
        if let Lasting::Failures(lasting) = self {
            lasting.tick(seconds, canary, stable);
        }
    }

    pub(super) fn evidence(&self) -> InSpans {
        let (harm, proven, span_seconds) = match self {
            Lasting::Values(one) => (one.harm, one.proven, one.shortest_span()),
            Lasting::Failures(one) => (one.harm, one.proven, one.shortest_span()),
        };
        InSpans { harm, proven, span_seconds }
    }
}

/// The margins of the failures of a metric.
pub(super) fn failure_margins(metric: &Metric) -> FailureMargins {
    FailureMargins {
        harmful_ratio: 1.0 + metric.tolerated.relative,
        accepted_difference: metric.accepted.absolute,
    }
}
