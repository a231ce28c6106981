//! Judge policy of a service that another server answers, and of values from outside.

use super::JudgePolicy;
use super::built_in;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric_overrides::JudgePolicyOverride;
use crate::text::fields::FieldError;

impl JudgePolicy {
    /// Whether any metric is of requests that serin answers. Otherwise another server answers them, and a rollout waits
    /// for none.
    pub fn judges_requests(&self) -> bool {
        self.metrics.iter().any(|metric| metric.source.is_of_requests())
    }

    /// Keeps of the changed metrics those that have values where another server answers, or adds the others again.
    pub(super) fn keep_judged(
        &self,
        metrics: &mut Vec<Metric>,
        health: &HealthPolicy,
        given: &JudgePolicyOverride,
    ) {
        let is_in =
            |names: &[Metric], metric: &Metric| names.iter().any(|it| it.name == metric.name);
        match given.served_elsewhere {
            Some(true) => metrics.retain(|metric| {
                let is_named = given.metrics.iter().any(|it| it.name == metric.name);
                metric.source.is_from_outside() || is_named
            }),
            Some(false) if !self.judges_requests() => {
                let missing = built_in(health).into_iter().filter(|it| !is_in(metrics, it));
                let missing: Vec<Metric> = missing.collect();
                metrics.extend(missing);
            }
            Some(false) | None => {}
        }
    }

    /// Refuses metrics of queries that no Prometheus answers.
    ///
    /// # Errors
    /// Names the first of them.
    pub fn check_queries(&self, has_prometheus: bool) -> Result<(), FieldError> {
        let mut queried = self.metrics.iter().filter(|metric| metric.query.is_some());
        queried.next().filter(|_| !has_prometheus).map_or(Ok(()), |metric| {
            let message = "no Prometheus is configured; set its url under [prometheus] in serin.toml, for example \
                           \"http://127.0.0.1:9090\"";
            Err(FieldError::new(format!("metrics.{}.query", metric.name), message))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: &JudgePolicy, toml: &str) -> Result<JudgePolicy, String> {
        let given = toml::from_str(toml).unwrap();
        before.changed(&HealthPolicy::default(), &given).map_err(|error| error.to_string())
    }

    fn names(policy: &JudgePolicy) -> Vec<&str> {
        policy.metrics.iter().map(|metric| metric.name.as_str()).collect()
    }

    const QUERY: &str = "[[metrics]]\nname = \"errors\"\nsource = \"prometheus\"\nharm = \"higher\"\n\
                         role = \"guardrail\"\nquery = \"rate(errors{t='$track'}[1m])\"\n";

    #[test]
    fn elsewhere_only_values_from_outside_and_named_metrics_are_judged() {
        let default = JudgePolicy::default();
        let elsewhere = changed(&default, &format!("served_elsewhere = true\n{QUERY}")).unwrap();
        assert_eq!(names(&elsewhere), ["errors"]);
        assert!(!elsewhere.judges_requests() && default.judges_requests());
        // A deployment changes what it names.
        let more =
            changed(&elsewhere, "[[metrics]]\nname = \"revenue\"\nharm = \"lower\"").unwrap();
        assert_eq!(names(&more), ["errors", "revenue"]);
        let again = changed(&elsewhere, "served_elsewhere = false").unwrap();
        let all = ["errors", "latency", "failures", "score", "log_loss", "latency_p99"];
        assert_eq!(names(&again), all);
        let named = "served_elsewhere = true\n[[metrics]]\nname = \"failures\"";
        assert_eq!(names(&changed(&default, named).unwrap()), ["failures"]);
        let error = changed(&default, "served_elsewhere = true").unwrap_err();
        assert!(error.contains("none is a guardrail"), "{error}");
    }

    #[test]
    fn a_deployment_changes_a_part_of_a_query() {
        let before = changed(&JudgePolicy::default(), QUERY).unwrap();
        let tracks =
            "[[metrics]]\nname = \"errors\"\ntracks = { stable = \"v1\", canary = \"v2\" }";
        let after = changed(&before, tracks).unwrap();
        let query = |policy: &JudgePolicy| policy.metrics[5].query.clone().unwrap();
        assert_eq!(query(&after).tracks.canary, "v2");
        assert_eq!(query(&after).query, query(&before).query);
        assert_eq!(after.metrics[5].role, before.metrics[5].role);
        let shorter = "[[metrics]]\nname = \"errors\"\ninterval = \"10s\"";
        let error = changed(&before, shorter).unwrap_err();
        assert!(error.contains("metrics.errors.interval: \"10s\" is shorter"), "{error}");
        let longer = "[[metrics]]\nname = \"errors\"\nquery = \"rate(errors{t='$track'}[5m])\"";
        let error = changed(&before, longer).unwrap_err();
        assert!(error.contains("use \"5m\" or more"), "{error}");
        let text = serde_json::to_string(&after).unwrap();
        assert_eq!(serde_json::from_str::<JudgePolicy>(&text).unwrap(), after);
    }
}
