//! `serin power`: how many samples does a comparison take?

use std::process::ExitCode;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use clap::Args;
use clap::ValueEnum;
use serde::Serialize;

use crate::canary::HealthPolicy;
use crate::canary::Weight;
use crate::cli::numbers::percentage;
use crate::cli::show;
use crate::cli::show::outln;
use crate::stats::Alternative;
use crate::stats::ProportionPower;
use crate::stats::SampleSizes;
use crate::stats::TwoSamplePower;
use crate::stats::power_at;
use crate::text::numbers::exact;
use crate::text::numbers::percent;

/// The flags of `serin power`.
#[derive(Args, Debug)]
pub struct PowerArgs {
    /// Slowdown to detect, in milliseconds [default: 10, or 0 with --margin]
    #[arg(long, value_name = "MS")]
    difference_ms: Option<f64>,
    /// Standard deviation of latency, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 15.0)]
    std_ms: f64,
    /// Show non-inferiority instead: the canary is worse by less than this, in milliseconds, or in
    /// percentage points of failures, for example 0.5%. The test is one-sided; --difference-ms or
    /// --canary-error-rate is then how much worse the canary really is
    #[arg(long, value_name = "MS|PERCENT%", conflicts_with = "sides")]
    margin: Option<String>,
    /// Compare failures instead of latencies: stable's failure rate, for example 1%
    #[arg(long, value_name = "PERCENT%", conflicts_with_all = ["difference_ms", "std_ms"])]
    error_rate: Option<String>,
    /// The canary's failure rate to detect, for example 2% [default with --margin: stable's]
    #[arg(long, value_name = "PERCENT%", requires = "error_rate")]
    canary_error_rate: Option<String>,
    /// Probability of detecting it
    #[arg(long, value_name = "P", default_value_t = 0.8)]
    power: f64,
    /// Significance level
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    alpha: f64,
    /// The canary's share of traffic, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    traffic: f64,
    /// One-sided (only a worse canary counts) or two-sided test
    #[arg(long, value_name = "SIDES", default_value = "two")]
    sides: Sides,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Sides {
    /// Worse
    One,
    /// Worse or better
    Two,
}

/// What should be detected; the allocation ratio is 1.
enum Plan {
    Latency(TwoSamplePower),
    Failures(ProportionPower),
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    effect_size: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stable_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary_rate: Option<f64>,
    equal_groups: SampleSizes,
    split: SampleSizes,
    traffic_percent: f64,
    requests: u64,
}

/// Prints the sample sizes for equal groups and for the real split.
///
/// # Errors
/// When a number is out of its range.
pub fn run(args: &PowerArgs) -> anyhow::Result<ExitCode> {
    let weight = args.weight()?;
    let (plan, question) = args.plan()?;
    let equal = plan.sizes(1.0)?;
    let split = plan.sizes((1.0 - weight.share()) / weight.share())?;
    let requests = requests(&split, weight);
    if args.json {
        let (effect_size, rates) = match plan {
            Plan::Latency(plan) => (Some(plan.effect_size), None),
            Plan::Failures(plan) => (None, Some((plan.stable_rate, plan.canary_rate))),
        };
        show::json(&Answer {
            effect_size,
            stable_rate: rates.map(|(stable, _)| stable),
            canary_rate: rates.map(|(_, canary)| canary),
            equal_groups: equal,
            split,
            traffic_percent: weight.percent(),
            requests,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let unit = match plan {
        Plan::Latency(_) => "samples",
        Plan::Failures(_) => "requests",
    };
    let [power, alpha] = [args.power, args.alpha].map(exact);
    let question = format!("{question} with probability {power} at level {alpha}:");
    outln!("{}", show::wrapped(&question, ""));
    let groups = format!(
        "{} {unit} each (power {:.1} %)",
        show::styled(show::STRONG, equal.canary_ceil),
        equal.achieved_power * 100.0,
    );
    outln!("{}", show::hanging("  equal groups   ", &groups));
    let groups = format!(
        "{} canary + {} stable {unit} (power {:.1} %), about {requests} requests in total",
        show::styled(show::STRONG, split.canary_ceil),
        show::styled(show::STRONG, split.stable_ceil),
        split.achieved_power * 100.0,
    );
    outln!("{}", show::hanging(&format!("  {:<14} ", format!("{weight} canary")), &groups));
    let needed = HealthPolicy::default().min_samples;
    if matches!(plan, Plan::Latency(_)) && split.canary_ceil.min(split.stable_ceil) < needed {
        outln!("  The health check needs {needed} samples of each track in any case.");
    }
    Ok(ExitCode::SUCCESS)
}

impl PowerArgs {
    /// The plan, and the question that it answers.
    fn plan(&self) -> anyhow::Result<(Plan, String)> {
        match &self.error_rate {
            Some(stable) => self.of_failures(stable),
            None => self.of_latency(),
        }
    }

    fn of_latency(&self) -> anyhow::Result<(Plan, String)> {
        let PowerArgs { alpha, power, std_ms, .. } = *self;
        if !(std_ms > 0.0 && std_ms.is_finite()) {
            bail!("--std-ms: {} is out of range; use a number above 0", exact(std_ms));
        }
        let (distance, question) = match &self.margin {
            None => {
                let slowdown = self.difference_ms.unwrap_or(10.0);
                (slowdown, format!("To detect a slowdown of {} ms", exact(slowdown)))
            }
            Some(text) => {
                let margin: f64 = text.trim().parse().map_err(|_| {
                    anyhow!(
                        "--margin: {text:?} is not a number of milliseconds; use one, for example 5"
                    )
                })?;
                let slowdown = self.difference_ms.unwrap_or(0.0);
                let [shown, real] = [margin, slowdown].map(exact);
                if slowdown >= margin {
                    let flag = self.difference_ms.map_or("", |_| ", or leave out --difference-ms");
                    bail!(
                        "--margin: {shown} is out of range; use more than the real slowdown of {real} ms{flag}"
                    );
                }
                let question = format!(
                    "To show that the canary is slower by less than {shown} ms, if it is {real} ms slower"
                );
                (margin - slowdown, question)
            }
        };
        let effect_size = distance / std_ms;
        let (allocation_ratio, alternative) = (1.0, self.alternative());
        let plan = TwoSamplePower { effect_size, alpha, power, allocation_ratio, alternative };
        let question = format!(
            "{question} (standard deviation {} ms, effect size {effect_size:.3})",
            exact(std_ms)
        );
        Ok((Plan::Latency(plan), question))
    }

    fn of_failures(&self, stable: &str) -> anyhow::Result<(Plan, String)> {
        let stable_rate = percentage("error-rate", stable, 100.0)?;
        let margin = self.margin.as_ref().map(|text| percentage("margin", text, 100.0));
        let margin = margin.transpose()?;
        let canary_rate = match (&self.canary_error_rate, margin) {
            (Some(canary), _) => percentage("canary-error-rate", canary, 100.0)?,
            (None, Some(_)) => stable_rate,
            (None, None) => {
                bail!("--canary-error-rate is missing; use the rate to detect, for example 2%")
            }
        };
        let [shown_canary, shown_stable] = [canary_rate, stable_rate].map(percent);
        let question = match margin.map(percent) {
            None => {
                format!("To detect a failure rate of {shown_canary} % instead of {shown_stable} %")
            }
            Some(margin) => format!(
                "To show that the canary's failure rate exceeds stable's by less than {margin} percentage points, if \
                 they are {shown_canary} % and {shown_stable} %"
            ),
        };
        let plan = ProportionPower {
            canary_rate,
            stable_rate,
            margin: margin.unwrap_or(0.0),
            alpha: self.alpha,
            power: self.power,
            allocation_ratio: 1.0,
            alternative: self.alternative(),
        };
        Ok((Plan::Failures(plan), question))
    }

    fn alternative(&self) -> Alternative {
        match (&self.margin, self.sides) {
            (Some(_), _) => Alternative::Less,
            (None, Sides::One) => Alternative::Greater,
            (None, Sides::Two) => Alternative::TwoSided,
        }
    }

    /// The canary's share, if it leaves requests for both tracks.
    fn weight(&self) -> anyhow::Result<Weight> {
        let weight = Weight::from_percent(self.traffic).context("--traffic")?;
        if weight.share() <= 0.0 || weight.share() >= 1.0 {
            bail!(
                "--traffic: {} leaves a track empty; use more than 0 and less than 100",
                exact(self.traffic)
            );
        }
        Ok(weight)
    }
}

impl Plan {
    /// The samples with this many of stable's for each of the canary's.
    fn sizes(&self, allocation_ratio: f64) -> anyhow::Result<SampleSizes> {
        match *self {
            Plan::Latency(plan) if allocation_ratio == 1.0 => Ok(plan.required_samples()?),
            Plan::Latency(plan) => whole_sizes(&TwoSamplePower { allocation_ratio, ..plan }),
            Plan::Failures(plan) => {
                Ok(ProportionPower { allocation_ratio, ..plan }.required_samples()?)
            }
        }
    }
}

/// The sizes in whole samples. The canary's number is rounded up; stable's is rounded down if the power
/// is still enough.
fn whole_sizes(plan: &TwoSamplePower) -> anyhow::Result<SampleSizes> {
    let sizes = plan.required_samples()?;
    let fewer = sizes.stable.floor().max(2.0);
    let canary = sizes.canary_ceil as f64;
    let power = power_at(canary, fewer, plan.effect_size, plan.alpha, plan.alternative)?;
    if power < plan.power {
        return Ok(sizes);
    }
    Ok(SampleSizes { stable_ceil: fewer as u64, achieved_power: power, ..sizes })
}

/// Requests until both tracks have their samples.
fn requests(sizes: &SampleSizes, weight: Weight) -> u64 {
    let canary = sizes.canary_ceil as f64 / weight.share();
    let stable = sizes.stable_ceil as f64 / (1.0 - weight.share());
    (canary.max(stable) - 1e-9).ceil() as u64
}
