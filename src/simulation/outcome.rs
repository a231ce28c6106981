//! Outcome of a simulated hour: the first time of each event.

use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;

use super::judge::Judge;
use crate::canary::Increment;
use crate::canary::Track;
use crate::canary::Verdict;
use crate::canary::Weight;
use crate::canary::observed::groups::Group;
use crate::canary::observed::groups::GroupsIncrement;
use crate::canary::observed::visits::Cells;
use crate::canary::observed::visits::VisitsIncrement;
use crate::canary::policy::metric::Source;
use crate::stats::Moments;
use crate::stats::welch_t_test;

/// The first time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Seconds since the canary started, rounded up.
    pub second: u32,
    /// Canary requests so far.
    pub canary_requests: u64,
}

/// The outcome of one hour; `None` means never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The policy's verdict was rollback.
    pub rollback: Option<Moment>,
    /// Every guardrail passed, before any rollback.
    pub promotion: Option<Moment>,
    /// Latency alone, judged at the whole alpha, was found harmful.
    pub latency: Option<Moment>,
    /// The same for failures.
    pub failures: Option<Moment>,
    /// The same for the score.
    pub score: Option<Moment>,
    /// Welch's test was significant and the canary slower, at any look.
    pub welch: Option<Moment>,
}

impl Outcome {
    /// When a metric of this source alone did harm. Recorded values and labels are not simulated.
    pub fn alone(&self, source: Source) -> Option<Moment> {
        let simulated = [
            (Source::Latency, self.latency),
            (Source::Failures, self.failures),
            (Source::Score, self.score),
        ];
        simulated.into_iter().find(|(one, _)| *one == source).and_then(|(_, moment)| moment)
    }
}

/// Observations of both tracks since the last tick.
#[derive(Default)]
pub(super) struct Tick {
    /// The judged requests.
    increment: Increment,
    /// Every request, judged or not: the input of Welch's test.
    canary_latencies: Moments,
    stable_latencies: Moments,
    canary_requests: u64,
    /// All visits of keys that the judge has not taken in.
    visits: Option<Box<Cells>>,
}

impl Tick {
    /// A tick of this many milliseconds.
    pub(super) fn lasting(millis: u32) -> Tick {
        Tick { increment: Increment::default().lasting(millis.into()), ..Tick::default() }
    }

    /// One request; `answer` is its latency and score, `None` a failure.
    pub(super) fn add(
        &mut self,
        (track, group): (Track, Group),
        is_judged: bool,
        cell: Option<u8>,
        answer: Option<(f64, f64)>,
    ) {
        if let Some(cell) = cell
            && let Some(cell) = self.visits.get_or_insert_default().of_mut(track, cell)
        {
            match answer {
                Some((latency, score)) => cell.record(latency, Some(score)),
                None => cell.record_failure(),
            }
        }
        let (increment, latencies) = match track {
            Track::Canary => {
                self.canary_requests += 1;
                (&mut self.increment.canary, &mut self.canary_latencies)
            }
            Track::Stable => (&mut self.increment.stable, &mut self.stable_latencies),
        };
        if let Some((latency, _)) = answer {
            latencies.record(latency);
        }
        if !is_judged {
            return;
        }
        let groups = &mut self.increment.groups;
        increment.requests += 1;
        if let Some((latency, _)) = answer
            && group != Group::default()
        {
            groups.record(group, track, latency);
        }
        match answer {
            None => increment.failures += 1,
            Some((latency, score)) => {
                increment.latency.push((latency, 1));
                increment.score.push((score, 1));
            }
        }
    }

    /// Forgets the visits that the judge has not taken in: at another share other keys are the canary's.
    pub(super) fn forget_visits(&mut self) {
        self.visits = None;
    }

    fn clear(&mut self) {
        self.increment.visits = VisitsIncrement::default();
        self.increment.groups = GroupsIncrement::default();
        for track in [&mut self.increment.canary, &mut self.increment.stable] {
            (track.requests, track.failures) = (0, 0);
            track.latency.clear();
            track.score.clear();
        }
        self.canary_latencies = Moments::new();
        self.stable_latencies = Moments::new();
        self.canary_requests = 0;
    }
}

/// Evaluates each tick, and records the first time of each event.
pub(super) struct Observer {
    judge: Judge,
    /// The judge has decided; only Welch's test continues.
    is_resting: bool,
    alpha: f64,
    welch: [Moments; 2],
    /// A statistic below this is not significant at any degrees of freedom, because the t distribution has
    /// heavier tails than the normal one. Saves most looks the p-value.
    least_statistic: f64,
    canary_requests: u64,
    outcome: Outcome,
}

/// Minimum number of values a side for Welch's test, as in the health check.
const MIN_SAMPLES: u64 = 20;

impl Observer {
    pub(super) fn new(judge: Judge, alpha: f64) -> Observer {
        Observer {
            judge,
            is_resting: false,
            alpha,
            welch: [Moments::new(); 2],
            least_statistic: Normal::standard().inverse_cdf(1.0 - alpha / 2.0) - 1e-6,
            canary_requests: 0,
            outcome: Outcome::default(),
        }
    }

    pub(super) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(super) fn rest(&mut self) {
        self.is_resting = true;
    }

    /// Evaluates at the end of a tick, and empties it.
    pub(super) fn look(&mut self, weight: Weight, tick: &mut Tick, second: u32) {
        if !self.is_resting {
            tick.increment.weight = weight;
            if let Some(visits) = tick.visits.take_if(|visits| self.judge.wants(visits)) {
                tick.increment.visits = VisitsIncrement::from(&*visits);
            }
            self.judge.tick(&tick.increment);
        }
        self.welch[0].merge(&tick.canary_latencies);
        self.welch[1].merge(&tick.stable_latencies);
        self.canary_requests += tick.canary_requests;
        tick.clear();

        let now = Moment { second: second + 1, canary_requests: self.canary_requests };
        let outcome = &mut self.outcome;
        let first = |moment: &mut Option<Moment>, is_reached: bool| {
            if is_reached {
                moment.get_or_insert(now);
            }
        };
        let verdict = self.judge.verdict();
        first(&mut outcome.rollback, verdict == Verdict::Rollback);
        first(&mut outcome.promotion, verdict == Verdict::Promote);
        first(&mut outcome.latency, self.judge.is_harmful_alone(Source::Latency));
        first(&mut outcome.failures, self.judge.is_harmful_alone(Source::Failures));
        first(&mut outcome.score, self.judge.is_harmful_alone(Source::Score));
        let [canary, stable] = &self.welch;
        if outcome.welch.is_none() && canary.count() >= MIN_SAMPLES && stable.count() >= MIN_SAMPLES
        {
            let is_slower = welch_t_test(canary, stable).is_some_and(|test| {
                test.statistic > self.least_statistic && test.p_two_sided() < self.alpha
            });
            first(&mut outcome.welch, is_slower);
        }
    }
}
