//! `serin set-traffic`, `inject` and `toggle-slowdown`: the canary's share of the traffic, and faults on purpose.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::client::ServerArgs;
use super::page::Page;
use super::status;
use crate::cli::numbers;
use crate::cli::numbers::finite;
use crate::cli::show;
use crate::service::status::Status;

/// The flags of `serin set-traffic`.
#[derive(Args, Debug)]
pub struct SetTrafficArgs {
    /// Percentage of the traffic that the canary answers, 0 to 100
    #[arg(value_name = "PERCENT", value_parser = finite)]
    percent: f64,
    /// Percentage of stable's requests that the canary answers in shadow
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = finite)]
    shadow: f64,
    #[command(flatten)]
    server: ServerArgs,
}

/// The flags of `serin inject`.
#[derive(Args, Debug)]
pub struct InjectArgs {
    /// Delay of each answer of the canary, for example 5ms
    #[arg(long, value_name = "DURATION")]
    delay: Option<String>,
    /// Share of the canary's requests that fail, for example 20%
    #[arg(long, value_name = "PERCENT")]
    error_rate: Option<String>,
    /// Added to each probability of the canary, for example 0.1
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, value_parser = finite)]
    score_shift: Option<f64>,
    /// Only in this segment; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    segment: Vec<String>,
    /// End the injected faults
    #[arg(long, conflicts_with_all = ["delay", "error_rate", "score_shift", "segment"])]
    off: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// The flags of `serin toggle-slowdown`.
#[derive(Args, Debug)]
pub struct ToggleSlowdownArgs {
    /// Turn the slowdown on or off; without it, it flips
    #[arg(value_enum)]
    state: Option<OnOff>,
    /// Delay of each answer of the canary, for example 25ms
    #[arg(long, value_name = "DURATION")]
    delay: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

/// The answer of `/admin/toggle-slowdown`.
#[derive(Deserialize)]
struct Slowdown {
    simulate_slowdown: bool,
    delay_ms: u32,
}

/// Sets the canary's share, which begins a new step.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn set_traffic(args: &SetTrafficArgs) -> anyhow::Result<ExitCode> {
    let body = json!({ "percent": args.percent, "shadow_percent": args.shadow });
    status::print_effect(args.server.client().post("/admin/set-traffic", &body)?, &args.server)
}

/// Injects faults into the canary, or ends them.
///
/// # Errors
/// Names the flag that is not valid. When the server cannot be reached, or refuses: it needs `--allow-injection`.
pub fn inject(args: &InjectArgs) -> anyhow::Result<ExitCode> {
    let mut body = Map::new();
    if args.off {
        body.insert("off".to_owned(), Value::Bool(true));
    }
    if let Some(delay) = &args.delay {
        body.insert("delay_ms".to_owned(), milliseconds(delay)?.into());
    }
    if let Some(rate) = &args.error_rate {
        body.insert(
            "error_rate".to_owned(),
            numbers::percentage("error-rate", rate, 100.0)?.into(),
        );
    }
    if let Some(shift) = args.score_shift {
        body.insert("score_shift".to_owned(), shift.into());
    }
    let mut segment = Map::new();
    for one in &args.segment {
        let (key, value) = one.split_once('=').with_context(|| {
            format!("--segment: {one:?} is not KEY=VALUE; use for example region=north")
        })?;
        segment.insert(key.to_owned(), value.into());
    }
    if body.is_empty() {
        bail!(
            "nothing to inject; give --delay, --error-rate or --score-shift, or --off to end the faults"
        );
    }
    if !segment.is_empty() {
        body.insert("segment".to_owned(), segment.into());
    }
    let reply = args.server.client().post("/admin/inject", &body.into())?;
    status::print_effect(reply, &args.server)
}

/// Turns the injected slowdown on or off.
///
/// # Errors
/// Names the flag that is not valid. When the server cannot be reached, or refuses.
pub fn toggle_slowdown(args: &ToggleSlowdownArgs) -> anyhow::Result<ExitCode> {
    let delay = args.delay.as_deref().map(milliseconds).transpose()?;
    let body = json!({ "enabled": args.state.map(|state| state == OnOff::On), "delay_ms": delay });
    let client = args.server.client();
    let reply = client.post("/admin/toggle-slowdown", &body)?;
    if args.server.json && reply.ok {
        show::json(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Slowdown { simulate_slowdown, delay_ms } = reply.done()?;
    let status: Status = client.get("/admin/status")?.done()?;
    let mut page = Page::new(show::width());
    page.paragraph(&match (simulate_slowdown, &status.canary) {
        (true, Some(_)) => {
            format!("The slowdown is on: each answer of the canary takes {delay_ms} ms longer.")
        }
        (true, None) => format!(
            "The slowdown is on. There is no canary; each answer of the next one takes {delay_ms} ms longer."
        ),
        (false, _) => "The slowdown is off.".to_owned(),
    });
    page.print();
    Ok(ExitCode::SUCCESS)
}

/// A delay in whole milliseconds.
fn milliseconds(text: &str) -> anyhow::Result<u64> {
    let delay = numbers::duration("delay", text)?;
    let whole = u64::try_from(delay.as_millis()).ok();
    whole.filter(|whole| Duration::from_millis(*whole) == delay).with_context(|| {
        format!("--delay: {text:?} is not a whole number of milliseconds; use for example 5ms")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_a_whole_number_of_milliseconds() {
        assert_eq!(milliseconds("25ms").unwrap(), 25);
        assert_eq!(milliseconds("2s").unwrap(), 2000);
        for wrong in ["1.5ms", "100us", "5", "soon"] {
            let message = milliseconds(wrong).unwrap_err().to_string();
            assert!(message.starts_with("--delay: "), "{message}");
        }
    }
}
