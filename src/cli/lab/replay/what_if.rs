//! `serin replay` with another policy: its verdicts next to those of the rollout.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use serde_json::json;

use crate::canary::HealthPolicy;
use crate::canary::JudgePolicy;
use crate::canary::MetricName;
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
use crate::cli::show;
use crate::cli::show::styled;
use crate::service::control::audit;
use crate::service::control::audit::ReplayError;
use crate::service::control::audit::Told;
use crate::stats::Margin;
use crate::store::Store;
use crate::text::fields::FieldError;

/// The changes of the policy.
#[derive(Args, Debug, Default)]
pub struct WhatIfArgs {
    /// Tolerated difference, for example 5% (of stable's mean; for failures of stable's rate; for the score of 1)
    #[arg(long, value_name = "PERCENT")]
    tolerated: Option<String>,
    /// Accepted difference, for example 10% (of stable's mean; for failures of all requests; for the score of 1)
    #[arg(long, value_name = "PERCENT")]
    accepted: Option<String>,
    /// The metric of --tolerated and --accepted [default: latency]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Probability of a false rollback
    #[arg(long, value_name = "P")]
    alpha: Option<f64>,
    /// Samples that each metric needs
    #[arg(long, value_name = "N")]
    min_samples: Option<u64>,
    /// TOML file with the policy, in the format of a deployment's policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl WhatIfArgs {
    /// Whether anything is changed.
    pub fn is_given(&self) -> bool {
        let WhatIfArgs { tolerated, accepted, metric, alpha, min_samples, policy } = self;
        tolerated.is_some()
            || metric.is_some()
            || accepted.is_some()
            || alpha.is_some()
            || min_samples.is_some()
            || policy.is_some()
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
                .with_context(|| format!("{} is no policy", file.display()))?;
            judge = judge.changed(&health, &given)?;
        }
        if let Some(min_samples) = self.min_samples {
            let metrics = judge.metrics.iter().map(|metric| MetricOverride {
                min_samples: Some(min_samples),
                ..as_it_is(&metric.name)
            });
            let metrics = metrics.collect();
            judge =
                judge.changed(&health, &JudgePolicyOverride { metrics, ..Default::default() })?;
        }
        if self.tolerated.is_some() || self.accepted.is_some() {
            let meant = self.metric.as_deref().unwrap_or("latency");
            let named = judge.metrics.iter().find(|metric| metric.name.as_str() == meant);
            let Some(metric) = named else {
                let names: Vec<&str> =
                    judge.metrics.iter().map(|metric| metric.name.as_str()).collect();
                bail!("--metric: {meant:?} was not judged; use {}", names.join(", "));
            };
            let metrics = vec![self.margins(metric)?];
            judge =
                judge.changed(&health, &JudgePolicyOverride { metrics, ..Default::default() })?;
        } else if self.metric.is_some() {
            bail!("--metric says whose margin is meant; use --tolerated or --accepted with it");
        }
        Ok(judge)
    }

    fn margins(&self, metric: &Metric) -> anyhow::Result<MetricOverride> {
        let margin = |flag, text: &Option<String>, before: Margin, is_absolute| {
            let share = text.as_ref().map(|text| percentage(flag, text, 1000.0)).transpose()?;
            Ok::<_, anyhow::Error>(share.map(|share| match is_absolute {
                true => Margin { relative: 0.0, absolute: share },
                // The fixed part stays: of latency, what nobody can feel.
                false => Margin { relative: share, absolute: before.absolute },
            }))
        };
        let properties = metric.source.properties();
        let of_accepted = matches!(properties.unit, Unit::Share | Unit::Probability);
        let of_tolerated = of_accepted && properties.margin != MarginKind::OfFailureRate;
        Ok(MetricOverride {
            tolerated: margin("tolerated", &self.tolerated, metric.tolerated, of_tolerated)?,
            accepted: margin("accepted", &self.accepted, metric.accepted, of_accepted)?,
            ..as_it_is(&metric.name)
        })
    }
}

/// A metric without changes.
fn as_it_is(name: &MetricName) -> MetricOverride {
    MetricOverride {
        name: name.clone(),
        source: None,
        harm: None,
        role: None,
        tolerated: None,
        accepted: None,
        weight: None,
        critical: None,
        min_samples: None,
        test: None,
    }
}

/// Prints the verdicts under the changed policy.
///
/// # Errors
/// When the policy is invalid or the evidence cannot be read.
pub fn run(
    args: &WhatIfArgs,
    store: &dyn Store,
    told: &Told,
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    let (rollout, judge) = (told.rollout, &told.policy.judge);
    let changed = args.over(judge, &told.policy.health)?;
    let courses = audit::course(store, rollout, judge)
        .and_then(|was| Ok((was, audit::course(store, rollout, &changed)?)));
    let (was, would) = match courses {
        Ok(courses) => courses,
        Err(cause @ ReplayError::NotKept { .. }) => {
            anstream::eprintln!(
                "serin: {cause}; what would have been follows only from all ticks since the deployment"
            );
            return Ok(ExitCode::from(INCONCLUSIVE));
        }
        Err(cause) => return Err(cause.into()),
    };
    let judged = told.entries.iter().filter_map(|entry| entry.event.judgement());
    let ticks = judged
        .filter_map(|it| it.sequential.as_ref())
        .map(|sequential| sequential.conclusion.ticks)
        .max();
    if let Some(ticks) = ticks.filter(|ticks| *ticks > was.ticks) {
        anstream::eprintln!(
            "serin: a verdict of rollout {rollout} rests on {ticks} ticks, and {} are kept; what would have been \
             follows only from all of them",
            was.ticks,
        );
        return Ok(ExitCode::from(INCONCLUSIVE));
    }
    if is_json {
        let happened = told.entries.iter().map(|entry| {
            let (at, event) = (entry.at, entry.event.name());
            let sentence = entry.event.sentence();
            json!({ "sequence": entry.sequence, "at": at, "event": event, "sentence": sentence })
        });
        let happened: Vec<_> = happened.collect();
        let answer = json!({
            "rollout": rollout, "policy": changed, "as_it_was": was, "what_if": would,
            "happened": happened,
        });
        anstream::println!("{}", show::json(&answer));
        return Ok(ExitCode::SUCCESS);
    }
    let name = styled(show::STRONG, show::plain(&told.canary.name));
    anstream::println!("rollout {rollout}: {name}, {} ticks of the sequential judge", was.ticks);
    let row = |what: &str, course: &Course| {
        let end = json!(course.end.verdict);
        let end = show::text(&end).into_owned();
        [what.to_owned(), first(course.rollback.as_ref()), first(course.promote.as_ref()), end]
    };
    let header = ["", "first rollback", "first promote", "at the end"];
    for line in show::aligned(header, [row("as it was", &was), row("what if", &would)]) {
        anstream::println!("{line}");
    }
    let reasons = [("first rollback", &would.rollback), ("first promote", &would.promote)];
    for (what, moment) in reasons {
        if let Some(moment) = moment {
            anstream::println!("\n{what}, what if (step {}):", moment.step);
            anstream::println!(
                "{}",
                show::wrapped(
                    &show::plain(&sentences::verdict(&changed, &moment.conclusion)),
                    "  "
                )
            );
        }
    }
    if would.rollback.is_none() && would.promote.is_none() {
        anstream::println!("\nat the end, what if:");
        anstream::println!(
            "{}",
            show::wrapped(&show::plain(&sentences::verdict(&changed, &would.end.conclusion)), "  ")
        );
    }
    anstream::println!("\nwhat happened:");
    for entry in &told.entries {
        let sentence = entry.event.sentence();
        let text = format!("{} {}", entry.at, show::plain(&sentence));
        anstream::println!("{}", show::wrapped(&text, "  "));
    }
    Ok(ExitCode::SUCCESS)
}

fn first(moment: Option<&Moment>) -> String {
    let Some(moment) = moment else { return "never".to_owned() };
    let at = moment.at.map(|at| format!(", {at}")).unwrap_or_default();
    format!("tick {}{at}, {} canary requests", moment.tick, moment.canary_requests)
}
