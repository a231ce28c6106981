//! `serin power`: how many samples does a comparison take?

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use serde_json::Value;
use serde_json::json;

use crate::canary::HealthPolicy;
use crate::canary::Weight;
use crate::cli::numbers::percentage;
use crate::cli::show;
use crate::stats::Alternative;
use crate::stats::ProportionPower;
use crate::stats::SampleSizes;
use crate::stats::TwoSamplePower;
use crate::stats::power_at;
use crate::text::numbers::percent;

/// The flags of `serin power`.
#[derive(Args, Debug)]
pub struct PowerArgs {
    /// Slowdown to be noticed, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10.0)]
    difference_ms: f64,
    /// Standard deviation of latency, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 15.0)]
    std_ms: f64,
    /// In place of a slowdown: share of stable's requests that fail, like 1%
    #[arg(long, value_name = "PERCENT%", requires = "canary_error_rate",
          conflicts_with_all = ["difference_ms", "std_ms"])]
    error_rate: Option<String>,
    /// Share of the canary's requests that fail, which is to be noticed, like 2%
    #[arg(long, value_name = "PERCENT%", requires = "error_rate")]
    canary_error_rate: Option<String>,
    /// Probability of noticing it
    #[arg(long, value_name = "P", default_value_t = 0.8)]
    power: f64,
    /// Significance level
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    alpha: f64,
    /// The canary's share of traffic, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    traffic: f64,
    /// Whether only a worse canary counts, or a better one too
    #[arg(long, value_name = "SIDES", default_value = "two")]
    sides: Sides,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Sides {
    /// Worse only
    One,
    /// Worse or better
    Two,
}

/// Prints the sample sizes for equal groups and for the real split.
///
/// # Errors
/// When a number is out of its range.
pub fn run(args: &PowerArgs) -> anyhow::Result<ExitCode> {
    if let (Some(stable), Some(canary)) = (&args.error_rate, &args.canary_error_rate) {
        return of_rates(args, stable, canary);
    }
    if !(args.std_ms > 0.0 && args.std_ms.is_finite()) {
        anyhow::bail!("--std-ms: {} is out of range; use a number above 0", args.std_ms);
    }
    let weight = args.weight()?;
    let asked = TwoSamplePower {
        effect_size: args.difference_ms / args.std_ms,
        alpha: args.alpha,
        power: args.power,
        allocation_ratio: 1.0,
        alternative: args.sides.alternative(),
    };
    let equal = asked.required_samples()?;
    let allocation_ratio = (1.0 - weight.share()) / weight.share();
    let split = whole_split(&TwoSamplePower { allocation_ratio, ..asked })?;
    if args.json {
        let answer = json!({
            "effect_size": asked.effect_size, "equal_groups": sizes(&equal), "split": sizes(&split),
            "traffic_percent": weight.percent(), "requests": requests(&split, weight),
        });
        show::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!(
        "To notice a slowdown of {} ms (standard deviation {} ms, effect size {:.3}) with \
         probability {} at level {}:",
        args.difference_ms,
        args.std_ms,
        asked.effect_size,
        args.power,
        args.alpha,
    );
    let fewer = (equal.canary_ceil - 1).max(2);
    anstream::println!(
        "  equal groups   {} samples each: the formula gives {:.2}, and {} would have {:.1} % power, \
         {} have {:.1} %",
        show::styled(show::STRONG, equal.canary_ceil),
        equal.canary,
        fewer,
        power_at(fewer as f64, fewer as f64, asked.effect_size, asked.alpha, asked.alternative)?
            * 100.0,
        equal.canary_ceil,
        equal.achieved_power * 100.0,
    );
    tell_split(&split, weight, "samples", "requests");
    let needed = HealthPolicy::default().min_samples;
    if split.canary_ceil.min(split.stable_ceil) < needed {
        anstream::println!(
            "  The health check asks for {needed} samples of each track all the same."
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The same for failures.
fn of_rates(args: &PowerArgs, stable: &str, canary: &str) -> anyhow::Result<ExitCode> {
    let weight = args.weight()?;
    let asked = ProportionPower {
        canary_rate: percentage("canary-error-rate", canary, 100.0)?,
        stable_rate: percentage("error-rate", stable, 100.0)?,
        alpha: args.alpha,
        power: args.power,
        allocation_ratio: 1.0,
        alternative: args.sides.alternative(),
    };
    let equal = asked.required_samples()?;
    let allocation_ratio = (1.0 - weight.share()) / weight.share();
    let split = ProportionPower { allocation_ratio, ..asked }.required_samples()?;
    if args.json {
        let answer = json!({
            "stable_rate": asked.stable_rate, "canary_rate": asked.canary_rate,
            "equal_groups": sizes(&equal), "split": sizes(&split),
            "traffic_percent": weight.percent(), "requests": requests(&split, weight),
        });
        show::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!(
        "To notice that {} % fail in place of {} %, with probability {} at level {}:",
        percent(asked.canary_rate),
        percent(asked.stable_rate),
        args.power,
        args.alpha,
    );
    anstream::println!(
        "  equal groups   {} requests each (power {:.1} %)",
        show::styled(show::STRONG, equal.canary_ceil),
        equal.achieved_power * 100.0,
    );
    tell_split(&split, weight, "requests", "in all");
    Ok(ExitCode::SUCCESS)
}

fn tell_split(split: &SampleSizes, weight: Weight, unit: &str, of_all: &str) {
    anstream::println!(
        "  {:<14} {} canary + {} stable {unit} (power {:.1} %), about {} {of_all}",
        format!("{weight} canary"),
        show::styled(show::STRONG, split.canary_ceil),
        show::styled(show::STRONG, split.stable_ceil),
        split.achieved_power * 100.0,
        requests(split, weight),
    );
}

impl PowerArgs {
    /// The canary's share, if it leaves both tracks something.
    fn weight(&self) -> anyhow::Result<Weight> {
        let weight = Weight::from_percent(self.traffic).context("--traffic")?;
        if weight.share() <= 0.0 || weight.share() >= 1.0 {
            anyhow::bail!(
                "--traffic: {} leaves a track empty; use more than 0 and less than 100",
                self.traffic
            );
        }
        Ok(weight)
    }
}

impl Sides {
    fn alternative(self) -> Alternative {
        match self {
            Sides::One => Alternative::Greater,
            Sides::Two => Alternative::TwoSided,
        }
    }
}

fn sizes(sizes: &SampleSizes) -> Value {
    json!({
        "canary": sizes.canary_ceil, "stable": sizes.stable_ceil, "power": sizes.achieved_power,
        "canary_exact": sizes.canary, "stable_exact": sizes.stable,
    })
}

/// The sizes for the split. A canary sample cannot be split, so its number is rounded up; stable's is
/// rounded down if what that adds to the power is enough.
fn whole_split(asked: &TwoSamplePower) -> anyhow::Result<SampleSizes> {
    let sizes = asked.required_samples()?;
    let fewer = sizes.stable.floor().max(2.0);
    let power = power_at(
        sizes.canary_ceil as f64,
        fewer,
        asked.effect_size,
        asked.alpha,
        asked.alternative,
    )?;
    if power < asked.power {
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
