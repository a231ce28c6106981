//! How is a forecast said in one sentence?

use std::time::Duration;

use super::Forecast;
use super::Outcome;
use crate::canary::judge::verdict::Verdict;
use crate::canary::judge::monitors::metric::Measured;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::metric::Source;
use crate::canary::traffic::weight::Weight;
use crate::stats::Harm;
use crate::text::durations::duration;
use crate::text::numbers;
use crate::text::numbers::grouped;
use crate::text::numbers::two_digits;

/// `at 100 requests/s and the present effect, the verdict promote in about 4 minutes (24,000 requests); by
/// the end of the bake a slowdown of 7 % could be found`.
pub(crate) fn message(
    policy: &JudgePolicy,
    measured: &[Measured],
    forecast: &Forecast,
    weight: Weight,
    remaining_bake: Duration,
) -> String {
    let verdict = match &forecast.verdict {
        Some(now) if now.requests == 0 => {
            return match now.verdict {
                Verdict::Promote => "the watch says promote now".to_owned(),
                Verdict::Rollback => "the watch says roll back now".to_owned(),
                Verdict::Hold => "the verdict is to hold".to_owned(),
            };
        }
        verdict => verdict,
    };
    let is_in_shadow = |metric: &Metric| metric.source.is_shadow();
    if weight == Weight::ZERO && policy.metrics.iter().any(is_in_shadow) {
        return "the canary answers nobody; what its answers in shadow come to stands with the metrics"
            .to_owned();
    }
    if weight == Weight::ZERO {
        return "the canary has no traffic, so nothing can be judged; give it a share".to_owned();
    }
    if weight.basis_points() == Weight::WHOLE {
        return "all traffic is the canary's, so there is nothing to compare it with; give stable a \
                share"
            .to_owned();
    }
    let what = |verdict| match verdict {
        Verdict::Promote => "the verdict promote",
        Verdict::Rollback => "the verdict rollback",
        Verdict::Hold => "no verdict",
    };
    if forecast.requests_per_second <= 0.0 {
        return match verdict {
            Some(verdict) => format!(
                "no requests to judge come in, and without them no verdict does; {} takes about \
                 {} more",
                what(verdict.verdict),
                grouped(two_digits(verdict.requests as f64) as u64),
            ),
            None => "no requests to judge come in, and without them no verdict does".to_owned(),
        };
    }
    let rate = rounded(forecast.requests_per_second);
    let comes = match verdict {
        Some(verdict) => {
            let seconds = verdict.seconds.unwrap_or(0.0);
            let requests = match verdict.requests {
                1 => "1 request".to_owned(),
                requests => format!("{} requests", grouped(two_digits(requests as f64) as u64)),
            };
            format!("{} in about {} ({requests})", what(verdict.verdict), about(seconds))
        }
        None => nothing_in_sight(policy, measured, forecast),
    };
    let found = found(policy, measured, forecast, remaining_bake);
    format!("at {rate} requests/s and the present effect, {comes}{found}")
}

/// Why there is no verdict to come: the guardrails without an outcome.
fn nothing_in_sight(policy: &JudgePolicy, measured: &[Measured], forecast: &Forecast) -> String {
    let open = |is_unknown: bool| -> Vec<&str> {
        policy
            .metrics
            .iter()
            .zip(measured)
            .zip(&forecast.metrics)
            .filter(|((metric, measured), forecast)| {
                metric.role == Role::Guardrail
                    && forecast.outcome == Outcome::None
                    && measured.effect.effect().is_none() == is_unknown
            })
            .map(|((metric, _), _)| metric.name.as_str())
            .collect()
    };
    let (unknown, undecided) = (open(true), open(false));
    if !unknown.is_empty() {
        format!("too early to say when a verdict comes: nothing is known of {}", unknown.join(", "))
    } else if !undecided.is_empty() {
        format!("no verdict in sight: {} is too close to its margin", undecided.join(", "))
    } else {
        "no verdict in sight".to_owned()
    }
}

/// What the guardrails would find by the end of the bake.
fn found(
    policy: &JudgePolicy,
    measured: &[Measured],
    forecast: &Forecast,
    remaining_bake: Duration,
) -> String {
    let differences: Vec<String> = policy
        .metrics
        .iter()
        .zip(measured)
        .zip(&forecast.metrics)
        .filter(|((metric, _), _)| metric.role == Role::Guardrail)
        .filter_map(|((metric, _), forecast)| {
            let smallest = forecast.smallest_detectable?;
            let size = match (metric.source, forecast.smallest_detectable_relative) {
                (Source::Failures, _) => format!("{} points", rounded(100.0 * smallest)),
                (Source::Score, _) | (_, None) => rounded(smallest),
                (_, Some(relative)) => format!("{} %", rounded(100.0 * relative)),
            };
            let is_absolute = forecast.smallest_detectable_relative.is_none();
            let size = if metric.source == Source::Latency && is_absolute {
                duration(smallest)
            } else {
                size
            };
            let name = &metric.name;
            Some(match (metric.source, metric.harm) {
                (Source::Latency, Harm::Higher) => format!("a slowdown of {size}"),
                (Source::Failures, _) => format!("failures up by {size}"),
                (_, Harm::Higher) => format!("{name} up by {size}"),
                (_, Harm::Lower) => format!("{name} down by {size}"),
                (_, Harm::Either) => format!("{name} moved by {size}"),
            })
        })
        .collect();
    if differences.is_empty() {
        return String::new();
    }
    let when = if remaining_bake.is_zero() { "so far" } else { "by the end of the bake" };
    format!("; {when} {} could be found", differences.join(" or "))
}

/// A time as people say it.
fn about(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 90.0 => (s, "second"),
        s if s < 90.0 * 60.0 => (s / 60.0, "minute"),
        s if s < 36.0 * 3600.0 => (s / 3600.0, "hour"),
        s => (s / 86_400.0, "day"),
    };
    let number = two_digits(number).round().max(1.0);
    let plural = if number == 1.0 { "" } else { "s" };
    format!("{} {unit}{plural}", grouped(number as u64))
}

/// A number to two digits.
fn rounded(number: f64) -> String {
    numbers::number(two_digits(number))
}
