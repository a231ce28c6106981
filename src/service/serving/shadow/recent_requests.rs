//! Recent requests, kept if configured, to replay them to a canary before it gets traffic.
//!
//! Each worker has its own part, so that workers do not wait for each other. While a part is being read, its
//! worker's requests are not kept.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::model::Row;
use crate::model::Value;
use crate::service::serving::intake::Layout;
use crate::service::serving::recorder::thread_number;

/// About how many bytes of requests are kept.
pub(crate) const MAX_BYTES: usize = 32 << 20;

/// A kept request.
pub(crate) struct RecentRequest {
    /// Without redacted values.
    pub(crate) rows: Arc<Vec<Row<'static>>>,
    /// How they are laid out.
    pub(crate) layout: Arc<Layout>,
    bytes: usize,
    /// The last rollout that compared it; 0: none.
    pub(crate) compared_in: u64,
}

/// The latest requests.
pub(crate) struct RecentRequests {
    parts: Box<[CachePadded<Mutex<Part>>]>,
    /// Requests and bytes of a part.
    most: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Part {
    requests: VecDeque<RecentRequest>,
    bytes: usize,
}

impl RecentRequests {
    /// Room for this many requests; 0: off.
    pub(crate) fn new(capacity: usize, workers: usize) -> RecentRequests {
        let parts = workers.clamp(1, capacity.max(1));
        RecentRequests {
            parts: (0..parts).map(|_| CachePadded::default()).collect(),
            most: capacity / parts,
            most_bytes: MAX_BYTES / parts,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.most > 0
    }

    /// Keeps a request in place of the oldest.
    pub(crate) fn keep(&self, rows: &[Row<'_>], layout: &Arc<Layout>, compared_in: u64) {
        let Some(mut part) = self.parts[thread_number() % self.parts.len()].try_lock() else {
            return;
        };
        let bytes = bytes_of(rows);
        if bytes > self.most_bytes {
            return;
        }
        while part.requests.len() >= self.most || part.bytes + bytes > self.most_bytes {
            let Some(oldest) = part.requests.pop_front() else { break };
            part.bytes -= oldest.bytes;
        }
        let kept = rows.iter().map(|row| row.clone().without(&layout.redacted).into_owned());
        part.bytes += bytes;
        let rows = Arc::new(kept.collect());
        let layout = layout.clone();
        part.requests.push_back(RecentRequest { rows, layout, bytes, compared_in });
    }

    /// How many are kept, and up to `room` that this rollout has not compared yet. From now on these count as
    /// compared.
    pub(crate) fn take_for(&self, rollout: u64, room: usize) -> (usize, Vec<RecentRequest>) {
        let (mut all, mut taken) = (0, Vec::new());
        for part in &self.parts {
            let mut part = part.lock();
            all += part.requests.len();
            for kept in part.requests.iter_mut().filter(|kept| kept.compared_in != rollout) {
                if taken.len() >= room {
                    break;
                }
                kept.compared_in = rollout;
                let (rows, layout, bytes) = (kept.rows.clone(), kept.layout.clone(), kept.bytes);
                taken.push(RecentRequest { rows, layout, bytes, compared_in: rollout });
            }
        }
        (all, taken)
    }
}

/// About how many bytes these rows take.
pub(crate) fn bytes_of(rows: &[Row<'_>]) -> usize {
    let of_row = |row: &Row<'_>| {
        let text = row.values().iter().map(|value| match value {
            Value::Text(text) => text.len(),
            Value::Number(_) | Value::Missing => 0,
        });
        64 + size_of_val(row.values()) + text.sum::<usize>()
    };
    rows.iter().map(of_row).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Features;
    use crate::model::ensure_default_models;
    use crate::service::serving::intake::Intake;

    fn row(first: f64) -> (Row<'static>, Arc<Layout>) {
        let models = tempfile::tempdir().unwrap();
        ensure_default_models(models.path()).unwrap();
        let bytes = std::fs::read(models.path().join("model_v1.bin")).unwrap();
        let model = crate::model::Artifact::from_bytes(&bytes).unwrap().model();
        let values = [first, 1.2, 0.8, 0.3, 1.1].map(Value::Number);
        let redact = [model.schema().features()[1].name.clone()];
        let intake = Intake::new(model.schema(), None, &Default::default(), &redact, 1);
        let row = model.schema().row(Features::Ordered(values.to_vec())).unwrap();
        (row, intake.layout().clone())
    }

    #[test]
    fn recent_requests_are_kept_without_redacted_values_and_taken_once_per_rollout() {
        let recent = RecentRequests::new(3, 1);
        let (row, layout) = row(7.0);
        (0..5).for_each(|_| recent.keep(std::slice::from_ref(&row), &layout, 0));
        recent.keep(std::slice::from_ref(&row), &layout, 4);
        let (kept, taken) = recent.take_for(4, 100);
        assert_eq!((kept, taken.len()), (3, 2));
        assert_eq!(
            taken[0].rows[0].values()[..3],
            [Value::Number(7.0), Value::Missing, Value::Number(0.8)]
        );
        assert_eq!(recent.take_for(4, 100).1.len(), 0);
        assert_eq!(recent.take_for(5, 2).1.len(), 2);
        assert_eq!(recent.take_for(5, 2).1.len(), 1);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let recent = RecentRequests::new(1000, 1);
        let (row, layout) = row(1.0);
        let rows = vec![row; 10_000];
        let each = bytes_of(&rows);
        (0..100).for_each(|_| recent.keep(&rows, &layout, 0));
        let (kept, _) = recent.take_for(1, 0);
        assert!(kept > 1 && kept * each <= MAX_BYTES && (kept + 1) * each > MAX_BYTES, "{kept}");
        let off = RecentRequests::new(0, 4);
        assert!(!off.is_on());
    }
}
