//! `serin simulate`: false-alarm rate and detection time for this policy and traffic.

mod aa_live;
mod picture;
mod regression;
mod report;
mod traffic;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use anyhow::bail;
use clap::Args;
use clap::ValueEnum;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;

use self::aa_live::AaLive;
use self::regression::Regression;
use self::report::Report;
use self::report::Run;
use self::traffic::Looking;
use self::traffic::Traffic;
use crate::canary::JudgePolicy;
use crate::canary::Metric;
use crate::canary::policy::metric::Role;
use crate::cli::numbers::in_range;
use crate::cli::settings::flags::JudgeFlags;
use crate::cli::settings::flags::Override;
use crate::cli::settings::layers::Layers;
use crate::cli::show;
use crate::simulation::Scenario;
use crate::simulation::strict_policy;
use crate::simulation::study::Study;
use crate::text::files::check_whole;
use crate::text::files::write_whole;

/// The flags of `serin simulate`.
#[derive(Args, Debug)]
pub struct SimulateArgs {
    #[command(flatten)]
    traffic: Traffic,
    #[command(flatten)]
    regression: Regression,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    aa: AaLive,
    /// Number of healthy canaries, and of canaries with the regression
    #[arg(long, value_name = "N", default_value_t = 500, help_heading = "Run")]
    replications: u32,
    /// Random seed; the same seed gives the same results
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Run")]
    seed: u32,
    /// Threads; the results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Write a chart of the results over time to this SVG file
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = "Run")]
    json: bool,
}

/// What the judge decides by.
#[derive(Args, Debug)]
#[command(next_help_heading = "Judge")]
struct Judging {
    #[command(flatten)]
    looking: Looking,
    /// Policy: served (the server's) or strict (any difference is harm, as in the calibration)
    #[arg(long, value_name = "POLICY", default_value = "served")]
    policy: PolicyKind,
    /// Settings file with the policy [default: serin.toml, if it exists]
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: JudgeFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum PolicyKind {
    Served,
    Strict,
}

/// Simulates healthy canaries, and as many with the regression if one is given, and prints the outcomes.
///
/// # Errors
/// When a flag is out of its range, the work is too much, or the chart cannot be written.
pub fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    if args.aa.aa_live {
        // Environment variables are those of the server and may be set for it.
        let mut flags = args.judging.flags.0.given();
        if let Some(Override { origin, .. }) = flags.find(|it| it.origin.starts_with("--")) {
            bail!(
                "{origin} has no effect with --aa-live, which uses the default policy; leave it out"
            );
        }
        return aa_live::run(&args.aa, args.json);
    }
    in_range("replications", args.replications, 1, 100_000)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = in_range("threads", args.threads.unwrap_or(cores), 1, 1024)?;
    let policy = args.judging.policy()?;
    let healthy = args.traffic.healthy(&args.judging.looking, policy.clone())?;
    let regression = args.regression.of(&healthy)?;
    let runs = if regression.is_some() { 2 } else { 1 };
    work::affordable(&healthy, args.replications, runs)?;
    if let Some(path) = &args.svg {
        check_whole(path).map_err(|error| anyhow!("--svg: {} {error}", path.display()))?;
    }

    let style = ProgressStyle::with_template("  {msg} {bar:30.cyan} {pos}/{len} ({eta} left)")?;
    let hours = u64::from(args.replications) * runs;
    let bar = ProgressBar::new(hours).with_style(style).with_message("simulated");
    let study = Study { replications: args.replications, seed: args.seed, threads };
    let simulated = |scenario: &Scenario| study.outcomes(scenario, || bar.inc(1));
    let report = Report {
        traffic: args.traffic.describe(&healthy),
        judging: format!("{}, {}", args.judging.describe(&policy), args.judging.looking.describe()),
        alpha: policy.alpha,
        duration_seconds: healthy.seconds,
        study,
        healthy: Run::new(simulated(&healthy), None, &[]),
        with_regression: regression.map(|(scenario, words)| {
            Run::new(simulated(&scenario), Some(words), &scenario.differing())
        }),
        conclusion: String::new(),
    };
    let report = report.concluded();
    bar.finish_and_clear();

    if args.json {
        show::json(&report)?;
    } else {
        report.print();
    }
    if let Some(path) = &args.svg {
        write_whole(path, picture::svg(&report).as_bytes())
            .map_err(|error| anyhow!("--svg: {} {error}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Judging {
    fn policy(&self) -> anyhow::Result<JudgePolicy> {
        let flags = self.flags.0.clone();
        let changed = flags.given().find(|given| given.key != "alpha").cloned();
        let served = Layers::new(flags, self.config.as_deref())?.settings()?.policy()?.judge;
        match (self.policy, changed) {
            (PolicyKind::Served, _) => all_simulated(served),
            (PolicyKind::Strict, None) => Ok(strict_policy(served.alpha)),
            (PolicyKind::Strict, Some(Override { origin, value, .. })) => bail!(
                "{origin}: {value} has no effect under --policy strict, which fixes everything but alpha; \
                 leave it out, or use --policy served"
            ),
        }
    }

    fn describe(&self, policy: &JudgePolicy) -> String {
        let kind = match self.policy {
            PolicyKind::Served => "served",
            PolicyKind::Strict => "strict",
        };
        let guardrails: Vec<&str> = policy
            .metrics
            .iter()
            .filter(|metric| metric.role == Role::Guardrail && metric.source.is_of_requests())
            .map(|metric| metric.name.as_str())
            .collect();
        let guardrails = guardrails.join(", ");
        format!("{kind} policy (alpha {}, guarding {guardrails})", policy.alpha)
    }
}

/// The policy, unless it waits for recorded values or labels, which are not simulated. A metric that nothing waits for
/// stays, because it has its part of alpha.
fn all_simulated(policy: JudgePolicy) -> anyhow::Result<JudgePolicy> {
    let is_recorded =
        |metric: &&Metric| !metric.source.is_of_requests() && metric.role.acts() && metric.required;
    if let Some(metric) = policy.metrics.iter().find(is_recorded) {
        bail!(
            "metric {} is measured elsewhere and cannot be simulated, so no canary would be promoted; use a \
             --config without it, or with the role advisory",
            metric.name
        );
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::policy::health::HealthPolicy;

    #[test]
    fn the_served_policy_is_simulated_with_its_parts_of_alpha() {
        let served = JudgePolicy::default();
        let latency = served.metrics[0].clone();
        let simulated = all_simulated(served.clone()).unwrap();
        assert_eq!(simulated.harm_alpha(&latency), served.harm_alpha(&latency));
        let awaited = toml::from_str("[[metrics]]\nname = \"log_loss\"").unwrap();
        let awaited = JudgePolicy::new(&HealthPolicy::default(), &awaited).unwrap();
        let refused = all_simulated(awaited).unwrap_err().to_string();
        assert!(refused.contains("metric log_loss is measured elsewhere"), "{refused}");
    }
}
