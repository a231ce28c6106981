//! Observer: asks Prometheus for the values of both tracks, once an interval for each query of the running rollout.
//!
//! ```text
//! moments      the end of the warm-up + k intervals, k = 1, 2, ..: no observation reaches back before the rollout, and
//!              no two share data
//! observation  the values of both tracks at the same moment; if one is missing, there is none
//! late         only the newest moment is asked for, so that an outage leaves a gap and no burst
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::client::Client;
use super::error::QueryError;
use crate::canary::Metric;
use crate::canary::MetricName;
use crate::canary::Rollout;
use crate::canary::Track;
use crate::canary::policy::metric::query::Query;
use crate::service::clock::Clock;
use crate::service::reported::Reported;

/// How often it looks for another rollout.
const IDLE: Duration = Duration::from_secs(1);

/// Asks for the queries of one rollout after the other.
pub struct Observer {
    client: Client,
    clock: Arc<dyn Clock>,
    reported: Arc<Reported>,
    /// The rollout that is observed; 0: none.
    rollout: u64,
    /// The newest moment of each metric, counted in intervals.
    asked: BTreeMap<MetricName, u64>,
}

impl Observer {
    /// An observer that has seen no rollout.
    pub fn new(client: Client, clock: Arc<dyn Clock>, reported: Arc<Reported>) -> Observer {
        Observer { client, clock, reported, rollout: 0, asked: BTreeMap::new() }
    }

    /// Asks what is due for the running rollout; how long until something may be due. `is_running` says whether the
    /// rollout still runs when the answers are there.
    pub fn turn(
        &mut self,
        rollout: Option<&Rollout>,
        is_running: impl Fn(u64) -> bool,
    ) -> Duration {
        let id = rollout.map_or(0, |rollout| rollout.id);
        if id != self.rollout {
            self.rollout = id;
            self.asked.clear();
            self.reported.queries.clear();
        }
        // Without users on both tracks there is nothing to compare.
        let Some(rollout) = rollout.filter(|it| !it.weight().is_certain()) else { return IDLE };
        let begin = rollout.warm_until();
        let queries = rollout.policy.judge.metrics.iter();
        let queries = queries.filter_map(|metric| Some((metric, metric.query.as_ref()?)));
        let (mut pause, mut trouble) = (IDLE, None);
        for (metric, query) in queries {
            let now = self.clock.wall();
            let passed = moments(begin, now, query.interval);
            // A process before a restart may have asked for the current moment already.
            let asked = self.asked.entry(metric.name.clone()).or_insert(passed);
            if passed > *asked {
                *asked = passed;
                let at = moment(begin, passed, query.interval);
                // A server that does not answer is not asked again and again in one turn.
                let found = match &trouble {
                    None => self.observe(query, at),
                    Some(trouble) => Err(Clone::clone(trouble)),
                };
                if let Err((_, error)) = &found
                    && error.is_of_server()
                {
                    trouble = Some((None, error.clone()));
                }
                if is_running(rollout.id) {
                    self.note(metric, at, found);
                }
            }
            let next = moment(begin, passed + 1, query.interval);
            let left = next.duration_since(self.clock.wall());
            pause = pause.min(Duration::try_from(left).unwrap_or(Duration::ZERO));
        }
        pause.max(Duration::from_millis(1))
    }

    /// The values of stable and of the canary at a moment.
    fn observe(&self, query: &Query, at: Timestamp) -> Found {
        let value = |track: Track| {
            let found = self.client.value_at(&query.of(track), at);
            found.map_err(|error| ((!error.is_of_server()).then_some(track), error))
        };
        Ok([value(Track::Stable)?, value(Track::Canary)?])
    }

    /// Hands an observation to the judge, or says why there is none.
    fn note(&self, metric: &Metric, at: Timestamp, found: Found) {
        let (name, server) = (&metric.name, self.client.origin());
        let found = found.map_err(|(track, error)| match track {
            Some(track) => format!("{}: {error}", track.name()),
            None => error.to_string(),
        });
        let taken = found.and_then(|found| {
            let taken = self.reported.recordings.observe(name, found);
            taken.map(|()| found).map_err(|error| error.to_string())
        });
        let queries = &self.reported.queries;
        match taken {
            Ok(found) => {
                if queries.observed((name, server), at, found) {
                    tracing::info!(metric = name.as_str(), server, "the query has values again");
                }
            }
            Err(problem) => {
                if queries.failed((name, server), at, problem.clone()) {
                    tracing::warn!(metric = name.as_str(), server, "no observation: {problem}");
                }
            }
        }
    }
}

/// Both values, or why there is none and of which track.
type Found = Result<[f64; 2], (Option<Track>, QueryError)>;

/// How many moments have passed.
fn moments(begin: Timestamp, now: Timestamp, interval: Duration) -> u64 {
    let passed = Duration::try_from(now.duration_since(begin)).unwrap_or(Duration::ZERO);
    u64::try_from(passed.as_millis() / interval.as_millis().max(1)).unwrap_or(u64::MAX)
}

/// The moment with this number.
fn moment(begin: Timestamp, number: u64, interval: Duration) -> Timestamp {
    let factor = u32::try_from(number).unwrap_or(u32::MAX);
    begin.saturating_add(interval.saturating_mul(factor)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "observer_tests.rs"]
mod tests;
