//! Traffic of a simulation, from the flags of `serin simulate`.

use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use clap::Args;
use clap::ValueEnum;

use crate::canary::JudgePolicy;
use crate::canary::Weight;
use crate::cli::numbers::duration;
use crate::cli::numbers::in_range;
use crate::cli::numbers::percentage;
use crate::simulation::Behavior;
use crate::simulation::Load;
use crate::simulation::Look;
use crate::simulation::OwnNoise;
use crate::simulation::Routing;
use crate::simulation::Scenario;
use crate::simulation::Shape;
use crate::simulation::Until;
use crate::simulation::Visits;
use crate::simulation::shape::lognormal_sigma;
use crate::text::numbers::percent;

/// The traffic of both tracks.
#[derive(Args, Debug)]
#[command(next_help_heading = "Traffic")]
pub struct Traffic {
    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 100)]
    requests_per_second: u32,
    /// The canary's share of traffic, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    weight: f64,
    /// Successive shares, each for an equal part of the time, for example 10,25,50,75,90
    #[arg(long, value_name = "PERCENTS", value_delimiter = ',', conflicts_with = "weight")]
    ramp: Vec<f64>,
    /// Duration of the canary
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    duration: String,
    /// Load: steady, or restless (it drifts, oscillates, and doubles for a while)
    #[arg(long, value_name = "LOAD", default_value = "steady")]
    load: LoadKind,
    /// Sticky keys: each request belongs to one of N users, who stay on their track
    #[arg(long, value_name = "N")]
    keys: Option<usize>,
    /// Which requests of a user are judged: as the server does (all of them, with the user as the draw; users come by
    /// Zipf's law), the first one only, or every one by itself, which is invalid and raises false alarms
    #[arg(long, value_name = "VISITS", default_value = "by-key", requires = "keys")]
    visits: KeyUseKind,
    /// A client that alternates light requests (0.2 times the latency) and heavy ones (1.8 times)
    #[arg(long, conflicts_with = "keys")]
    strict_turn: bool,
    /// The judge knows which of them are heavy, as by the rows of a request, its segment, or a covariate
    #[arg(long, requires = "strict_turn")]
    covariate: bool,
    /// Failure rate of stable, for example 0.1%
    #[arg(long, value_name = "PERCENT%", default_value = "0.1%", allow_hyphen_values = true)]
    error_rate: String,
    /// Distribution of latencies
    #[arg(long, value_name = "SHAPE", default_value = "normal")]
    latency: LatencyKind,
    /// Mean latency, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50.0)]
    latency_ms: f64,
    /// Standard deviation of the latency [default: normal: 0.3 of the mean, lognormal: the mean]
    #[arg(long, value_name = "MS")]
    latency_std_ms: Option<f64>,
    /// Standard deviation of the logarithm of a lognormal latency, instead of --latency-std-ms
    #[arg(long, value_name = "SIGMA", conflicts_with = "latency_std_ms")]
    latency_sigma: Option<f64>,
}

/// When the judge evaluates, and what it knows beforehand.
#[derive(Args, Debug)]
pub struct Looking {
    /// Interval between evaluations: whole seconds, or a fraction that divides a second, for example 100ms
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    look_every: String,
    /// Number of stable's answers from before the deployment that the judge knows
    #[arg(long, value_name = "N", default_value_t = 0)]
    remembered: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum LatencyKind {
    /// Normal, but at least a fiftieth of the mean
    Normal,
    /// Lognormal; by default the standard deviation is the mean
    Lognormal,
    /// Lognormal with sigma 1.5: the standard deviation is 2.9 times the mean
    Heavy,
    /// Pareto with alpha 2.5
    Pareto,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum LoadKind {
    Steady,
    Restless,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum KeyUseKind {
    ByKey,
    First,
    Every,
}

impl Traffic {
    /// A scenario in which the canary behaves like stable.
    ///
    /// # Errors
    /// Names the flag, its value, and what is allowed.
    pub fn healthy(&self, looking: &Looking, policy: JudgePolicy) -> anyhow::Result<Scenario> {
        in_range("requests-per-second", self.requests_per_second, 1, 10_000)?;
        in_range("remembered", looking.remembered, 0, 100_000)?;
        let seconds = whole_seconds("duration", &self.duration)?;
        let stable = Behavior {
            latency: self.latency()?,
            scores: Shape::scores(),
            failure_rate: percentage("error-rate", &self.error_rate, 100.0)?,
        };
        Ok(Scenario {
            harm_after: 0,
            canary: stable.clone(),
            stable,
            own_noise: OwnNoise::None,
            routing: self.routing()?,
            load: match self.load {
                LoadKind::Steady => Load::Steady,
                LoadKind::Restless => Load::Restless,
            },
            requests_per_second: self.requests_per_second,
            seconds,
            weights: self.weights(seconds)?,
            remembered: looking.remembered,
            look: looking.look(seconds)?,
            until: Until::Over,
            policy,
        })
    }

    fn weights(&self, seconds: u32) -> anyhow::Result<Vec<Weight>> {
        let (flag, percents) = match self.ramp.as_slice() {
            [] => ("weight", std::slice::from_ref(&self.weight)),
            ramp => ("ramp", ramp),
        };
        if percents.len() > 100 || percents.len() > seconds as usize {
            bail!(
                "--ramp has {} shares for {seconds} s; use at most 100, each for a second or more",
                percents.len()
            );
        }
        let share = |percent: &f64| {
            let weight = Weight::from_percent(*percent).with_context(|| format!("--{flag}"))?;
            if weight.share() <= 0.0 || weight.share() >= 1.0 {
                bail!(
                    "--{flag}: {percent} leaves a track empty; use more than 0 and less than 100"
                );
            }
            Ok(weight)
        };
        percents.iter().map(share).collect()
    }

    fn routing(&self) -> anyhow::Result<Routing> {
        let visits = match self.visits {
            KeyUseKind::ByKey => Visits::ByKey,
            KeyUseKind::First => Visits::First,
            KeyUseKind::Every => Visits::Every,
        };
        Ok(match self.keys {
            Some(users) => Routing::Sticky { users: in_range("keys", users, 2, 100_000)?, visits },
            None if self.strict_turn => Routing::Alternating { is_grouped: self.covariate },
            None => Routing::Strata,
        })
    }

    fn latency(&self) -> anyhow::Result<Shape> {
        let mean_ms = in_range("latency-ms", self.latency_ms, 0.001, 60_000.0)?;
        let mean = mean_ms / 1e3;
        if self.latency_sigma.is_some() && self.latency != LatencyKind::Lognormal {
            bail!("--latency-sigma needs --latency lognormal; leave it out, or use that");
        }
        if matches!(self.latency, LatencyKind::Heavy | LatencyKind::Pareto)
            && let Some(std_ms) = self.latency_std_ms
        {
            bail!(
                "--latency-std-ms: {std_ms} has no effect on a fixed shape; leave it out, or use \
                 --latency normal or lognormal"
            );
        }
        // Above half the mean, a normal latency would often be negative.
        let most = if self.latency == LatencyKind::Normal { 0.5 } else { 5.0 };
        let std_ms = self
            .latency_std_ms
            .map(|std_ms| in_range("latency-std-ms", std_ms, mean_ms / 1e3, most * mean_ms))
            .transpose()?;
        let sigma = self
            .latency_sigma
            .map(|sigma| in_range("latency-sigma", sigma, 0.001, 2.0))
            .transpose()?;
        Ok(match self.latency {
            LatencyKind::Normal => Shape::normal(mean, std_ms.unwrap_or(0.3 * mean_ms) / 1e3),
            LatencyKind::Lognormal => {
                let ratio = std_ms.map_or(1.0, |std_ms| std_ms / mean_ms);
                Shape::lognormal(mean, sigma.unwrap_or_else(|| lognormal_sigma(ratio)))
            }
            LatencyKind::Heavy => Shape::lognormal(mean, 1.5),
            LatencyKind::Pareto => Shape::pareto(mean, 2.5),
        })
    }

    /// In words, for headings.
    pub fn describe(&self, scenario: &Scenario) -> String {
        let shares: Vec<String> =
            scenario.weights.iter().map(|weight| weight.percent().to_string()).collect();
        let shape = match (self.latency, self.latency_std_ms, self.latency_sigma) {
            (LatencyKind::Normal, std_ms, _) => {
                format!("normal, sd {} ms", std_ms.unwrap_or(0.3 * self.latency_ms))
            }
            (LatencyKind::Lognormal, _, Some(sigma)) => format!("lognormal, sigma {sigma}"),
            (LatencyKind::Lognormal, Some(std_ms), _) => format!("lognormal, sd {std_ms} ms"),
            (LatencyKind::Lognormal, None, None) => "lognormal, sd = mean".to_owned(),
            (LatencyKind::Heavy, ..) => "lognormal, sigma 1.5".to_owned(),
            (LatencyKind::Pareto, ..) => "Pareto, alpha 2.5".to_owned(),
        };
        let clients = match scenario.routing {
            Routing::Strata => String::new(),
            Routing::Alternating { is_grouped } => {
                let grouped = if is_grouped { ", grouped by a covariate" } else { "" };
                format!("; light and heavy requests alternating{grouped}")
            }
            Routing::Sticky { users, visits: Visits::ByKey } => {
                format!("; {users} users with sticky keys, all visits judged by key")
            }
            Routing::Sticky { users, visits: Visits::First } => {
                format!("; {users} users with sticky keys, first requests judged")
            }
            Routing::Sticky { users, visits: Visits::AtHome(replicas) } => {
                format!(
                    "; {users} users with sticky keys, judged at their homes of {replicas} replicas"
                )
            }
            Routing::Sticky { users, visits: Visits::AtEach(replicas) } => {
                format!("; {users} users with sticky keys, judged at each of {replicas} replicas")
            }
            Routing::Sticky { users, visits: Visits::Every } => {
                format!("; {users} users with sticky keys, every request judged")
            }
        };
        let load = match scenario.load {
            Load::Steady => "",
            Load::Restless => ", restless load",
        };
        format!(
            "{} requests/s for {}, {} % to the canary{load}; latency {} ms ({shape}), errors {} \
             %{clients}",
            scenario.requests_per_second,
            self.duration.trim(),
            shares.join("-"),
            self.latency_ms,
            percent(scenario.stable.failure_rate),
        )
    }
}

impl Looking {
    fn look(&self, seconds: u32) -> anyhow::Result<Look> {
        let every = duration("look-every", &self.look_every)?;
        let second = Duration::from_secs(1).as_nanos();
        let nanos = every.as_nanos();
        let least = Duration::from_millis(10);
        if every.subsec_nanos() == 0 && (1..=u64::from(seconds)).contains(&every.as_secs()) {
            Ok(Look::EverySeconds(every.as_secs() as u32))
        } else if every >= least && nanos < second && second.is_multiple_of(nanos) {
            Ok(Look::TimesPerSecond((second / nanos) as u32))
        } else {
            bail!(
                "--look-every: {:?} is out of range; use whole seconds up to the duration \
                 ({seconds} s), or a part that divides a second, 10ms or more, like 100ms",
                self.look_every
            )
        }
    }

    /// In words, for headings.
    pub fn describe(&self) -> String {
        let known = match self.remembered {
            0 => String::new(),
            some => format!(", knowing {some} earlier answers of stable"),
        };
        format!("evaluated every {}{known}", self.look_every.trim())
    }
}

fn whole_seconds(flag: &str, text: &str) -> anyhow::Result<u32> {
    let duration = duration(flag, text)?;
    let allowed = Duration::from_secs(10)..=Duration::from_secs(7 * 24 * 3600);
    if duration.subsec_nanos() != 0 || !allowed.contains(&duration) {
        bail!("--{flag}: {text:?} is out of range; use whole seconds from 10s to 168h");
    }
    Ok(duration.as_secs() as u32)
}
