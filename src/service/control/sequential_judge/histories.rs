//! How the interval of each metric has narrowed. What was before a start is read from the tick log once it is asked for,
//! so that a long log delays no start.

use thiserror::Error;

use super::SequentialJudge;
use crate::canary::JudgePolicy;
use crate::canary::Refusal;
use crate::canary::judge::monitors::ALGORITHM;
use crate::canary::judge::sequential::metric_history::MetricHistories;
use crate::canary::judge::sequential::metric_history::MetricHistory;
use crate::service::control::Control;
use crate::store::ReplicaId;
use crate::store::Store;
use crate::store::StoreError;
use crate::text::lists::list;

/// Why there is no history of a metric.
#[derive(Debug, Error)]
pub enum NoHistory {
    /// Nothing is judged.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The rollout does not judge such a metric.
    #[error("rollout {rollout} judges no metric {asked:?}; use {}", list(.judged))]
    NoSuchMetric {
        /// The rollout.
        rollout: u64,
        /// The name that was asked for.
        asked: String,
        /// The names of its metrics.
        judged: Vec<String>,
    },
}

/// Ticks before the start.
struct Earlier {
    rollout: u64,
    policy: JudgePolicy,
    up_to: u64,
}

impl SequentialJudge {
    /// The ticks before the start, once.
    fn take_earlier(&mut self) -> Option<Earlier> {
        let judged = self.judged.as_mut().filter(|judged| judged.earlier_ticks > 0)?;
        let up_to = std::mem::take(&mut judged.earlier_ticks);
        Some(Earlier { rollout: judged.rollout, policy: judged.policy.clone(), up_to })
    }

    fn put_earlier(&mut self, rollout: u64, earlier: MetricHistories) {
        if let Some(judged) = self.judged.as_mut().filter(|judged| judged.rollout == rollout) {
            let later = std::mem::take(&mut judged.histories);
            judged.histories = earlier.continued(later);
        }
    }

    fn history(&self, metric: &str) -> Result<MetricHistory, NoHistory> {
        let judged = self.judged.as_ref().ok_or(Refusal::NoCanary)?;
        let (rollout, policy) = (judged.rollout, &judged.policy);
        judged.histories.of(rollout, policy, metric).ok_or_else(|| NoHistory::NoSuchMetric {
            rollout,
            asked: metric.to_owned(),
            judged: policy.metrics.iter().map(|metric| metric.name.to_string()).collect(),
        })
    }
}

impl Control {
    /// How the interval of a metric of the judged rollout has narrowed. Once after a start it reads the tick log, which
    /// takes up to about a second for each chunk.
    ///
    /// # Errors
    /// When nothing is judged, or not this metric.
    pub fn metric_history(&self, metric: &str) -> Result<MetricHistory, NoHistory> {
        // Others wait for what is read, instead of taking the part since the start for all.
        let _turn = self.reading_ticks.lock();
        let earlier = self.judge.lock().take_earlier();
        if let Some(earlier) = earlier {
            // Not under the lock: ticks go on meanwhile.
            let histories = logged(&*self.store, &earlier).unwrap_or_else(|cause| {
                tracing::warn!(%cause, "the tick log cannot be read; the history of the metrics starts with this process");
                MetricHistories::default()
            });
            self.judge.lock().put_earlier(earlier.rollout, histories);
        }
        self.judge.lock().history(metric)
    }
}

/// The histories of the ticks that are kept. What an earlier version of the judge has taken in is left out.
fn logged(store: &dyn Store, earlier: &Earlier) -> Result<MetricHistories, StoreError> {
    let mut histories = MetricHistories::default();
    let chunks = store.chunks(ReplicaId::ONLY)?;
    for chunk in chunks.into_iter().filter(|chunk| chunk.rollout == earlier.rollout) {
        let snapshot = store.snapshot(ReplicaId::ONLY, chunk)?;
        let Some(snapshot) = snapshot.filter(|it| it.algorithm() == ALGORITHM) else { continue };
        let ticks = store.ticks(ReplicaId::ONLY, chunk)?;
        if let Err(cause) = histories.replay(&earlier.policy, snapshot, &ticks, earlier.up_to) {
            tracing::warn!(%cause, "a part of the history of the metrics is missing");
        }
    }
    Ok(histories)
}
