//! What is a server told, and where? Flag before environment before file before default.
//!
//! The file is `serin.toml`, read from the working folder if it is there, or named with `--config`.
//! An unknown key in it is an error, never a silent default.

pub mod checked;

mod shown;

use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use clap::Args;
use serde::Deserialize;
use serde::Serialize;

use crate::canary::FeedbackPolicy;
use crate::canary::JudgePolicy;
use crate::canary::Policy;
use crate::canary::Weight;
use crate::canary::policy::GivenBreaker;
use crate::canary::policy::Mode;
use crate::canary::policy::feedback_overrides::GivenFeedback;
use crate::canary::policy::metric_overrides::GivenJudgePolicy;
use crate::canary::policy::metric_overrides::GivenMetric;
use crate::canary::policy::plan_overrides::GivenPlan;
use crate::canary::policy::post_promotion_overrides::PostPromotionOverride;
use crate::canary::policy::segments::GivenSegments;
use crate::canary::policy::segments::SegmentHarm;
use crate::canary::policy::segments::Segments;
use crate::http;
use crate::http::access::Access;
use crate::http::reading::headers::RequestHeaders;
use crate::http::reading::suggestion::explained;
use crate::service;
use crate::service::notify::target::GivenTarget;
use crate::service::notify::target::Target;
use crate::service::serving::shadow::queue::Kept;
use crate::service::serving::shadow::queue::MAX_RING;
use crate::store::Location;
use crate::text::durations::parsed_duration;
use crate::text::lists::did_you_mean;

/// The flags of `serin serve` that are settings too.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// Address to listen on [default: 127.0.0.1:8000]
    #[arg(long, env = "SERIN_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Folder of the model files [default: models]
    #[arg(long, env = "SERIN_MODELS", value_name = "FOLDER")]
    pub models: Option<PathBuf>,
    /// Stable model at the very first start; later the store knows [default: model_v1.bin, trained
    /// on the spot if it is missing]
    #[arg(long, env = "SERIN_STABLE", value_name = "FILE")]
    pub stable: Option<String>,
    /// What survives a restart: sqlite:FILE, or memory: for nothing [default: sqlite:serin.db]
    #[arg(long, env = "SERIN_STORE", value_name = "STORE")]
    pub store: Option<String>,
    /// Threads that answer requests [default: one for each core]
    #[arg(long, env = "SERIN_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// Makes the split repeatable [default: different each time]
    #[arg(long, env = "SERIN_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// Token that /admin asks for; without one, /admin answers only on a loopback address
    #[arg(long, env = "SERIN_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Share of traffic a canary gets unless its deploy says otherwise, in percent [default: 10]
    #[arg(long, env = "SERIN_TRAFFIC_PERCENT", value_name = "PERCENT")]
    pub traffic_percent: Option<f64>,
    /// Let POST /admin/inject break a canary on purpose: for tests and demonstrations
    #[arg(long, env = "SERIN_ALLOW_INJECTION")]
    pub allow_injection: bool,
    /// Header of /predict whose value is the key of a request that has none in its body
    #[arg(long, env = "SERIN_STICKY_HEADER", value_name = "NAME")]
    pub sticky_header: Option<String>,
    /// Let testers name the track of a prediction with the header x-serin-track
    #[arg(long, env = "SERIN_ALLOW_TRACK_HEADER")]
    pub allow_track_header: bool,
    /// How long a step is meant to last at least; advice for who decides [default: 1h]
    #[arg(long, env = "SERIN_BAKE", value_name = "DURATION")]
    pub bake: Option<String>,
    /// Longest time a canary prediction may take before stable answers instead [default: 1s]
    #[arg(long, env = "SERIN_CANARY_DEADLINE", value_name = "DURATION")]
    pub canary_deadline: Option<String>,
    /// Longest time a stable prediction may take [default: 10s]
    #[arg(long, env = "SERIN_STABLE_DEADLINE", value_name = "DURATION")]
    pub stable_deadline: Option<String>,
    /// Longest time a client may take to send a body [default: 10s]
    #[arg(long, env = "SERIN_BODY_DEADLINE", value_name = "DURATION")]
    pub body_deadline: Option<String>,
    /// Longest time requests under way may take to finish at shutdown [default: 30s]
    #[arg(long, env = "SERIN_DRAIN_DEADLINE", value_name = "DURATION")]
    pub drain_deadline: Option<String>,
    /// Largest body, in bytes [default: 1048576]
    #[arg(long, env = "SERIN_BODY_LIMIT", value_name = "BYTES")]
    pub body_limit: Option<usize>,
    /// Most connections for each worker [default: 10000]
    #[arg(long, env = "SERIN_CONNECTIONS", value_name = "N")]
    pub connections: Option<usize>,
    /// Significance level of the health check [default: 0.05]
    #[arg(long, env = "SERIN_ALPHA", value_name = "P")]
    pub alpha: Option<f64>,
    /// Samples that the health check needs of each track [default: 20]
    #[arg(long, env = "SERIN_MIN_SAMPLES", value_name = "N")]
    pub min_samples: Option<u64>,
    /// Slowdown that is allowed, as a share of stable's mean latency [default: 0.05]
    #[arg(long, env = "SERIN_RELATIVE_MARGIN", value_name = "SHARE")]
    pub relative_margin: Option<f64>,
    /// Share of requests that a canary may fail more often than stable [default: 0.01]
    #[arg(long, env = "SERIN_FAILURE_MARGIN", value_name = "SHARE")]
    pub failure_margin: Option<f64>,
    /// Score of 100 from which on a canary whose guardrails pass counts as good [default: 95]
    #[arg(long, env = "SERIN_PROMOTE_SCORE", value_name = "SCORE")]
    pub promote_score: Option<f64>,
    /// A canary whose score can no longer rise above this counts as bad [default: 60]
    #[arg(long, env = "SERIN_ROLLBACK_SCORE", value_name = "SCORE")]
    pub rollback_score: Option<f64>,
    /// What is judged otherwise than by default, and recorded metrics: only in the file.
    #[arg(skip)]
    pub metrics: Vec<GivenMetric>,
    /// Who decides: manual or automatic [default: manual]
    #[arg(long, env = "SERIN_MODE", value_name = "MODE")]
    pub mode: Option<String>,
    /// What a rollout does by itself: only in the file.
    #[arg(skip)]
    pub plan: GivenPlan,
    /// Who is told what happens: only in the file.
    #[arg(skip)]
    pub notify: Vec<GivenTarget>,
    /// Parts of the traffic that are judged on their own: only in the file.
    #[arg(skip)]
    pub segments: GivenSegments,
    /// What harm in a segment leads to: hold or roll_back [default: hold]
    #[arg(long, env = "SERIN_SEGMENT_HARM", value_name = "EFFECT")]
    pub segment_harm: Option<String>,
    /// When a canary that fails again and again is asked no more: only in the file.
    #[arg(skip)]
    pub breaker: GivenBreaker,
    /// What happens after a promotion: only in the file.
    #[arg(skip)]
    pub post_promotion: PostPromotionOverride,
    /// Whether labels are taken, and for how long: only in the file.
    #[arg(skip)]
    pub feedback: GivenFeedback,
    /// What is left out of kept requests: only in the file.
    #[arg(skip)]
    pub shadow: GivenShadow,
    /// How many requests are kept: only in the file.
    #[arg(skip)]
    pub ring: GivenRing,
    /// Slowdown that is allowed in any case, in milliseconds [default: 0.1]
    #[arg(long, env = "SERIN_ABSOLUTE_MARGIN_MS", value_name = "MS")]
    pub absolute_margin_ms: Option<f64>,
}

/// `[shadow]` of the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenShadow {
    /// Features that are left out of whatever is kept of requests.
    pub redact: Vec<String>,
}

/// `[ring]` of the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenRing {
    /// How many of the latest requests are kept; 0: none.
    pub capacity: usize,
}

/// Everything a server is told, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub listen: String,
    /// Folder of the model files.
    pub models: PathBuf,
    /// Whether the stable model is the default one, which may be trained on the spot.
    pub stable_is_default: bool,
    /// What survives a restart.
    pub store: Location,
    /// The token of `/admin`.
    pub admin_token: Option<String>,
    /// For the service.
    pub service: service::Settings,
    /// Who is told what happens, as it was given.
    notify: Vec<GivenTarget>,
    /// For the HTTP server, but for who may use `/admin`, which depends on the bound address.
    http: http::Settings,
}

/// The stable model when nobody names one.
pub const DEFAULT_STABLE: &str = "model_v1.bin";

/// The configuration file that is read when nobody names one.
pub const DEFAULT_FILE: &str = "serin.toml";

impl Settings {
    /// The settings of these flags and this file.
    ///
    /// # Errors
    /// Names the setting, its value, and what is allowed.
    pub fn new(flags: &Given, file: Option<&Path>) -> anyhow::Result<Settings> {
        Settings::merged(flags, &read(file)?, environment)
    }

    /// The settings of these flags alone, whatever files there are.
    ///
    /// # Errors
    /// Names the setting, its value, and what is allowed.
    pub fn without_file(flags: &Given) -> anyhow::Result<Settings> {
        Settings::merged(flags, &Given::default(), environment)
    }

    fn merged(
        flags: &Given,
        file: &Given,
        secret: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Settings> {
        // One line a setting: the flag (or its environment variable), else the file's value.
        macro_rules! given {
            ($field:ident) => {
                flags.$field.clone().or(file.$field.clone())
            };
        }
        let duration = |field, given: Option<String>, default| {
            given.map_or(Ok(default), |text| deadline(field, &text))
        };
        let mut policy = Policy::default();
        if let Some(percent) = given!(traffic_percent) {
            policy.weight = Weight::from_percent(percent).context("traffic_percent")?;
        }
        if let Some(bake) = given!(bake) {
            policy.bake = parsed_duration("bake", &bake)?;
        }
        policy.canary_deadline =
            duration("canary_deadline", given!(canary_deadline), policy.canary_deadline)?;
        let (first, second) = (&flags.breaker, &file.breaker);
        policy.breaker = GivenBreaker {
            failures: first.failures.or(second.failures),
            probe_every: first.probe_every.clone().or_else(|| second.probe_every.clone()),
        }
        .policy()?;
        let health = &mut policy.health;
        health.alpha = given!(alpha).unwrap_or(health.alpha);
        health.min_samples = given!(min_samples).unwrap_or(health.min_samples);
        health.relative_margin = given!(relative_margin).unwrap_or(health.relative_margin);
        health.failure_margin = given!(failure_margin).unwrap_or(health.failure_margin);
        health.absolute_margin_seconds =
            given!(absolute_margin_ms).map_or(health.absolute_margin_seconds, |ms| ms / 1e3);
        policy.health = policy.health.checked()?;
        let judge = GivenJudgePolicy {
            metrics: file.metrics.clone(),
            promote_score: given!(promote_score),
            rollback_score: given!(rollback_score),
            segment_harm: None,
        };
        policy.judge = JudgePolicy::new(&policy.health, &judge)?;
        let harm = match given!(segment_harm).as_deref() {
            None | Some("hold") => SegmentHarm::Hold,
            Some("roll_back") => SegmentHarm::RollBack,
            Some(other) => bail!("segment_harm = {other:?} is unknown; give hold or roll_back"),
        };
        // The file's, or those of whoever starts a server without one.
        let declared = if file.segments.is_empty() { &flags.segments } else { &file.segments };
        policy.judge.segments = Segments::new(declared, harm)?;

        policy.post_promotion = file.post_promotion.over(policy.post_promotion, &policy.judge)?;
        policy.plan = file.plan.over(&policy.plan).context("plan")?;
        policy.mode = match given!(mode).as_deref() {
            None | Some("manual") => Mode::Manual,
            Some("automatic") => Mode::Automatic,
            Some(other) => {
                let meant = did_you_mean(other, ["manual", "automatic"]);
                bail!("mode = {other:?} is unknown{meant}; give manual or automatic")
            }
        };

        let told = if flags.notify.is_empty() { &file.notify } else { &flags.notify };
        let notify = Target::all(told, secret)?;

        // No flag sets it, but whoever makes flags in a program may.
        let none = GivenFeedback::default();
        let given = if flags.feedback == none { &file.feedback } else { &flags.feedback };
        let feedback = given.over(FeedbackPolicy::default()).context("feedback")?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = in_range("workers", given!(workers).unwrap_or(cores), 1, 1024)?;
        let stable = given!(stable);
        let seconds = Duration::from_secs;
        let admin_token = given!(admin_token);
        if admin_token
            .as_ref()
            .is_some_and(|t| t.is_empty() || !t.bytes().all(|b| b.is_ascii_graphic()))
        {
            bail!(
                "admin_token is empty or not visible ASCII; give another, or leave the setting out"
            );
        }
        Ok(Settings {
            listen: checked_address(given!(listen))?,
            models: given!(models).unwrap_or_else(|| PathBuf::from("models")),
            stable_is_default: stable.is_none(),
            store: given!(store).unwrap_or_else(|| "sqlite:serin.db".to_owned()).parse()?,
            admin_token,
            notify: told.clone(),
            service: service::Settings {
                policy,
                workers,
                seed: given!(seed),
                stable_deadline: duration("stable_deadline", given!(stable_deadline), seconds(10))?,
                stable: stable.unwrap_or_else(|| DEFAULT_STABLE.to_owned()),
                notify,
                allow_injection: flags.allow_injection || file.allow_injection,
                feedback,
                kept: Kept {
                    redact: [&flags.shadow.redact[..], &file.shadow.redact].concat(),
                    ring: in_range(
                        "ring.capacity",
                        flags.ring.capacity.max(file.ring.capacity),
                        0,
                        MAX_RING,
                    )?,
                },
            },
            http: http::Settings {
                workers,
                connections: in_range(
                    "connections",
                    given!(connections).unwrap_or(10_000),
                    1,
                    1_000_000,
                )?,
                body_limit: in_range(
                    "body_limit",
                    given!(body_limit).unwrap_or(1 << 20),
                    64,
                    1 << 30,
                )?,
                body_deadline: duration("body_deadline", given!(body_deadline), seconds(10))?,
                drain_deadline: duration("drain_deadline", given!(drain_deadline), seconds(30))?,
                access: Access::Closed,
                request_headers: RequestHeaders::new(
                    given!(sticky_header).as_deref(),
                    flags.allow_track_header || file.allow_track_header,
                )?,
            },
        })
    }

    /// The settings of the HTTP server, once it is known where it listens.
    pub fn http(&self, listens_on: IpAddr) -> http::Settings {
        let access = Access::new(listens_on, self.admin_token.as_deref());
        http::Settings { access, ..self.http.clone() }
    }
}

fn read(named: Option<&Path>) -> anyhow::Result<Given> {
    let path = match named {
        Some(path) => path,
        None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
        None => return Ok(Given::default()),
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}; check --config", path.display()))?;
    toml::from_str(&text)
        .map_err(|cause| anyhow!("{}", explained(&cause.to_string())))
        .with_context(|| format!("cannot use {}", path.display()))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A deadline: a duration that leaves time for anything at all.
fn deadline(field: &'static str, text: &str) -> anyhow::Result<Duration> {
    let deadline = parsed_duration(field, text)?;
    if deadline < Duration::from_millis(1) {
        bail!("{field} = {text:?} leaves no time; give 1ms or more");
    }
    Ok(deadline)
}

fn in_range(field: &str, value: usize, low: usize, high: usize) -> anyhow::Result<usize> {
    if !(low..=high).contains(&value) {
        bail!("{field} = {value} is out of range; give {low} to {high}");
    }
    Ok(value)
}

/// Where to listen. Whether the host is there is known only when it is tried.
fn checked_address(listen: Option<String>) -> anyhow::Result<String> {
    let listen = listen.unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let is_address = listen
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !is_address {
        bail!("listen = {listen:?} is no address; give --listen HOST:PORT, like 127.0.0.1:8000");
    }
    Ok(listen)
}

#[cfg(test)]
#[path = "settings/settings_tests.rs"]
mod tests;
