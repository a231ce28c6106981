//! Scenario: the settings of a simulated hour.

use super::shape::Shape;
use crate::canary::JudgePolicy;
use crate::canary::Weight;
use crate::canary::policy::metric::Source;

/// The settings of an hour, which may be longer or shorter.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Behavior of stable.
    pub stable: Behavior,
    /// Behavior of the canary.
    pub canary: Behavior,
    /// Seconds during which the canary behaves like stable.
    pub harm_after: u32,
    /// How requests are routed.
    pub routing: Routing,
    /// Noise that each track has by itself.
    pub own_noise: OwnNoise,
    /// The load, which also scales the latencies and failures of both tracks.
    pub load: Load,
    /// Requests per second at normal load.
    pub requests_per_second: u32,
    /// Duration.
    pub seconds: u32,
    /// The canary's shares, each for an equal part of the time. If empty, there are no requests.
    pub weights: Vec<Weight>,
    /// Number of stable's answers from before the deployment that the judge knows.
    pub remembered: u32,
    /// When the judge evaluates.
    pub look: Look,
    /// When the simulation ends.
    pub until: Until,
    /// The policy of the judge.
    pub policy: JudgePolicy,
}

/// Behavior of one track.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// In seconds.
    pub latency: Shape,
    /// Between 0 and 1.
    pub scores: Shape,
    /// The share of requests that fail.
    pub failure_rate: f64,
}

/// Noise that lasts, which each track draws by itself from the same law. A second is its grain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OwnNoise {
    /// None.
    None,
    /// Some of the requests of a second wait.
    Stalls {
        /// The probability that a second has a stall.
        chance: f64,
        /// The share of the second's requests that wait.
        share: f64,
        /// What they wait, in seconds.
        wait: f64,
    },
    /// The logarithm of the latency is an autoregressive process of the seconds.
    Autoregressive {
        /// The correlation from one second to the next.
        correlation: f64,
        /// The standard deviation of the logarithm.
        log_sd: f64,
    },
    /// Bursts in which requests fail.
    ErrorBursts {
        /// The probability that a burst begins in a second.
        chance: f64,
        /// How long it lasts, in seconds.
        seconds: u32,
        /// The share of requests that fail.
        rate: f64,
    },
}

/// How requests are routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// The stratified split.
    Strata,
    /// The stratified split, and a client that alternates light and heavy requests.
    Alternating {
        /// Whether the judge knows beforehand which requests are heavy.
        is_grouped: bool,
    },
    /// Each request belongs to a random user. Users stay on their track, and each has its own speed and
    /// score.
    Sticky {
        /// The number of users.
        users: usize,
        /// Which of their requests are judged.
        visits: Visits,
    },
}

/// Which requests of a user with a sticky key are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visits {
    /// As the server does: the first one by itself, and all of them with the user as the draw. Users come as often as
    /// Zipf's law says, with an exponent of 1.1.
    ByKey,
    /// The first one only. Users come equally often, here and below.
    First,
    /// Every one, which is invalid: it counts one user many times.
    Every,
    /// As [`ByKey`](Visits::ByKey) on this many replicas that get the requests at random: the first one at the home of the
    /// key.
    AtHome(usize),
    /// The same where each replica judges the first one that it gets, which is invalid.
    AtEach(usize),
}

/// The load over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Constant.
    Steady,
    /// Rises from -20 % to +20 %, oscillates by 30 % six times, and doubles for a twelfth of the time in the
    /// middle.
    Restless,
}

/// When the judge evaluates. Never across a change of the canary's share, as in the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// This many times per second.
    TimesPerSecond(u32),
    /// Every this many seconds, and before a change of the share.
    EverySeconds(u32),
}

/// When a simulated hour ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After its duration.
    Over,
    /// Once the policy has rolled back and each source that differs has been found harmful alone.
    Decided,
    /// Once Welch's test has raised its alarm, too. The judge stops once it has decided.
    Compared,
}

impl Scenario {
    /// The sources of metrics in which the tracks differ; none if the canary is healthy.
    pub fn differing(&self) -> Vec<Source> {
        let (stable, canary) = (&self.stable, &self.canary);
        let simulated = [
            (Source::Latency, stable.latency != canary.latency),
            (Source::Failures, stable.failure_rate != canary.failure_rate),
            (Source::Score, stable.scores != canary.scores),
        ];
        simulated.into_iter().filter(|(_, differs)| *differs).map(|(source, _)| source).collect()
    }
}

impl Load {
    /// The load in a second, as a multiple of the normal one.
    pub fn at(self, second: u32, seconds: u32) -> f64 {
        let Load::Restless = self else { return 1.0 };
        let part = f64::from(second) / f64::from(seconds.max(1));
        let drift = 0.2 * (2.0 * part - 1.0);
        let swing = 0.3 * (part * 6.0 * std::f64::consts::TAU).sin();
        // Seconds 2000 to 2300 of an hour: in the middle step of a ramp of five.
        let of_hour = u64::from(second) * 3600 / u64::from(seconds.max(1));
        let incident = if (2000..2300).contains(&of_hour) { 2.0 } else { 1.0 };
        (1.0 + drift + swing) * incident
    }
}

impl Look {
    /// The milliseconds between two of them.
    pub(super) fn millis(self) -> u32 {
        match self {
            Look::TimesPerSecond(times) => 1000 / times.max(1),
            Look::EverySeconds(seconds) => seconds.saturating_mul(1000),
        }
    }

    /// Whether the judge evaluates before this request of a second with `requests`.
    pub(super) fn is_before(self, request: u32, requests: u32) -> bool {
        let Look::TimesPerSecond(times) = self else { return false };
        let part =
            |request: u32| u64::from(request) * u64::from(times) / u64::from(requests.max(1));
        request > 0 && part(request) > part(request - 1)
    }

    /// Whether the judge evaluates at the end of this second of a step.
    pub(super) fn is_after(self, second_of_step: u32) -> bool {
        match self {
            Look::TimesPerSecond(_) => true,
            Look::EverySeconds(seconds) => (second_of_step + 1).is_multiple_of(seconds.max(1)),
        }
    }
}
