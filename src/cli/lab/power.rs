//! `serin power`: how many requests does a comparison take?

mod rows;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use clap::Args;
use clap::ValueEnum;
use serde::Serialize;

use self::rows::Latencies;
use self::rows::Row;
use self::rows::Traffic;
use crate::canary::Policy;
use crate::canary::Weight;
use crate::cli::numbers::in_range;
use crate::cli::numbers::percentage;
use crate::cli::settings::flags::Flags;
use crate::cli::settings::layers::Layers;
use crate::cli::show;
use crate::cli::show::outln;
use crate::simulation::shape::Shape;
use crate::simulation::shape::lognormal_sigma;
use crate::stats::Alternative;
use crate::stats::Margin;
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
    /// Slowdown to detect, as a share of every latency, for example 10%
    #[arg(long, value_name = "PERCENT%", conflicts_with = "difference_ms")]
    slower: Option<String>,
    /// Mean latency, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50.0)]
    latency_ms: f64,
    /// Standard deviation of latency, in milliseconds [default: 15]
    #[arg(long, value_name = "MS")]
    std_ms: Option<f64>,
    /// Distribution of latencies
    #[arg(long, value_name = "SHAPE", default_value = "normal")]
    latency: LatencyKind,
    /// Show non-inferiority instead: the canary is worse by less than this, in milliseconds, or in
    /// percentage points of failures, for example 0.5%. The test is one-sided; --difference-ms or
    /// --canary-error-rate is then how much worse the canary really is
    #[arg(long, value_name = "MS|PERCENT%", conflicts_with = "sides")]
    margin: Option<String>,
    /// Compare failures: stable's failure rate, for example 1%. With --difference-ms or --slower, latency is compared
    /// as well
    #[arg(long, value_name = "PERCENT%")]
    error_rate: Option<String>,
    /// The canary's failure rate to detect, for example 2% [default with --margin: stable's]
    #[arg(long, value_name = "PERCENT%", requires = "error_rate")]
    canary_error_rate: Option<String>,
    /// Probability of detecting it
    #[arg(long, value_name = "P", default_value_t = 0.8)]
    power: f64,
    /// Significance level [default: that of the settings, 0.05]
    #[arg(long, value_name = "P")]
    alpha: Option<f64>,
    /// The canary's share of traffic, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    traffic: f64,
    /// Requests per second of both tracks together
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    requests_per_second: f64,
    /// One-sided (only a worse canary counts) or two-sided z or t test
    #[arg(long, value_name = "SIDES", default_value = "two")]
    sides: Sides,
    /// Settings file with the policy of the judge [default: serin.toml, if it exists]
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum LatencyKind {
    /// Normal, but at least a fiftieth of the mean
    Normal,
    /// Lognormal
    Lognormal,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    equal_groups: Option<SampleSizes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<SampleSizes>,
    traffic_percent: f64,
    requests_per_second: f64,
    requests: Option<u64>,
    tests: Vec<Row>,
}

/// Prints for each test how many requests it takes.
///
/// # Errors
/// When a number is out of its range.
pub fn run(args: &PowerArgs) -> anyhow::Result<ExitCode> {
    let weight = args.weight()?;
    let policy = args.policy()?;
    let alpha = policy.judge.alpha;
    let (plans, questions) = args.plans(alpha)?;
    let share = weight.share();
    let traffic = Traffic { share, per_second: args.requests_per_second, power: args.power, alpha };
    let mut rows = Vec::new();
    let mut answer = Answer {
        effect_size: None,
        stable_rate: None,
        canary_rate: None,
        equal_groups: None,
        split: None,
        traffic_percent: weight.percent(),
        requests_per_second: args.requests_per_second,
        requests: None,
        tests: Vec::new(),
    };
    let mut detections = Vec::new();
    for plan in &plans {
        let equal = plan.sizes(1.0)?;
        let split = plan.sizes((1.0 - share) / share)?;
        let name = plan.test();
        rows.push(traffic.of_sizes(&format!("{name}, equal groups"), alpha, &equal, 0.5));
        rows.push(traffic.of_sizes(name, alpha, &split, share));
        let (of_tests, detection) = match plan {
            Plan::Latency(plan) => {
                answer.effect_size = Some(plan.effect_size);
                rows::of_latency(&traffic, &policy, &args.latencies()?)?
            }
            Plan::Failures(plan) => {
                (answer.stable_rate, answer.canary_rate) =
                    (Some(plan.stable_rate), Some(plan.canary_rate));
                rows::of_failures(&traffic, &policy, plan, args.margin.is_some())
            }
        };
        rows.extend(of_tests);
        detections.push(detection);
        if plans.len() == 1 {
            answer.requests = Some(requests(&split, weight));
            (answer.equal_groups, answer.split) = (Some(equal), Some(split));
        }
    }
    rows.extend(rows::of_several(&traffic, &detections));
    if args.json {
        show::json(&Answer { tests: rows, ..answer })?;
        return Ok(ExitCode::SUCCESS);
    }
    let question = format!(
        "{} with probability {}, {weight} of {} requests/s on the canary:",
        questions.join("; "),
        exact(args.power),
        exact(args.requests_per_second),
    );
    outln!("{}\n", show::wrapped(&question, ""));
    let header = ["  test", "level", "canary", "stable", "power", "duration"];
    for line in show::aligned(header, rows.iter().map(Row::cells)) {
        outln!("{line}");
    }
    let needed = policy.health.min_samples;
    outln!("\n{}", show::wrapped(&rows::notes(needed), ""));
    Ok(ExitCode::SUCCESS)
}

impl PowerArgs {
    /// The plans, and the questions that they answer.
    fn plans(&self, alpha: f64) -> anyhow::Result<(Vec<Plan>, Vec<String>)> {
        let has_latency = self.difference_ms.is_some() || self.slower.is_some();
        let mut plans = Vec::new();
        match &self.error_rate {
            None => plans.push(self.of_latency(alpha)?),
            Some(_) if has_latency && self.margin.is_some() => bail!(
                "--margin: one margin does not fit latency and failures; leave out --error-rate or the slowdown"
            ),
            Some(_) if !has_latency && self.std_ms.is_some() => bail!(
                "--std-ms is of latencies, and --error-rate compares failures; leave it out, or add --difference-ms"
            ),
            Some(stable) => {
                if has_latency {
                    plans.push(self.of_latency(alpha)?);
                }
                plans.push(self.of_failures(stable, alpha)?);
            }
        }
        Ok(plans.into_iter().unzip())
    }

    /// The settings' policy, with the alpha of the command line.
    fn policy(&self) -> anyhow::Result<Policy> {
        let layers = Layers::new(Flags::default(), self.config.as_deref())?;
        let mut policy = layers.settings()?.policy()?;
        if let Some(alpha) = self.alpha {
            policy.judge.alpha = alpha;
            policy.health.alpha = alpha;
        }
        Ok(policy)
    }

    fn slowdown(&self) -> anyhow::Result<Option<f64>> {
        let Some(text) = &self.slower else { return Ok(self.difference_ms) };
        Ok(Some(percentage("slower", text, 10_000.0)? * self.latency_ms))
    }

    /// The latencies of both versions, in seconds.
    fn latencies(&self) -> anyhow::Result<Latencies> {
        let mean_ms = in_range("latency-ms", self.latency_ms, 0.001, 60_000.0)?;
        let (mean, std_ms) = (mean_ms / 1e3, self.std_ms.unwrap_or(15.0));
        let shape = match self.latency {
            LatencyKind::Normal => Shape::normal(mean, std_ms / 1e3),
            LatencyKind::Lognormal => Shape::lognormal(mean, lognormal_sigma(std_ms / mean_ms)),
        };
        let canary = match &self.slower {
            Some(text) => shape.times(1.0 + percentage("slower", text, 10_000.0)?),
            None => {
                let default = if self.margin.is_some() { 0.0 } else { 10.0 };
                shape.plus(self.difference_ms.unwrap_or(default) / 1e3)
            }
        };
        let margin_ms = self.margin.as_ref().and_then(|text| text.trim().parse::<f64>().ok());
        Ok(Latencies::new(&shape, &canary, margin_ms.map(|ms| Margin::absolute(ms / 1e3))))
    }

    fn of_latency(&self, alpha: f64) -> anyhow::Result<(Plan, String)> {
        let power = self.power;
        let std_ms = self.std_ms.unwrap_or(15.0);
        let difference_ms = self.slowdown()?;
        if !(std_ms > 0.0 && std_ms.is_finite()) {
            bail!("--std-ms: {} is out of range; use a number above 0", exact(std_ms));
        }
        let (distance, question) = match &self.margin {
            None => {
                let slowdown = difference_ms.unwrap_or(10.0);
                (slowdown, format!("To detect a slowdown of {} ms", exact(slowdown)))
            }
            Some(text) => {
                let margin: f64 = text.trim().parse().map_err(|_| {
                    anyhow!(
                        "--margin: {text:?} is not a number of milliseconds; use one, for example 5"
                    )
                })?;
                let slowdown = difference_ms.unwrap_or(0.0);
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
            "{question} (mean {} ms, standard deviation {} ms, effect size {effect_size:.3})",
            exact(self.latency_ms),
            exact(std_ms)
        );
        Ok((Plan::Latency(plan), question))
    }

    fn of_failures(&self, stable: &str, alpha: f64) -> anyhow::Result<(Plan, String)> {
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
            alpha,
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
    fn test(&self) -> &'static str {
        match self {
            Plan::Latency(_) => "t test",
            Plan::Failures(_) => "z test",
        }
    }

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
