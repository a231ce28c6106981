//! What the traffic before a plan says of it: how long it takes, and whether it will get a verdict.

use jiff::Timestamp;

use super::SequentialJudge;
use crate::canary::Rollout;
use crate::canary::judge::forecast::least_keys;
use crate::canary::judge::forecast::least_requests;
use crate::service::serving::live::Live;
use crate::service::status::plan::PlanTime;
use crate::service::status::report::words::duration;
use crate::text::durations::words;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::share;
use crate::text::numbers::two_digits;

/// A step at which the canary gets no user at all with a larger probability is warned of.
const MAX_EMPTY: f64 = 0.01;

impl SequentialJudge {
    /// Why a plan that begins now will hardly get a verdict, or may wait at a step: keys come back, and too few new ones
    /// come.
    pub(crate) fn few_users(
        &mut self,
        rollout: &Rollout,
        before: &Live,
        now: Timestamp,
    ) -> Option<String> {
        self.count_arrivals(before, now);
        let visits = before.visitors.visits();
        if rollout.mode().is_manual() || visits.repeated == 0 {
            return None;
        }
        let plan = &rollout.policy.plan;
        let per_second = self.arrivals.users_per_second(now)?;
        let judge = &rollout.policy.judge;
        let weights = || plan.steps.iter().map(|step| step.weight);
        let needed =
            weights().filter_map(|it| Some(least_requests(judge, it)?.min(least_keys(judge, it)?)));
        let needed = needed.min()?;
        let come = visits.first as f64 + per_second * plan.deadline.as_secs_f64();
        if come < needed as f64 {
            return Some(format!(
                "too few users for this plan: {} came before it, and lately {} new ones a second, while a verdict \
                 takes at least {} within {}; give the steps a larger share, or the plan a longer deadline",
                grouped(visits.first),
                number(two_digits(per_second)),
                grouped(needed),
                words(plan.deadline),
            ));
        }
        let weight = weights().find(|weight| !weight.is_zero())?;
        let none = (come * (-weight.share()).ln_1p()).exp();
        (none > MAX_EMPTY).then(|| {
            format!(
                "few users for the step of {weight}: of {} that came before it about {} will be the canary's, and with a \
                 probability of {} none; the step waits for {} requests of them, at most until the deadline; begin with a \
                 larger share",
                grouped(visits.first),
                number(two_digits(visits.first as f64 * weight.share())),
                share(two_digits(none)),
                grouped(plan.min_samples),
            )
        })
    }

    /// How long the plan of a rollout takes at least at the traffic before it; `None` by hand, or without traffic.
    pub(crate) fn time_of_plan(&self, rollout: &Rollout, now: Timestamp) -> Option<PlanTime> {
        let requests_per_second =
            self.arrivals.requests_per_second(now).filter(|rate| *rate > 0.0)?;
        let at_least_seconds = rollout.policy.plan.least_seconds(requests_per_second);
        (!rollout.mode().is_manual()).then_some(PlanTime { requests_per_second, at_least_seconds })
    }

    /// Why a plan that begins now will hardly get a verdict before its deadline: too few requests come.
    pub(crate) fn slow_plan(&self, rollout: &Rollout, now: Timestamp) -> Option<String> {
        let PlanTime { requests_per_second, at_least_seconds } = self.time_of_plan(rollout, now)?;
        let plan = &rollout.policy.plan;
        (at_least_seconds > plan.deadline.as_secs_f64()).then(|| {
            format!(
                "too little traffic for this plan: at {} requests/s, as before it, its steps take at least {} to get \
                 {} samples of each version, and it ends without a verdict after {}; give the steps larger shares, or \
                 the plan fewer min_samples or a longer deadline",
                number(two_digits(requests_per_second)),
                duration(at_least_seconds),
                grouped(plan.min_samples),
                words(plan.deadline),
            )
        })
    }
}
