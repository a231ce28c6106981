//! How the queries of a rollout are doing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::MetricName;

/// One query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryStatus {
    /// The metric that it is for.
    pub metric: MetricName,
    /// Scheme, host and port of the Prometheus.
    pub server: String,
    /// Observations of both tracks in this rollout, since this process started.
    pub observations: u64,
    /// The moment of the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// Stable's value in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<f64>,
    /// The canary's value in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<f64>,
    /// Why there is no newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
}

impl QueryStatus {
    /// What is wrong, in a sentence; `None` if nothing is.
    pub fn message(&self) -> Option<String> {
        let QueryStatus { metric, server, problem, .. } = self;
        let problem = problem.as_ref()?;
        Some(format!("{metric} gets no values from {server}: {problem}"))
    }
}

/// The queries of the running rollout. Written by the thread that asks, read by the status.
#[derive(Default)]
pub struct Queries(Mutex<BTreeMap<MetricName, QueryStatus>>);

impl Queries {
    /// Forgets all, for another rollout.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Takes note of an observation of both tracks; whether there was none before for a reason.
    pub(super) fn observed(
        &self,
        (metric, server): (&MetricName, &str),
        at: Timestamp,
        [stable, canary]: [f64; 2],
    ) -> bool {
        let mut queries = self.0.lock();
        let query = entry(&mut queries, metric, server);
        query.observations += 1;
        (query.stable, query.canary, query.observed_at) = (Some(stable), Some(canary), Some(at));
        query.failing_since = None;
        query.problem.take().is_some()
    }

    /// Takes note of why there is no observation; whether the reason is new.
    pub(super) fn failed(
        &self,
        (metric, server): (&MetricName, &str),
        at: Timestamp,
        problem: String,
    ) -> bool {
        let mut queries = self.0.lock();
        let query = entry(&mut queries, metric, server);
        query.failing_since.get_or_insert(at);
        query.problem.replace(problem) != query.problem
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<QueryStatus> {
        self.0.lock().values().cloned().collect()
    }
}

fn entry<'a>(
    queries: &'a mut BTreeMap<MetricName, QueryStatus>,
    metric: &MetricName,
    server: &str,
) -> &'a mut QueryStatus {
    queries.entry(metric.clone()).or_insert_with(|| QueryStatus {
        metric: metric.clone(),
        server: server.to_owned(),
        observations: 0,
        observed_at: None,
        stable: None,
        canary: None,
        problem: None,
        failing_since: None,
    })
}
