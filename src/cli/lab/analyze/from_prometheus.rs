//! Values of both tracks from a Prometheus, for `serin analyze --prometheus`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::canary::Track;
use crate::canary::policy::metric::query::Query;
use crate::canary::policy::metric::query::TrackNames;
use crate::service::clock::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::reported::prometheus::client::Client;
use crate::service::reported::prometheus::client::Moments;
use crate::service::reported::prometheus::server::GivenServer;
use crate::service::reported::prometheus::server::Server;
use crate::text::durations::exactly;
use crate::text::durations::words;
use crate::text::fields::FieldError;
use crate::text::ranges::HOUR;
use crate::text::ranges::MONTH;
use crate::text::ranges::SECOND;
use crate::text::ranges::duration_within;

/// The flags of a comparison of a query over time.
#[derive(Args, Debug)]
pub struct PrometheusArgs {
    /// Compare the values of a query over time instead of two files: the address of a Prometheus
    #[arg(long, value_name = "URL", requires = "query", conflicts_with_all =
          ["baseline", "canary", "column", "metrics"])]
    prometheus: Option<String>,
    /// With --prometheus: the query in PromQL, with $track where the label value of the track belongs
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    query: Option<String>,
    /// With --prometheus: the label value of the baseline [default: stable]
    #[arg(long = "baseline", id = "baseline_label", value_name = "LABEL", requires = "prometheus")]
    baseline_label: Option<String>,
    /// With --prometheus: the label value of the canary [default: canary]
    #[arg(long = "canary", id = "canary_label", value_name = "LABEL", requires = "prometheus")]
    canary_label: Option<String>,
    /// With --prometheus: how much time to compare, up to --to [default: 1h]
    #[arg(
        long = "for",
        id = "window",
        value_name = "DURATION",
        requires = "prometheus",
        conflicts_with = "from"
    )]
    window: Option<String>,
    /// With --prometheus: the begin, for example 2026-11-27T12:00:00Z
    #[arg(long, value_name = "TIME", requires = "prometheus")]
    from: Option<Timestamp>,
    /// With --prometheus: the end [default: now]
    #[arg(long, value_name = "TIME", requires = "prometheus")]
    to: Option<Timestamp>,
    /// With --prometheus: the time between two values, at least the range of the query [default: that range, or 15s]
    #[arg(long, value_name = "DURATION", requires = "prometheus")]
    step: Option<String>,
    /// With --prometheus: the environment variable with a bearer token
    #[arg(long, value_name = "VARIABLE", requires = "prometheus")]
    token_env: Option<String>,
}

/// The values of both tracks at the moments at which both have one.
pub(super) struct Found {
    pub(super) baseline: Vec<f64>,
    pub(super) canary: Vec<f64>,
    pub(super) asked: Asked,
}

/// What was asked.
#[derive(Serialize)]
pub(super) struct Asked {
    from: Timestamp,
    to: Timestamp,
    step_seconds: f64,
    /// The moments in this time.
    moments: u64,
    /// Those at which a track has no value.
    left_out: u64,
}

impl Asked {
    /// The same in a sentence.
    pub(super) fn sentence(&self) -> String {
        let Asked { from, to, step_seconds, moments, left_out } = self;
        let step = words(Duration::from_secs_f64(*step_seconds));
        let left_out = match left_out {
            0 => String::new(),
            1 => "; 1 is left out, because a track has no value there".to_owned(),
            many => format!("; {many} are left out, because a track has no value there"),
        };
        format!("{moments} moments, one each {step}, from {from:.0} to {to:.0}{left_out}")
    }
}

/// The longest time and the most moments: Prometheus' own limit is 11,000.
const MAX_MOMENTS: u64 = 10_000;

impl PrometheusArgs {
    /// The values from Prometheus; `None` if files are compared.
    ///
    /// # Errors
    /// When a flag is out of range, or Prometheus has no values.
    pub(super) fn found(&self) -> anyhow::Result<Option<Found>> {
        let (Some(url), Some(query)) = (&self.prometheus, &self.query) else { return Ok(None) };
        let given = GivenServer { url: url.clone(), token_env: self.token_env.clone() };
        let server = Server::new(&given, |name| std::env::var(name).ok()).map_err(flag)?;
        let names = TrackNames::default();
        let names = TrackNames {
            stable: self.baseline_label.clone().unwrap_or(names.stable),
            canary: self.canary_label.clone().unwrap_or(names.canary),
        };
        let step = self.step.as_deref().map(|text| duration("--step", text, HOUR)).transpose()?;
        let query = Query::new(query, step, names).map_err(flag)?;
        let (from, to) = self.range()?;
        let step = query.interval;
        let window = Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO);
        let moments = u64::try_from(window.as_millis() / step.as_millis()).unwrap_or(u64::MAX);
        if moments == 0 {
            bail!(
                "no value fits between {from:.0} and {to:.0} with one each {}; use a longer time (--for), or a shorter \
                 --step",
                exactly(step)
            );
        }
        if moments > MAX_MOMENTS {
            let least = Duration::from_secs(window.as_secs().div_ceil(MAX_MOMENTS).max(1));
            bail!(
                "--step: {moments} values of one each {} are more than {MAX_MOMENTS}; use {} or more, or a shorter time",
                exactly(step),
                exactly(least)
            );
        }
        // The range of the first value begins with the time.
        let first = from.saturating_add(step).unwrap_or(to);
        let client = Client::new(server);
        let values = |track: Track, name: &str| {
            client
                .values_over(&query.of(track), Moments { from: first, to, step })
                .with_context(|| format!("{}: {name}", client.origin()))
        };
        let baseline = values(Track::Stable, &query.tracks.stable)?;
        let canary = values(Track::Canary, &query.tracks.canary)?;
        let canary: HashMap<u64, f64> = canary
            .into_iter()
            .filter(|(_, value)| value.is_finite())
            .map(|(at, value)| (at.to_bits(), value))
            .collect();
        let both = baseline.into_iter().filter(|(_, value)| value.is_finite());
        let both = both.filter_map(|(at, stable)| Some((stable, *canary.get(&at.to_bits())?)));
        let (baseline, canary): (Vec<f64>, Vec<f64>) = both.unzip();
        let left_out = moments.saturating_sub(baseline.len() as u64);
        let asked = Asked { from, to, step_seconds: step.as_secs_f64(), moments, left_out };
        Ok(Some(Found { baseline, canary, asked }))
    }

    fn range(&self) -> anyhow::Result<(Timestamp, Timestamp)> {
        let to = self.to.unwrap_or_else(|| SystemClock::default().wall());
        let from = match self.from {
            Some(from) => from,
            None => {
                let window = duration("--for", self.window.as_deref().unwrap_or("1h"), MONTH)?;
                to.saturating_sub(window)?
            }
        };
        if from >= to {
            bail!("--from: {from} is not before {to}; use an earlier begin, or a later --to");
        }
        Ok((from, to))
    }
}

fn duration(flag: &str, text: &str, max: u64) -> anyhow::Result<Duration> {
    duration_within(text, SECOND, max).map_err(|message| anyhow!("{flag}: {message}"))
}

/// The error with the flag instead of the field.
fn flag(error: FieldError) -> anyhow::Error {
    let flag = match error.path.as_str() {
        "url" => "--prometheus",
        "token_env" => "--token-env",
        "interval" => "--step",
        "tracks.stable" => "--baseline",
        "tracks.canary" => "--canary",
        _ => "--query",
    };
    anyhow!("{flag}: {}", error.message)
}
