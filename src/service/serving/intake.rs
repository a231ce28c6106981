//! Intake: reads the rows of a request once for both versions, and counts what a version needs and does not get.

use std::borrow::Cow;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::recorder::thread_number;
use crate::canary::Track;
use crate::canary::rollout::state::Clients;
use crate::model::Features;
use crate::model::Row;
use crate::model::RowError;
use crate::model::Schema;
use crate::model::schema::Joint;
use crate::model::schema::features::Known;
use crate::model::schema::joint::Gap;
use crate::model::schema::joint::MAX_LACKING;
use crate::model::schema::joint::Seen;
use crate::model::schema::joint::Selection;

/// What requests may contain, and how each version gets what it takes of them.
pub struct Intake {
    layout: Arc<Layout>,
    /// Of stable and of the canary.
    stable: Selection,
    canary: Option<Selection>,
    /// Whether positions mean something else once the canary is stable.
    positions_change: bool,
    /// What is counted, and for which track it counts.
    gaps: Vec<(Track, Counted)>,
    shards: Box<[CachePadded<Mutex<Windows>>]>,
}

/// Rows that were read. Most requests have one, which needs no allocation.
pub(crate) type Fitted<'a> = SmallVec<[Row<'a>; 1]>;

/// The features of a row, in order.
pub(crate) struct Layout {
    pub(crate) joint: Joint,
    /// The places of values that are never kept.
    pub(crate) redacted: Vec<usize>,
}

/// What a request can lack for a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A value of this feature.
    Feature(String),
    /// A known word of this feature.
    Word(String),
}

/// Counts over the latest requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latest {
    /// How many requests.
    pub requests: u64,
    /// How many had values by position, if positions mean something else once the canary is stable.
    pub by_position: u64,
    /// What was lacking, for which version, and in how many requests; only what was lacking at all.
    pub lacking: Vec<(Track, Counted, u64)>,
}

/// Requests of one thread in a window. Two are kept, so that the counts follow what clients send now.
const WINDOW: u64 = 500;

#[derive(Default)]
struct Windows {
    now: Window,
    before: Window,
}

#[derive(Default)]
struct Window {
    requests: u64,
    by_position: u64,
    /// By gap; empty if there was none.
    gaps: Vec<u64>,
}

impl Intake {
    /// The intake of these versions. Values of the features to redact are never kept.
    pub(crate) fn new(
        stable: &Schema,
        canary: Option<&Schema>,
        clients: &Clients,
        redact: &[String],
        threads: usize,
    ) -> Intake {
        let joint = Joint::new(stable, canary, &clients.may_lack, &clients.may_send);
        let rows = joint.schema();
        let names = rows.feature_names().enumerate();
        let redacted =
            names.filter(|(_, name)| redact.iter().any(|it| it == name)).map(|(place, _)| place);
        let gaps = joint.gaps().map(|gap| match gap {
            Gap::Absent(name) if stable.feature(name).is_some() => (Track::Stable, feature(name)),
            Gap::Absent(name) => (Track::Canary, feature(name)),
            Gap::UnknownToOther(name) => (Track::Canary, Counted::Word(name.to_owned())),
            Gap::UnknownToStable(name) => (Track::Stable, Counted::Word(name.to_owned())),
        });
        Intake {
            stable: Selection::new(rows, stable),
            canary: canary.map(|canary| Selection::new(rows, canary)),
            positions_change: canary.is_some_and(|canary| !canary.has_order_of(stable)),
            gaps: gaps.collect(),
            shards: (0..threads.max(1)).map(|_| CachePadded::default()).collect(),
            layout: Arc::new(Layout { redacted: redacted.collect(), joint }),
        }
    }

    /// The features that requests may have.
    pub(crate) fn known(&self) -> Known<'_> {
        self.layout.joint.known()
    }

    /// Whether requests may have this feature.
    pub(crate) fn accepts(&self, name: &str) -> bool {
        self.layout.joint.accepts(name)
    }

    /// How rows are laid out.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Reads the rows of a request.
    ///
    /// # Errors
    /// The number of the first row that does not fit, and why.
    pub(crate) fn rows<'a>(
        &self,
        rows: Vec<Features<'a>>,
        is_counted: bool,
    ) -> Result<Fitted<'a>, (usize, RowError)> {
        let mut fitted = Fitted::with_capacity(rows.len());
        let (mut seen, mut lacking) = (Seen::default(), 0);
        for (number, features) in rows.into_iter().enumerate() {
            let sent = features.count();
            let row =
                self.layout.joint.row(features, &mut seen).map_err(|cause| (number, cause))?;
            lacking += row.width().saturating_sub(sent);
            if lacking > MAX_LACKING {
                return Err((number, RowError::LacksTooMany { most: MAX_LACKING }));
            }
            fitted.push(row);
        }
        if is_counted && (self.positions_change || !self.gaps.is_empty()) {
            self.count(&seen);
        }
        Ok(fitted)
    }

    fn count(&self, seen: &Seen) {
        let mut windows = self.shards[thread_number() % self.shards.len()].lock();
        if windows.now.requests == WINDOW {
            windows.before = std::mem::take(&mut windows.now);
        }
        let window = &mut windows.now;
        window.requests += 1;
        window.by_position += u64::from(seen.by_position && self.positions_change);
        if !seen.gaps.is_empty() {
            window.gaps.resize(self.gaps.len(), 0);
        }
        for (count, is_seen) in window.gaps.iter_mut().zip(&seen.gaps) {
            *count += u64::from(*is_seen);
        }
    }

    /// The rows of this track, from rows of this layout; `None` as in [`Intake::of_canary`].
    pub(crate) fn of<'r, 'a>(
        &self,
        track: Track,
        layout: &Layout,
        version: &Schema,
        rows: &'r [Row<'a>],
    ) -> Option<Cow<'r, [Row<'a>]>> {
        // Requests of an earlier intake may wait for the canary, or be kept.
        if !std::ptr::eq(layout, &*self.layout) {
            return bounded(&Selection::new(layout.joint.schema(), version), rows);
        }
        match track {
            Track::Stable => Some(self.of_stable(rows)),
            Track::Canary => self.of_canary(rows),
        }
    }

    /// The rows of stable. Rows have at least as many values as it takes.
    pub(crate) fn of_stable<'r, 'a>(&self, rows: &'r [Row<'a>]) -> Cow<'r, [Row<'a>]> {
        selected(&self.stable, rows)
    }

    /// The rows of the canary; `None` above the limit of lacking values: stable answers.
    pub(crate) fn of_canary<'r, 'a>(&self, rows: &'r [Row<'a>]) -> Option<Cow<'r, [Row<'a>]>> {
        bounded(self.canary.as_ref()?, rows)
    }

    /// The counts over the latest requests.
    pub fn latest(&self) -> Latest {
        let mut latest = Latest::default();
        let mut gaps = vec![0; self.gaps.len()];
        for shard in &self.shards {
            let windows = shard.lock();
            for window in [&windows.now, &windows.before] {
                latest.requests += window.requests;
                latest.by_position += window.by_position;
                gaps.iter_mut().zip(&window.gaps).for_each(|(all, one)| *all += one);
            }
        }
        let lacking = self.gaps.iter().zip(gaps).filter(|(_, requests)| *requests > 0);
        latest.lacking =
            lacking.map(|((track, what), requests)| (*track, what.clone(), requests)).collect();
        latest
    }
}

fn feature(name: &str) -> Counted {
    Counted::Feature(name.to_owned())
}

fn bounded<'r, 'a>(selection: &Selection, rows: &'r [Row<'a>]) -> Option<Cow<'r, [Row<'a>]>> {
    (!selection.is_too_wide_for(rows)).then(|| selected(selection, rows))
}

fn selected<'r, 'a>(selection: &Selection, rows: &'r [Row<'a>]) -> Cow<'r, [Row<'a>]> {
    match selection.takes_whole(rows) {
        true => Cow::Borrowed(rows),
        false => rows.iter().map(|row| selection.of(row)).collect(),
    }
}
