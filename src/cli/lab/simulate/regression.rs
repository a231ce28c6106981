//! Regression of the simulated canary, from the flags of `serin simulate`.

use anyhow::bail;
use clap::Args;

use crate::cli::numbers::duration;
use crate::cli::numbers::in_range;
use crate::cli::numbers::percentage;
use crate::simulation::Scenario;
use crate::simulation::Until;
use crate::simulation::shape::SCORE_STD_DEV;
use crate::text::numbers::percent;

/// The regression of the canary.
#[derive(Args, Debug)]
#[command(next_help_heading = "Regression (by default, only healthy canaries are simulated)")]
pub struct Regression {
    /// Slow every answer down by this share of its latency, for example 10%
    #[arg(long, value_name = "PERCENT%", allow_hyphen_values = true)]
    slower: Option<String>,
    /// Slow every answer down by this many milliseconds
    #[arg(long, value_name = "MS")]
    slower_ms: Option<f64>,
    /// Double the slowest 3 % of the latencies, and with them p99; the mean stays
    #[arg(long)]
    tail: bool,
    /// Failure rate of the canary, for example 1% [default: stable's]
    #[arg(long, value_name = "PERCENT%", allow_hyphen_values = true)]
    canary_error_rate: Option<String>,
    /// Start of the regression; until then the canary is healthy [default: from the start]
    #[arg(long, value_name = "DURATION")]
    harm_after: Option<String>,
    /// Shift of the scores, in standard deviations (0.15 around a mean of 0.5)
    #[arg(long, value_name = "D")]
    score_shift: Option<f64>,
}

impl Regression {
    /// The same scenario with the regression, and the regression in words; `None` without one.
    ///
    /// # Errors
    /// Names the flag, its value, and what is allowed.
    pub fn of(&self, healthy: &Scenario) -> anyhow::Result<Option<(Scenario, String)>> {
        let mut scenario = healthy.clone();
        scenario.until = Until::Compared;
        let canary = &mut scenario.canary;
        let mut words = Vec::new();
        if let Some(text) = &self.slower {
            let part = percentage("slower", text, 10_000.0)?;
            canary.latency = canary.latency.times(1.0 + part);
            words.push(format!("slower by {} %", percent(part)));
        }
        if let Some(ms) = self.slower_ms {
            in_range("slower-ms", ms, 0.0, 60_000.0)?;
            canary.latency = canary.latency.plus(ms / 1e3);
            words.push(format!("slower by {ms} ms"));
        }
        if self.tail {
            let Some(latency) = canary.latency.with_p99_doubled() else {
                bail!(
                    "--tail cannot leave the mean of these latencies unchanged: their slowest 3 % are \
                     half of the sum or more; leave it out, or use a narrower distribution, for example \
                     --latency lognormal --latency-sigma 1.5"
                );
            };
            canary.latency = latency;
            words.push("p99 doubled".to_owned());
        }
        if let Some(text) = &self.canary_error_rate {
            canary.failure_rate = percentage("canary-error-rate", text, 100.0)?;
            words.push(format!("errors {} %", percent(canary.failure_rate)));
        }
        if let Some(shift) = self.score_shift {
            in_range("score-shift", shift, -3.0, 3.0)?;
            canary.scores = canary.scores.plus(shift * SCORE_STD_DEV);
            words.push(format!("scores shifted by {shift} sd"));
        }
        if words.is_empty() {
            if let Some(text) = &self.harm_after {
                bail!(
                    "--harm-after: {text:?} sets when a regression begins, but there is none; use \
                     one, for example --slower 10%, or leave it out"
                );
            }
            return Ok(None);
        }
        let mut words = words.join(", ");
        if let Some(text) = &self.harm_after {
            let seconds = duration("harm-after", text)?.as_secs();
            if seconds >= u64::from(scenario.seconds) {
                bail!("--harm-after: {text} is out of range; use less than the duration");
            }
            scenario.harm_after = seconds as u32;
            words.push_str(&format!(" after {seconds} s"));
        }
        if scenario.differing().is_empty() {
            bail!("the regression ({words}) changes nothing; use a larger one, or leave it out");
        }
        Ok(Some((scenario, words)))
    }
}
