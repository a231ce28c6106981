//! `serin explain`: one metric with its margins, p-values and forecast.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::client::ServerArgs;
use super::page::Page;
use super::page::state;
use crate::canary::judge::forecast::Outcome;
use crate::canary::judge::sentences;
use crate::canary::policy::metric::Role;
use crate::cli::show;
use crate::service::status::Status;
use crate::service::status::report::Report;
use crate::service::status::report::words::duration;
use crate::text::numbers::count;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::p_value;
use crate::text::numbers::share;

/// The flags of `serin explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// Metric of the rollout under way, for example latency
    metric: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints everything about one metric.
///
/// # Errors
/// When the server cannot be reached, or judges no such metric.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let status: Status = args.server.client().get("/admin/status")?.done()?;
    let report = Report::new(&status, &args.server.times(status.at));
    let Some(place) = report.metrics.iter().position(|row| row.metric == args.metric) else {
        let names: Vec<&str> = report.metrics.iter().map(|row| row.metric.as_str()).collect();
        match names.is_empty() {
            true => bail!("no metric is judged now; deploy a canary first"),
            false => bail!("metric {:?} is not judged; use {}", args.metric, names.join(", ")),
        }
    };
    if args.server.json {
        show::json(&report.metrics[place])?;
        return Ok(ExitCode::SUCCESS);
    }
    page(&status, &report, place, show::width()).print();
    Ok(ExitCode::SUCCESS)
}

/// Everything about the metric at this place of the report, as a page of this width.
pub(super) fn page(status: &Status, report: &Report, place: usize, width: usize) -> Page {
    let row = &report.metrics[place];
    let mut page = Page::new(width);
    let is_by_hand = status.rollout.as_ref().is_some_and(|rollout| rollout.plan.is_none());
    let role = match row.role {
        Role::Guardrail if is_by_hand => {
            "a guardrail: harm speaks for a rollback and refuses a promotion"
        }
        Role::Guardrail => "a guardrail: harm rolls the canary back, and promotion needs a pass",
        Role::Signal => "a signal: harm lowers the score and holds the rollout",
        Role::Advisory => "advisory: shown, and never decides",
    };
    page.lines.push(format!("{}  {}", show::styled(show::STRONG, &row.metric), state(row)));
    page.labelled("Role", show::STRONG, role);
    let samples = format!(
        "{} of the canary, {} of stable",
        grouped(row.canary_samples),
        grouped(row.stable_samples)
    );
    page.labelled("Samples", show::STRONG, &samples);
    if let Some(difference) = &row.difference {
        let interval = row.interval.as_ref().map(|it| format!(", interval {it}"));
        let text = format!("{difference}{}", interval.unwrap_or_default());
        page.labelled("Effect", show::STRONG, &text);
    }
    let sequential = status.health.as_ref().and_then(|health| health.sequential.as_ref());
    if let Some(one) = sequential.and_then(|it| it.metrics.get(place)) {
        let margin = |beyond: &str, margin: &Option<String>| {
            margin.as_ref().map_or_else(String::new, |margin| format!("{beyond} {margin}: "))
        };
        let harm = format!(
            "{}if the harm p-value falls below {}; it is {}",
            margin("beyond", &row.harm_margin),
            number(one.harm_threshold),
            p_value(one.harm_p_value)
        );
        page.labelled("Fails", show::STRONG, &harm);
        let pass = format!(
            "{}if the non-inferiority p-value falls below {}; it is {}",
            margin("within", &row.pass_margin),
            number(one.proven_threshold),
            p_value(one.proven_p_value)
        );
        page.labelled("Passes", show::STRONG, &pass);
        page.labelled("", show::STRONG, "Both are valid at any time, however often they are read.");
    }
    if let (Some(probability), Some(loss)) = (row.probability_worse, &row.expected_loss) {
        let than = row.harm_margin.as_ref().map_or_else(String::new, |it| format!(" than {it}"));
        let readings = status.health.iter().flat_map(|health| &health.bayesian);
        let earlier = readings.filter(|it| it.metric.as_str() == row.metric);
        let prior = match earlier.map(|it| it.prior_rollouts).sum() {
            0 => "the default prior".to_owned(),
            rollouts => format!("a prior from {} earlier rollouts", grouped(rollouts)),
        };
        let text = format!(
            "worse{than} with probability {}; expected loss {loss} (given {prior}; decides nothing)",
            share(probability)
        );
        page.labelled("Bayesian", show::STRONG, &text);
    }
    let forecast = status.health.as_ref().and_then(|health| health.forecast.as_ref());
    let forecast = forecast.and_then(|it| it.forecast.metrics.get(place));
    if let Some(one) = forecast.filter(|one| one.requests != Some(0)) {
        let outcome = match one.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::None if !one.is_estimated => "too early: no estimate yet",
            Outcome::None => "no conclusion in sight at the present difference",
        };
        let requests = one.requests.map(|it| format!(" after {}", count(it, "more request")));
        let time = one.seconds.map(|seconds| format!(", about {}", duration(seconds)));
        let range = one.range.as_ref().and_then(sentences::within);
        let range = range.map(|it| format!("; probably {it}")).unwrap_or_default();
        let (requests, time) = (requests.unwrap_or_default(), time.unwrap_or_default());
        let text = format!("{outcome}{requests}{time}{range}");
        page.labelled("Forecast", show::STRONG, &text);
    }
    page
}
