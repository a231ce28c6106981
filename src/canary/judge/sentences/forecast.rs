//! Renders a forecast.

use crate::canary::judge::forecast::Forecast;
use crate::canary::judge::forecast::MetricForecast;
use crate::canary::judge::forecast::Outcome;
use crate::canary::judge::forecast::Range;
use crate::canary::judge::verdict::Verdict;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::source::Unit;
use crate::canary::traffic::weight::Weight;
use crate::stats::Harm;
use crate::text::durations::duration;
use crate::text::numbers;
use crate::text::numbers::grouped;
use crate::text::numbers::two_digits;

/// `promote in 2 to 11 minutes (80 %), probably after 4 minutes (24,000 requests at 100 requests/s); minimum detectable
/// effect at the end of the bake: +7 % latency, +0.2 points failures`.
pub fn forecast(policy: &JudgePolicy, forecast: &Forecast) -> String {
    let verdict = match &forecast.verdict {
        Some(now) if now.requests == 0 => {
            return match now.verdict {
                Verdict::Promote => "promote now".to_owned(),
                Verdict::Rollback => "roll back now".to_owned(),
                Verdict::Hold => "hold".to_owned(),
            };
        }
        verdict => verdict,
    };
    if forecast.weight == Weight::ZERO {
        let is_in_shadow = |metric: &Metric| metric.source.is_shadow();
        return match policy.metrics.iter().any(is_in_shadow) {
            true => "the canary serves no users; its shadow metrics are judged".to_owned(),
            false => {
                "the canary gets no traffic, so nothing can be judged; give it a share".to_owned()
            }
        };
    }
    if forecast.weight.basis_points() == Weight::WHOLE {
        return "stable gets no traffic, so there is nothing to compare with; give it a share"
            .to_owned();
    }
    if forecast.requests_per_second <= 0.0 {
        return without_new_users(forecast);
    }
    let rate = rounded(forecast.requests_per_second);
    let comes = match verdict {
        Some(verdict) => {
            let seconds = verdict.seconds.unwrap_or(0.0);
            let count = match verdict.requests {
                1 => "1 request".to_owned(),
                many => format!("{} requests", requests(many)),
            };
            match verdict.range.and_then(|range| within(&range)) {
                Some(range) => format!(
                    "{} {range} (80 %), probably after {} ({count} at {rate} requests/s)",
                    word(verdict.verdict),
                    about(seconds)
                ),
                None => format!(
                    "{} in about {} ({count} at {rate} requests/s)",
                    word(verdict.verdict),
                    about(seconds)
                ),
            }
        }
        None => not_in_sight(policy, forecast),
    };
    format!("{comes}{}", detectable(policy, forecast))
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Promote => "promote",
        Verdict::Rollback => "roll back",
        Verdict::Hold => "hold",
    }
}

/// The forecast where no request brings evidence of its own: what further users would, and what visits of those who come
/// back do.
fn without_new_users(forecast: &Forecast) -> String {
    let (why, more) = match forecast.repeated_per_second > 0.0 {
        true => ("no new users are arriving", "of them"),
        false => ("no traffic", "requests"),
    };
    let further = forecast.verdict.map(|verdict| {
        let count = requests(verdict.requests);
        format!("to {} takes about {count} more {more}", word(verdict.verdict))
    });
    let visits = match (forecast.visits_compared_in, forecast.users_needed) {
        (Some(seconds), _) => Some(format!(
            "all visits of those who come back are compared again in about {}",
            about(seconds)
        )),
        (None, Some(users)) => Some(format!(
            "too few came to compare their visits at {}, which takes about {} users",
            forecast.weight,
            requests(users)
        )),
        (None, None) => None,
    };
    match (visits, further) {
        (Some(visits), Some(further)) => {
            format!("{why}: {visits}; by first visits alone, {further}")
        }
        (Some(said), None) | (None, Some(said)) => format!("{why}: {said}"),
        (None, None) => format!("{why}, so no verdict"),
    }
}

/// Why no verdict is in sight: the guardrails without an outcome.
fn not_in_sight(policy: &JudgePolicy, forecast: &Forecast) -> String {
    let open = |is_estimated: bool| -> Vec<&str> {
        policy
            .metrics
            .iter()
            .zip(&forecast.metrics)
            .filter(|(metric, forecast)| {
                metric.role == Role::Guardrail
                    && metric.required
                    && forecast.outcome == Outcome::None
                    && forecast.is_estimated == is_estimated
            })
            .map(|(metric, _)| metric.name.as_str())
            .collect()
    };
    let (unknown, undecided) = (open(false), open(true));
    if forecast.held {
        "nothing is promoted before a person decides".to_owned()
    } else if !unknown.is_empty() {
        format!("too early for a forecast: no estimate yet of {}", unknown.join(", "))
    } else if !undecided.is_empty() {
        format!("no verdict in sight: {} too close to the margin", undecided.join(", "))
    } else {
        "no verdict in sight".to_owned()
    }
}

/// The minimum detectable effects of the guardrails.
fn detectable(policy: &JudgePolicy, forecast: &Forecast) -> String {
    let effects: Vec<String> = policy
        .metrics
        .iter()
        .zip(&forecast.metrics)
        .filter(|(metric, _)| metric.role == Role::Guardrail)
        .filter_map(|(metric, forecast)| effect(metric, forecast))
        .collect();
    if effects.is_empty() {
        return String::new();
    }
    let when = match forecast.remaining_bake_seconds > 0.0 {
        true => "at the end of the bake",
        false => "now",
    };
    format!("; minimum detectable effect {when}: {}", effects.join(", "))
}

fn effect(metric: &Metric, forecast: &MetricForecast) -> Option<String> {
    let smallest = forecast.smallest_detectable?;
    // Beyond tenfold a percentage is harder to read than the difference.
    let relative = forecast.smallest_detectable_relative.filter(|relative| *relative < 10.0);
    let size = match (metric.source.properties().unit, relative) {
        (Unit::Share, _) => format!("{} points", rounded(100.0 * smallest)),
        (Unit::Seconds, None) => duration(smallest),
        (Unit::Probability, _) | (Unit::Number, None) => rounded(smallest),
        (Unit::Seconds | Unit::Number, Some(relative)) => {
            format!("{} %", rounded(100.0 * relative))
        }
    };
    let sign = match metric.harm {
        Harm::Higher => "+",
        Harm::Lower => "-",
        Harm::Either => "±",
    };
    Some(format!("{sign}{size} {}", metric.name))
}

/// What to expect of one metric: `passes in 4 to 11 minutes (80 %)`, and `by the end of the bake +4.1 % latency would be
/// found in 4 of 5 cases`.
pub fn of_metric(metric: &Metric, forecast: &MetricForecast) -> Vec<String> {
    let word = match forecast.outcome {
        Outcome::Pass => Some("passes"),
        Outcome::Fail => Some("fails"),
        Outcome::None => None,
    };
    let is_open = forecast.requests != Some(0);
    let when = match forecast.range.as_ref().and_then(within) {
        Some(range) => Some(format!("{range} (80 %)")),
        None => forecast.seconds.map(|seconds| format!("in about {}", about(seconds))),
    };
    let comes = word.zip(when).map(|(word, when)| format!("{word} {when} at this traffic"));
    let found = effect(metric, forecast).map(|effect| {
        format!("by the end of the bake {effect} or more would be found in 4 of 5 cases")
    });
    [comes, found].into_iter().flatten().filter(|_| is_open).collect()
}

/// A range as people say it: `in 4 to 11 minutes`, `in 40 seconds to 3 minutes`, `in 5 minutes or more`, `within 3
/// minutes`.
pub fn within(range: &Range) -> Option<String> {
    let earliest = range.earliest_seconds?;
    let Some(latest) = range.latest_seconds else {
        return Some(format!("in {} or more", about(earliest)));
    };
    let (earliest, latest) = (about(earliest), about(latest));
    if range.earliest_requests == 0 {
        return Some(format!("within {latest}"));
    }
    if earliest == latest {
        return Some(format!("in about {latest}"));
    }
    let is_same = |one: &str, other: &str| one.trim_end_matches('s') == other.trim_end_matches('s');
    match (earliest.rsplit_once(' '), latest.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, other))) if is_same(unit, other) => {
            Some(format!("in {number} to {latest}"))
        }
        _ => Some(format!("in {earliest} to {latest}")),
    }
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

/// A count to two significant digits.
fn requests(count: u64) -> String {
    grouped(two_digits(count as f64).round() as u64)
}

/// A number to two digits.
fn rounded(number: f64) -> String {
    numbers::number(two_digits(number))
}
