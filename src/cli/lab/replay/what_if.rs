//! `serin replay` with another policy: its verdicts next to those that were given.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::canary::HealthPolicy;
use crate::canary::JudgePolicy;
use crate::canary::judge::sentences;
use crate::canary::judge::what_if::Course;
use crate::canary::judge::what_if::Moment;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::canary::policy::metric_overrides::MetricOverride;
use crate::canary::policy::source::MarginKind;
use crate::canary::policy::source::Unit;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::numbers::percentage;
use crate::cli::remote::history;
use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::service::control::audit;
use crate::service::control::audit::ReplayError;
use crate::service::control::audit::RolloutRecord;
use crate::service::status::history::History;
use crate::service::status::history::HistoryEntry;
use crate::stats::Margin;
use crate::store::Store;
use crate::text::fields::FieldError;

/// The changes of the policy.
#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "What if the policy had been different")]
pub struct WhatIfArgs {
    /// Tolerated difference, for example 5%: of stable's mean, for failures of stable's rate, for scores of 1
    #[arg(long, value_name = "PERCENT")]
    tolerated: Option<String>,
    /// Accepted difference, for example 10%: of stable's mean, for failures of all requests, for scores of 1
    #[arg(long, value_name = "PERCENT")]
    accepted: Option<String>,
    /// Metric of --tolerated and --accepted [default: latency]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Probability of a false rollback
    #[arg(long, value_name = "P")]
    alpha: Option<f64>,
    /// Samples that each metric needs
    #[arg(long, value_name = "N")]
    min_samples: Option<u64>,
    /// TOML file with changes, in the format of a deployment's policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl WhatIfArgs {
    /// Whether anything is changed.
    pub fn is_given(&self) -> bool {
        *self != WhatIfArgs::default()
    }

    /// The policy of the rollout with these changes.
    fn over(&self, judge: &JudgePolicy, health: &HealthPolicy) -> anyhow::Result<JudgePolicy> {
        let mut health = *health;
        let mut judge = judge.clone();
        if let Some(alpha) = self.alpha {
            if !(alpha > 0.0 && alpha < 1.0) {
                let allowed = "more than 0 and less than 1";
                return Err(FieldError::out_of_range("--alpha", alpha, allowed).into());
            }
            health.alpha = alpha;
            judge.alpha = alpha;
        }
        if let Some(file) = &self.policy {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}; check --policy", file.display()))?;
            let given: JudgePolicyOverride = toml::from_str(&text)
                .with_context(|| format!("--policy: {} is not a policy", file.display()))?;
            judge = judge.changed(&health, &given)?;
        }
        let chosen = self.chosen(&judge)?.cloned();
        let metrics = judge.metrics.iter().map(|metric| {
            let changes = MetricOverride { min_samples: self.min_samples, ..as_it_is(metric) };
            match &chosen {
                Some(chosen) if chosen.name == metric.name => self.margins(metric, changes),
                Some(_) | None => Ok(changes),
            }
        });
        let metrics = metrics.collect::<anyhow::Result<_>>()?;
        Ok(judge.changed(&health, &JudgePolicyOverride { metrics, ..Default::default() })?)
    }

    /// The metric of `--tolerated` and `--accepted`.
    fn chosen<'p>(&self, judge: &'p JudgePolicy) -> anyhow::Result<Option<&'p Metric>> {
        if self.tolerated.is_none() && self.accepted.is_none() {
            if self.metric.is_some() {
                bail!("--metric needs a margin; use --tolerated or --accepted with it");
            }
            return Ok(None);
        }
        let chosen = self.metric.as_deref().unwrap_or("latency");
        let mut metrics = judge.metrics.iter();
        let found = metrics.clone().find(|metric| metric.name.as_str() == chosen);
        found.map(Some).with_context(|| {
            let names: Vec<&str> = metrics.by_ref().map(|metric| metric.name.as_str()).collect();
            format!("--metric: {chosen:?} was not judged; use {}", names.join(", "))
        })
    }

    fn margins(&self, metric: &Metric, changes: MetricOverride) -> anyhow::Result<MetricOverride> {
        let margin = |flag, text: &Option<String>, before: Margin, is_absolute| {
            let share = text.as_ref().map(|text| percentage(flag, text, 1000.0)).transpose()?;
            Ok::<_, anyhow::Error>(share.map(|share| match is_absolute {
                true => Margin { relative: 0.0, absolute: share },
                // The fixed part stays: the slowdown that users cannot notice.
                false => Margin { relative: share, absolute: before.absolute },
            }))
        };
        let properties = metric.source.properties();
        let of_accepted = matches!(properties.unit, Unit::Share | Unit::Probability);
        let of_tolerated = of_accepted && properties.margin != MarginKind::OfFailureRate;
        Ok(MetricOverride {
            tolerated: margin("tolerated", &self.tolerated, metric.tolerated, of_tolerated)?,
            accepted: margin("accepted", &self.accepted, metric.accepted, of_accepted)?,
            ..changes
        })
    }
}

/// A metric without changes.
fn as_it_is(metric: &Metric) -> MetricOverride {
    MetricOverride {
        name: metric.name.clone(),
        source: None,
        harm: None,
        role: None,
        tolerated: None,
        accepted: None,
        weight: None,
        critical: None,
        min_samples: None,
        test: None,
        harmful: None,
        required: Some(metric.required),
        above_seconds: None,
        query: None,
        interval: None,
        tracks: None,
    }
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    rollout: u64,
    policy: &'a JudgePolicy,
    as_it_was: &'a Course,
    what_if: &'a Course,
    happened: &'a [HistoryEntry],
}

/// Prints the verdicts under the changed policy.
///
/// # Errors
/// When the policy is invalid or the evidence cannot be read.
pub fn run(
    args: &WhatIfArgs,
    store: &dyn Store,
    record: &RolloutRecord,
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    const NEEDS_ALL: &str = "a what-if needs all ticks since the deployment";
    let (rollout, judge) = (record.rollout, &record.policy.judge);
    let changed = args.over(judge, &record.policy.health)?;
    let courses = audit::course(store, record, judge)
        .and_then(|was| Ok((was, audit::course(store, record, &changed)?)));
    let (was, would) = match courses {
        Ok(courses) => courses,
        Err(cause @ ReplayError::NotKept { .. }) => {
            show::error(&format!("{cause}; {NEEDS_ALL}"));
            return Ok(ExitCode::from(INCONCLUSIVE));
        }
        Err(cause) => return Err(cause.into()),
    };
    let judged = record.entries.iter().filter_map(|entry| entry.event.judgement());
    let ticks = judged
        .filter_map(|it| it.sequential.as_ref())
        .map(|sequential| sequential.conclusion.ticks)
        .max();
    if let Some(ticks) = ticks.filter(|ticks| *ticks > was.ticks) {
        show::error(&format!(
            "a verdict of rollout {rollout} was given after {ticks} ticks, but only {} are stored; {NEEDS_ALL}",
            was.ticks,
        ));
        return Ok(ExitCode::from(INCONCLUSIVE));
    }
    let history = History::new(record.entries.clone());
    if is_json {
        show::json(&Answer {
            rollout,
            policy: &changed,
            as_it_was: &was,
            what_if: &would,
            happened: &history.entries,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = styled(show::STRONG, show::plain(&record.canary.name));
    outln!("rollout {rollout}: {name}, {} ticks", was.ticks);
    let row = |what: &str, course: &Course| {
        let end = course.end.verdict.word().to_owned();
        [what.to_owned(), first(course.rollback.as_ref()), first(course.promote.as_ref()), end]
    };
    let header = ["", "first rollback", "first promote", "at the end"];
    for line in show::aligned(header, [row("as it was", &was), row("what if", &would)]) {
        outln!("{line}");
    }
    let mut moments = vec![("First rollback", &would.rollback), ("First promote", &would.promote)];
    let end = Some(would.end.clone());
    if would.rollback.is_none() && would.promote.is_none() {
        moments = vec![("At the end", &end)];
    }
    for (what, moment) in moments {
        let Some(moment) = moment else { continue };
        let sentence = sentences::verdict(&changed, &moment.conclusion);
        outln!("\n{what} with these changes (step {}):", moment.step);
        outln!("{}", show::wrapped(&show::plain(&sentence), "  "));
    }
    outln!("\nWhat happened:");
    history::page(&history, &TimeZone::system(), false, show::width()).print();
    Ok(ExitCode::SUCCESS)
}

fn first(moment: Option<&Moment>) -> String {
    let Some(moment) = moment else { return "never".to_owned() };
    let at = moment.at.map(|at| format!(", {at}")).unwrap_or_default();
    format!("tick {}{at}, {} canary requests", moment.tick, moment.canary_requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::policy::judge_policy::PairSource;

    #[test]
    fn without_changes_the_policy_stays_as_it_was() {
        let health = HealthPolicy::default();
        let shadow = PairSource::InShadow { is_required: false };
        let shadowing = JudgePolicy::default().of_rollout(&health, &Default::default(), shadow);
        for judge in [JudgePolicy::default(), shadowing.unwrap()] {
            assert_eq!(WhatIfArgs::default().over(&judge, &health).unwrap(), judge);
        }
    }
}
