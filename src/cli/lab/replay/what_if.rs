//! `serin replay` with another policy: its verdicts next to those that were given.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::canary::JudgePolicy;
use crate::canary::judge::sentences;
use crate::canary::judge::what_if::Changes;
use crate::canary::judge::what_if::Course;
use crate::canary::judge::what_if::Moment;
use crate::cli::exit::INCONCLUSIVE;
use crate::cli::numbers::percentage;
use crate::cli::remote::history;
use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::service::control::audit;
use crate::service::control::audit::Limit;
use crate::service::control::audit::ReplayError;
use crate::service::control::audit::RolloutRecord;
use crate::service::status::history::History;
use crate::service::status::history::HistoryEntry;
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

    /// The same for the judge.
    fn changes(&self) -> anyhow::Result<Changes> {
        let share = |flag, text: &Option<String>| {
            text.as_ref().map(|text| percentage(flag, text, 1000.0)).transpose()
        };
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}; check --policy", file.display()))?;
            toml::from_str(&text)
                .with_context(|| format!("--policy: {} is not a policy", file.display()))
        };
        Ok(Changes {
            metric: self.metric.clone(),
            tolerated: share("tolerated", &self.tolerated)?,
            accepted: share("accepted", &self.accepted)?,
            alpha: self.alpha,
            min_samples: self.min_samples,
            policy: self.policy.as_ref().map(read).transpose()?,
        })
    }
}

/// The error with the flag in place of the field.
fn of_flag(error: FieldError) -> FieldError {
    match error.path.as_str() {
        "metric" | "alpha" => FieldError { path: format!("--{}", error.path), ..error },
        "min_samples" => FieldError { path: "--min-samples".to_owned(), ..error },
        _ => error,
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
    let changed = args.changes()?.over(judge, &record.policy.health).map_err(of_flag)?;
    let (was, would) = match audit::courses(store, record, &changed, &Limit::default()) {
        Ok(courses) => courses,
        Err(cause @ ReplayError::NotKept { .. }) => {
            show::error(&format!("{cause}; {NEEDS_ALL}"));
            return Ok(ExitCode::from(INCONCLUSIVE));
        }
        Err(cause) => return Err(cause.into()),
    };
    if let Some(ticks) = record.judged_ticks().filter(|ticks| *ticks > was.ticks) {
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
