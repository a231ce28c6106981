//! Settings of the server in one list: name, type, default, help and flag of each.
//!
//! A flag overrides its environment variable, which overrides the settings file, which overrides the
//! default; see [`layers`].

pub mod flags;
pub mod layers;
pub mod profile;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

use crate::canary::FeedbackPolicy;
use crate::canary::HealthPolicy;
use crate::canary::JudgePolicy;
use crate::canary::Plan;
use crate::canary::Policy;
use crate::canary::Weight;
use crate::canary::policy::Mode;
use crate::canary::policy::breaker::BreakerPolicy;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::canary::policy::metric_overrides::MetricOverride;
use crate::canary::policy::post_promotion::PostPromotionPolicy;
use crate::canary::policy::segments::SegmentHarm;
use crate::canary::policy::segments::SegmentSettings;
use crate::canary::policy::segments::Segments;
use crate::http;
use crate::http::access::Access;
use crate::http::reading::headers::RequestHeaders;
use crate::http::settings::UnknownFields;
use crate::service;
use crate::service::notify::target::GivenTarget;
use crate::service::notify::target::Target;
use crate::service::reported::prometheus::server::GivenServer;
use crate::service::reported::prometheus::server::Server;
use crate::service::serving::shadow::queue::MAX_RECENT_REQUESTS;
use crate::service::serving::shadow::queue::Retention;
use crate::stats::sequential::EvidenceUnit;
use crate::store::Location;
use crate::store::host;
use crate::text::fields::FieldError;
use crate::text::lists::is_name;
use crate::text::ranges::DurationWithin;
use crate::text::ranges::HOUR;
use crate::text::ranges::MILLISECOND;
use crate::text::ranges::MONTH;
use crate::text::ranges::integer;
use crate::text::ranges::margin;
use crate::text::ranges::samples;
use crate::text::ranges::share;

/// A setting with a flag. Flag, variable and key of the file have the same name.
pub(crate) struct Flag {
    /// The key in the file.
    pub(crate) key: &'static str,
    /// The name of its value in the help; empty for a switch.
    pub(crate) value: &'static str,
    /// Its help.
    pub(crate) help: &'static str,
}

/// Declares the settings. Each is `help, key: type = default, flag VALUE`; one without a flag can only be
/// set in the file.
macro_rules! settings {
    ($(
        #[doc = $help:literal]
        $(#[serde($($serde:tt)*)])?
        $key:ident: $kind:ty = $default:expr $(, flag $value:literal)?;
    )*) => {
        /// All settings of a server.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {$(
            #[doc = $help]
            $(#[serde($($serde)*)])?
            pub $key: $kind,
        )*}

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($key: $default,)* }
            }
        }

        /// The settings with a flag.
        pub(crate) const FLAGS: &[Flag] = &[$($(
            Flag { key: stringify!($key), value: $value, help: $help },
        )?)*];
    };
}

settings! {
    /// Address to listen on
    #[serde(deserialize_with = "address")]
    listen: String = "127.0.0.1:8000".to_owned(), flag "HOST:PORT";
    /// Folder of the model files
    models: PathBuf = PathBuf::from("models"), flag "FOLDER";
    /// Stable model at the first start; later starts read it from the store [default: model_v1.bin, trained if missing]
    stable: String = DEFAULT_STABLE.to_owned(), flag "FILE";
    /// Library that runs ONNX models: libonnxruntime.so of ONNX Runtime 1.23 or newer
    onnxruntime: Option<PathBuf> = None, flag "FILE";
    /// Store of the state: sqlite:FILE, postgres://USER@HOST/DATABASE, or memory: to keep nothing across restarts
    store: Location = Location::Sqlite(PathBuf::from("serin.db")), flag "STORE";
    /// Threads that answer requests [default: one for each core]
    #[serde(deserialize_with = "integer::<1, 1024, _, _>")]
    workers: usize = std::thread::available_parallelism().map_or(1, usize::from), flag "N";
    /// Seed that makes the split repeatable [default: random]
    seed: Option<u64> = None, flag "N";
    /// Bearer token that /admin and reports require; without one, /admin answers only on a loopback address
    #[serde(skip_serializing)]
    admin_token: Option<Secret> = None, flag "TOKEN";
    /// Bearer token that /metrics requires; without one, everyone who reaches the server reads them. It opens /verdict, too
    #[serde(skip_serializing)]
    metrics_token: Option<Secret> = None, flag "TOKEN";
    /// Let clients without the token use /record, /feedback and /reset
    open_reports: bool = false, flag "";
    /// Response to unknown fields of a prediction: refuse or ignore
    unknown_fields: UnknownFields = UnknownFields::Refuse, flag "RESPONSE";
    /// Default share of traffic of a canary, in percent
    traffic_percent: Weight = Policy::default().weight, flag "PERCENT";
    /// Let POST /admin/inject break a canary on purpose, for tests and demonstrations
    allow_injection: bool = false, flag "";
    /// Header of /predict that supplies the key of a request without one in its body
    #[serde(deserialize_with = "header_name")]
    sticky_header: Option<String> = None, flag "NAME";
    /// Name of this replica, where several share a store [default: host and port]
    #[serde(deserialize_with = "replica_name")]
    replica_name: Option<String> = None, flag "NAME";
    /// The load balancer in front of several replicas sends all requests of a key to one of them
    sticky_balancer: bool = false, flag "";
    /// Name of the model in /v1 and /v2; its versions have the names of their files
    #[serde(deserialize_with = "model_name")]
    model_name: String = "model".to_owned(), flag "NAME";
    /// Path that is answered as POST /v1/models/NAME:predict, besides it
    #[serde(deserialize_with = "route")]
    predict_route: Option<String> = None, flag "PATH";
    /// Path that is answered as GET /readyz, besides it
    #[serde(deserialize_with = "route")]
    health_route: Option<String> = None, flag "PATH";
    /// Let testers choose the track of a prediction with the header x-serin-track
    allow_track_header: bool = false, flag "";
    /// Recommended minimum duration of a manual step
    #[serde(with = "DurationWithin::<0, MONTH>")]
    bake: Duration = Policy::default().bake, flag "DURATION";
    /// Time limit of a canary prediction; then stable answers
    #[serde(with = "Deadline")]
    canary_deadline: Duration = Policy::default().canary_deadline, flag "DURATION";
    /// Time limit of a stable prediction
    #[serde(with = "Deadline")]
    stable_deadline: Duration = Duration::from_secs(10), flag "DURATION";
    /// Send no traffic to the canary once nothing could be saved for this long; 0s: never
    #[serde(with = "DurationWithin::<0, MONTH>")]
    canary_off_after: Duration = Duration::ZERO, flag "DURATION";
    /// Time limit for a client to send a body
    #[serde(with = "Deadline")]
    body_deadline: Duration = Duration::from_secs(10), flag "DURATION";
    /// Time between losing readiness and closing connections at shutdown
    #[serde(with = "DurationWithin::<0, HOUR>")]
    drain_delay: Duration = Duration::from_millis(500), flag "DURATION";
    /// Time limit for requests in flight at shutdown
    #[serde(with = "Deadline")]
    drain_deadline: Duration = Duration::from_secs(30), flag "DURATION";
    /// Maximum size of a body, in bytes
    #[serde(deserialize_with = "integer::<64, 1_073_741_824, _, _>")]
    body_limit: usize = 5 << 20, flag "BYTES";
    /// Maximum number of connections for each worker
    #[serde(deserialize_with = "integer::<1, 1_000_000, _, _>")]
    connections: usize = 10_000, flag "N";
    /// Significance level of the health check, and of the sequential judge as a whole
    #[serde(deserialize_with = "share")]
    alpha: f64 = HealthPolicy::default().alpha, flag "P";
    /// Latency samples of each track that the health check needs
    #[serde(deserialize_with = "samples")]
    min_samples: u64 = HealthPolicy::default().min_samples, flag "N";
    /// Allowed slowdown, as a share of stable's mean latency
    #[serde(deserialize_with = "margin")]
    relative_margin: f64 = HealthPolicy::default().relative_margin, flag "SHARE";
    /// Allowed increase of the share of failed requests
    #[serde(deserialize_with = "share")]
    failure_margin: f64 = HealthPolicy::default().failure_margin, flag "SHARE";
    /// Slowdown that is tolerated in any case, in milliseconds
    #[serde(deserialize_with = "margin")]
    absolute_margin_ms: f64 = HealthPolicy::default().absolute_margin_seconds * 1e3, flag "MS";
    /// Minimum score, of 100, for a promotion once every guardrail passes
    promote_score: f64 = JudgePolicy::default().promote_score, flag "SCORE";
    /// Roll back a canary whose score can no longer rise above this
    rollback_score: f64 = JudgePolicy::default().rollback_score, flag "SCORE";
    /// What counts as one draw: request, tick, 10s, 1m or auto
    unit: EvidenceUnit = EvidenceUnit::Auto, flag "UNIT";
    /// Promote no canary while the two tracks provably get different inputs
    judge_inputs: bool = false, flag "";
    /// Judge a service that another server answers: only metrics that are recorded or queried
    served_elsewhere: bool = false, flag "";
    /// Who promotes and rolls back: manual or automatic
    mode: Mode = Mode::Manual, flag "MODE";
    /// Response to harm in a segment: hold or roll_back
    segment_harm: SegmentHarm = SegmentHarm::Hold, flag "EFFECT";
    /// Changes to the built-in metrics, and recorded metrics.
    metrics: Vec<MetricOverride> = Vec::new();
    /// Steps and limits of automatic rollouts.
    plan: Plan = Plan::default();
    /// The Prometheus that answers the queries of metrics.
    prometheus: Option<GivenServer> = None;
    /// Webhooks that are notified of events.
    notify: Vec<GivenTarget> = Vec::new();
    /// Slices of traffic that are judged separately.
    segments: SegmentSettings = SegmentSettings::new();
    /// Circuit breaker for the canary.
    breaker: BreakerPolicy = BreakerPolicy::default();
    /// Monitoring after a promotion.
    post_promotion: PostPromotionPolicy = PostPromotionPolicy::default();
    /// Labels.
    feedback: FeedbackPolicy = FeedbackPolicy::default();
    /// What is stored of shadowed requests.
    shadow: ShadowSettings = ShadowSettings::default();
    /// The most recent requests, stored to be replayed in shadow.
    recent_requests: RecentRequestsSettings = RecentRequestsSettings::default();
}

type Deadline = DurationWithin<MILLISECOND, MONTH>;

/// `[shadow]` of the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShadowSettings {
    /// Features that are removed from stored requests.
    pub redact: Vec<String>,
}

/// `[recent_requests]` of the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecentRequestsSettings {
    /// Number of recent requests that are kept; 0: none.
    #[serde(deserialize_with = "integer::<0, { MAX_RECENT_REQUESTS as u64 }, _, _>")]
    pub capacity: usize,
}

/// Minimum length of a secret, as for the secrets of webhooks.
const MIN_SECRET_BYTES: usize = 16;

/// A secret, which is never printed.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Secret(String);

impl Secret {
    /// The text, only for comparison.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Secret, &'static str> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("empty or not visible ASCII; use another token, or leave the setting out");
        }
        if text.len() < MIN_SECRET_BYTES {
            return Err("a token that can be guessed; use at least 16 characters");
        }
        Ok(Secret(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[secret]")
    }
}

/// The stable model by default.
pub const DEFAULT_STABLE: &str = "model_v1.bin";

impl Settings {
    /// Whether the stable model may be trained if it is missing.
    pub fn stable_is_default(&self) -> bool {
        self.stable == DEFAULT_STABLE
    }

    /// The policy of rollouts.
    ///
    /// # Errors
    /// Names the first setting that contradicts another one.
    pub fn policy(&self) -> Result<Policy, FieldError> {
        let health = HealthPolicy {
            alpha: self.alpha,
            min_samples: self.min_samples,
            relative_margin: self.relative_margin,
            failure_margin: self.failure_margin,
            absolute_margin_seconds: self.absolute_margin_ms / 1e3,
            ..HealthPolicy::default()
        };
        let changes = JudgePolicyOverride {
            metrics: self.metrics.clone(),
            promote_score: Some(self.promote_score),
            rollback_score: Some(self.rollback_score),
            segment_harm: None,
            expect_shift: None,
            unit: Some(self.unit),
            judge_inputs: Some(self.judge_inputs),
            served_elsewhere: Some(self.served_elsewhere),
        };
        let mut judge = JudgePolicy::new(&health, &changes)?;
        judge.segments = Segments::new(&self.segments, self.segment_harm)?;
        let post_promotion = self.post_promotion.checked(&judge)?;
        Ok(Policy {
            weight: self.traffic_percent,
            bake: self.bake,
            mode: self.mode,
            plan: self.plan.clone(),
            canary_deadline: self.canary_deadline,
            breaker: self.breaker,
            health,
            judge,
            post_promotion,
            ..Policy::default()
        })
    }

    /// The settings of the service, with the secrets of webhooks from the environment.
    ///
    /// # Errors
    /// Names the first setting that contradicts another one, or a secret that is missing.
    pub fn service(&self) -> Result<service::Settings, FieldError> {
        self.service_with(|name| std::env::var(name).ok())
    }

    pub(crate) fn service_with(
        &self,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<service::Settings, FieldError> {
        let notify = Target::all(&self.notify, &format!("http://{}", self.listen), &secret)?;
        let prometheus = self.prometheus.as_ref().map(|given| Server::new(given, &secret));
        let prometheus = prometheus.transpose().map_err(|error| error.within("prometheus"))?;
        let policy = self.policy()?;
        policy.judge.check_queries(prometheus.is_some())?;
        Ok(service::Settings {
            policy,
            workers: self.workers,
            seed: self.seed,
            stable_deadline: self.stable_deadline,
            canary_off_after: self.canary_off_after,
            stable: self.stable.clone(),
            notify,
            prometheus,
            allow_injection: self.allow_injection,
            feedback: self.feedback,
            retention: Retention {
                redact: self.shadow.redact.clone(),
                recent: self.recent_requests.capacity,
            },
            sticky_balancer: self.sticky_balancer,
        })
    }

    /// The name of this replica: the one given, or host and port.
    pub fn replica_name(&self) -> String {
        self.replica_name.clone().unwrap_or_else(|| {
            let port = self.listen.rsplit(':').next().unwrap_or_default();
            format!("{}:{port}", host())
        })
    }

    /// The settings of the HTTP server that listens on this address.
    ///
    /// # Errors
    /// When the sticky header is not a header name.
    pub fn http(&self, listens_on: IpAddr) -> Result<http::Settings, FieldError> {
        let headers = RequestHeaders::new(self.sticky_header.as_deref(), self.allow_track_header)
            .map_err(|cause| FieldError::new("", cause.to_string()))?;
        Ok(http::Settings {
            workers: self.workers,
            connections: self.connections,
            body_limit: self.body_limit,
            body_deadline: self.body_deadline,
            drain_delay: self.drain_delay,
            drain_deadline: self.drain_deadline,
            access: Access::new(listens_on, self.admin_token.as_ref().map(Secret::reveal)),
            metrics_token: self
                .metrics_token
                .as_ref()
                .map(|it| blake3::hash(it.reveal().as_bytes())),
            open_reports: self.open_reports,
            unknown_fields: self.unknown_fields,
            request_headers: headers,
            model_name: self.model_name.clone(),
            predict_route: self.predict_route.clone(),
            health_route: self.health_route.clone(),
            tracer: None,
        })
    }
}

/// Checks the form; whether the host exists shows when the server binds.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let listen = String::deserialize(from)?;
    let is_address = listen
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_address {
        return Ok(listen);
    }
    Err(serde::de::Error::custom(format_args!(
        "{listen:?} is not an address; use HOST:PORT, for example 127.0.0.1:8000"
    )))
}

fn model_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    // A client resolves `.` and `..` in a path before it sends it.
    if is_name(&name) && name != "." && name != ".." {
        return Ok(name);
    }
    Err(serde::de::Error::custom(format_args!(
        "{name:?} is not a name; use 1 to 64 letters, digits, `_`, `.` or `-`, for example churn"
    )))
}

fn replica_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(name) if !is_name(&name) => Err(serde::de::Error::custom(format_args!(
            "{name:?} is not a name; use 1 to 64 letters, digits, `_`, `.` or `-`, for example serin-1"
        ))),
        name => Ok(name),
    }
}

/// A path as clients send it.
fn route<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let path = Option::<String>::deserialize(from)?;
    let is_path = |path: &String| {
        path.len() > 1
            && path.starts_with('/')
            && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/:._-~".contains(&b))
    };
    match path {
        Some(path) if !is_path(&path) => Err(serde::de::Error::custom(format_args!(
            "{path:?} is not a path; use /, letters, digits and `:._-~`, for example /predictions"
        ))),
        path => Ok(path),
    }
}

fn header_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(from)?;
    RequestHeaders::new(name.as_deref(), false).map_err(serde::de::Error::custom)?;
    Ok(name)
}

#[cfg(test)]
#[path = "settings/settings_tests.rs"]
mod tests;
