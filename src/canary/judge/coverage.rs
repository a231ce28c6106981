//! Coverage of a judgement: what was checked, and what was not and why.

use super::judgement::Judgement;
use super::sentences;
use super::verdict::Classification;
use super::verdict::MetricEvidence;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::metric::Source;
use crate::text::lists::list;

/// Why a metric without observations was not checked.
const NONE: &str = "none so far";

/// What a verdict without harm rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The observations with enough data to show harm: `latency`, `failures`, `score`, `labels`, `pairs`, and the names of
    /// metrics of queries.
    pub checked: Vec<String>,
    /// The others, each with the reason.
    pub not_checked: Vec<String>,
}

impl Coverage {
    /// The coverage of this judgement.
    pub fn of(judgement: &Judgement) -> Coverage {
        let mut coverage = Coverage { checked: Vec::new(), not_checked: Vec::new() };
        let sequential = judgement.sequential.as_ref();
        if sequential.is_none_or(|it| it.policy.judges_requests()) {
            coverage.add_served(judgement);
        }
        let from_outside = |metric: &Metric| match sequential {
            Some(it) if it.policy.judges_requests() => metric.source == Source::Prometheus,
            Some(_) | None => true,
        };
        let metrics = sequential.into_iter().flat_map(|it| it.metrics());
        for (metric, one) in metrics.filter(|(metric, _)| from_outside(metric)) {
            let name = metric.name.as_str();
            match metric.role {
                Role::Advisory => {
                    coverage.not_checked.push(format!("{name} ({})", advisory(judgement, metric)));
                }
                Role::Guardrail | Role::Signal => coverage.add_judged(metric, one, name, false),
            }
        }
        coverage
    }

    /// What serin sees of the requests that it answers.
    fn add_served(&mut self, judgement: &Judgement) {
        let evidence = &judgement.evidence;
        let is_manual = judgement.mode.is_manual();
        let by_health_check = [
            (Source::Latency, is_manual && evidence.latency.is_some()),
            (Source::Failures, is_manual && evidence.latency.is_some()),
            (Source::Score, is_manual && evidence.score.is_some()),
        ];
        for (source, is_checked) in by_health_check {
            self.add(judgement, source, source.properties().name, is_checked, "too few samples");
        }
        self.add(judgement, Source::LogLoss, "labels", false, NONE);
        self.add(judgement, Source::ShadowScore, "pairs", false, "no shadow");
    }

    fn add(
        &mut self,
        judgement: &Judgement,
        source: Source,
        name: &str,
        is_checked: bool,
        absent: &str,
    ) {
        let metrics = || judgement.sequential.iter().flat_map(|it| it.metrics());
        let found = metrics().find(|(metric, _)| metric.source == source);
        let Some((metric, one)) = found.filter(|(metric, _)| metric.role != Role::Advisory) else {
            match (is_checked, found) {
                (true, _) => self.checked.push(name.to_owned()),
                (false, Some((metric, _))) => {
                    self.not_checked.push(format!("{name} ({})", advisory(judgement, metric)));
                }
                (false, None) => self.not_checked.push(format!("{name} ({absent})")),
            }
            return;
        };
        self.add_judged(metric, one, name, is_checked);
    }

    fn add_judged(&mut self, metric: &Metric, one: &MetricEvidence, name: &str, is_checked: bool) {
        if is_checked || one.classification != Classification::Insufficient {
            self.checked.push(name.to_owned());
        } else {
            let lacking = match one.samples.fewest() {
                0 => NONE.to_owned(),
                seen if seen < metric.min_samples => {
                    format!("{seen} of {} samples", metric.min_samples)
                }
                _ => sentences::NOTHING_COMPARED.to_owned(),
            };
            self.not_checked.push(format!("{name} ({lacking})"));
        }
    }

    /// `no harm found in latency and failures; not checked: labels (none so far), pairs (no shadow)`.
    pub fn sentence(&self) -> String {
        let checked = match self.checked.is_empty() {
            true => "nothing was checked".to_owned(),
            false => format!("no harm found in {}", list(&self.checked)),
        };
        match self.not_checked.as_slice() {
            [] => checked,
            not_checked => format!("{checked}; not checked: {}", not_checked.join(", ")),
        }
    }
}

fn advisory(judgement: &Judgement, metric: &Metric) -> &'static str {
    let policy = judgement.sequential.as_ref().map(|it| &it.policy);
    match policy.is_some_and(|policy| policy.expect_shift && metric.source.is_of_scores()) {
        true => "a shift is expected",
        false => "advisory",
    }
}
