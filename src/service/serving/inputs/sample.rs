//! Sample of inputs: counts of the rows of some requests, by track.
//!
//! **Which requests.** A thread counts every request until its step has a thousand, or ten thousand where inputs are
//! judged, then one in 32 on average, after gaps of 0 to 62 requests from a generator of its own. Of a batch one row
//! counts, each as likely. Neither depends on the track of the request, its answer, or how long that took, and a request
//! counts before its model runs. So where the split draws the track of each request, the sample is balanced as all
//! requests are.
//!
//! The latest rows of each thread are kept in two windows, so that counts follow what clients send now.

use std::cell::Cell;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::InputPlan;
use super::judged::JudgedInputs;
use super::judged::Waiting;
use crate::canary::Track;
use crate::canary::observed::inputs::BinTable;
use crate::canary::observed::inputs::InputsIncrement;
use crate::model::Row;
use crate::service::serving::recorder::thread_number;

/// What a counted request counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Drawn to stable, as a draw of its own.
    Stable,
    /// Drawn to the canary likewise.
    Canary,
    /// Neither drawn nor the first of its key: it counts as traffic alone.
    Traffic,
}

impl Tally {
    /// The track that the request was drawn to.
    fn track(self) -> Option<Track> {
        match self {
            Tally::Stable => Some(Track::Stable),
            Tally::Canary => Some(Track::Canary),
            Tally::Traffic => None,
        }
    }
}

/// The sampler of the current step.
pub(crate) struct InputSampler {
    plan: Arc<InputPlan>,
    /// `None` where no policy asks for it.
    judged: Option<JudgedInputs>,
    /// Each is written by one thread. One in 32 requests takes the lock.
    shards: Box<[CachePadded<Mutex<Windows>>]>,
}

/// The counts of all threads.
#[derive(Clone, Debug)]
pub(crate) struct Sampled {
    pub(crate) plan: Arc<InputPlan>,
    pub(crate) stable: Counts,
    pub(crate) canary: Counts,
    pub(crate) traffic: Counts,
}

/// Rows, and how many of them fell into each slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) rows: u64,
    pub(crate) slots: Vec<u64>,
}

/// Rows of a thread that are all counted: enough to compare a feature of ten bins.
const DENSE_ROWS: u64 = 1_000;

/// The same where inputs are judged: a doubled share of a tenth of the requests shows after 3,500 rows at 10 %.
const DENSE_ROWS_TO_JUDGE: u64 = 10_000;

/// After them, one request in this many is counted on average. Counting takes about 10 ns a number and 80 ns a word, so
/// a request with a hundred of them gets slower by 30 or 250 ns on average, below 1 % of what it takes.
const EVERY: u32 = 32;

/// Rows of one thread in a window.
const WINDOW: u64 = 20_000;

#[derive(Default)]
struct Windows {
    now: Window,
    before: Window,
    all_rows: u64,
    /// What the judge has not taken in yet; `None` while that is nothing.
    waiting: Option<Box<Waiting>>,
}

/// Counts of 4 bytes: at most [`WINDOW`] rows.
#[derive(Default)]
struct Window {
    rows: [u64; 3],
    slots: [Vec<u32>; 3],
}

thread_local! {
    /// Requests of this thread until the next one counts, and the state of its generator.
    static NEXT: Cell<(u32, u64)> = const { Cell::new((0, 0)) };
}

impl InputSampler {
    /// A sampler without rows.
    pub(crate) fn new(plan: Arc<InputPlan>, is_judged: bool, threads: usize) -> InputSampler {
        let shards = (0..threads.max(1)).map(|_| CachePadded::default()).collect();
        let judged = is_judged.then(|| JudgedInputs::new(&plan));
        InputSampler { plan, judged, shards }
    }

    /// The same sampler without rows.
    pub(crate) fn begun_anew(&self) -> InputSampler {
        InputSampler::new(self.plan.clone(), self.judged.is_some(), self.shards.len())
    }

    /// Counts a request, if it is its turn.
    pub(crate) fn offer(&self, tally: Tally, rows: &[Row<'_>]) {
        let (gap, state) = NEXT.get();
        if gap > 0 {
            NEXT.set((gap - 1, state));
            return;
        }
        self.count(tally, rows, state);
    }

    #[cold]
    fn count(&self, tally: Tally, rows: &[Row<'_>], state: u64) {
        let thread = thread_number();
        let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let random = mixed(state ^ (thread as u64) << 32);
        // Batches are far shorter than 2^32 rows, so that each is as likely.
        let Some(row) = rows.get((random >> 32) as usize % rows.len().max(1)) else { return };
        let slots = self.plan.of_row(row);
        let mut windows = self.shards[thread % self.shards.len()].lock();
        windows.count(tally, &slots, self.plan.slots());
        if let (Some(_), Some(track)) = (&self.judged, tally.track()) {
            windows.waiting.get_or_insert_default().count(track, &slots, self.plan.slots());
        }
        let dense_rows = if self.judged.is_some() { DENSE_ROWS_TO_JUDGE } else { DENSE_ROWS };
        let is_dense = windows.all_rows < dense_rows;
        drop(windows);
        let gap = if is_dense { 0 } else { random as u32 % (2 * EVERY - 1) };
        NEXT.set((gap, state));
    }

    /// The rows of drawn requests since they were last taken, if it is time to take them in: at the latest when it is
    /// overdue. `known`: the bins that the judge knows.
    pub(crate) fn take_drawn(&self, known: Option<&BinTable>, is_overdue: bool) -> InputsIncrement {
        let (Some(judged), Some(known)) = (&self.judged, known) else {
            return InputsIncrement::default();
        };
        let waiting = self.shards.iter().map(|shard| {
            let windows = shard.lock();
            windows.waiting.as_ref().map_or(0, |waiting| waiting.rows)
        });
        match judged.is_due(waiting.sum(), is_overdue) {
            true => judged.increment(&self.take_waiting(), known),
            false => InputsIncrement::default(),
        }
    }

    /// Leaves out the rows of drawn requests so far.
    pub(crate) fn drop_drawn(&self) {
        self.take_waiting();
    }

    fn take_waiting(&self) -> Waiting {
        let mut all = Waiting::default();
        for shard in self.shards.iter().filter(|_| self.judged.is_some()) {
            let taken = shard.lock().waiting.take();
            taken.iter().for_each(|waiting| all.add(waiting));
        }
        all
    }

    /// The counts of the latest rows.
    pub(crate) fn sampled(&self) -> Sampled {
        let none = || Counts { rows: 0, slots: vec![0; self.plan.slots()] };
        let mut all = [none(), none(), none()];
        for shard in &self.shards {
            let windows = shard.lock();
            for window in [&windows.now, &windows.before] {
                let parts = window.rows.iter().zip(&window.slots);
                for (sum, (rows, slots)) in all.iter_mut().zip(parts) {
                    sum.rows += rows;
                    sum.slots.iter_mut().zip(slots).for_each(|(sum, one)| *sum += u64::from(*one));
                }
            }
        }
        let [stable, canary, traffic] = all;
        Sampled { plan: self.plan.clone(), stable, canary, traffic }
    }
}

impl Windows {
    fn count(&mut self, tally: Tally, slots: &[u32], of: usize) {
        if self.now.rows.iter().sum::<u64>() == WINDOW {
            self.before = std::mem::take(&mut self.now);
        }
        self.all_rows += 1;
        let part = match tally {
            Tally::Stable => 0,
            Tally::Canary => 1,
            Tally::Traffic => 2,
        };
        self.now.rows[part] += 1;
        let counts = &mut self.now.slots[part];
        if counts.is_empty() {
            counts.resize(of, 0);
        }
        for slot in slots {
            if let Some(count) = counts.get_mut(*slot as usize) {
                *count += 1;
            }
        }
    }
}

impl Sampled {
    /// The counts of all requests.
    pub(crate) fn all(&self) -> Counts {
        let mut all = self.traffic.clone();
        for part in [&self.stable, &self.canary] {
            all.rows += part.rows;
            all.slots.iter_mut().zip(&part.slots).for_each(|(sum, one)| *sum += one);
        }
        all
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Features;
    use crate::model::Schema;
    use crate::model::schema::Feature;
    use crate::model::schema::FeatureKind;
    use crate::service::serving::inputs::plan::Counted;

    fn schema() -> Schema {
        Schema::new(vec![Feature { name: "x".into(), kind: FeatureKind::Number }]).unwrap()
    }

    fn sampler(is_judged: bool, threads: usize) -> InputSampler {
        let schema = schema();
        let plan = InputPlan::new(&schema, &[], Counted { schema: &schema, inputs: None }, None);
        InputSampler::new(Arc::new(plan), is_judged, threads)
    }

    fn row(x: f64) -> Row<'static> {
        let values = Features::Ordered(vec![crate::model::Value::Number(x)]);
        schema().row(values).unwrap().into_owned()
    }

    #[test]
    fn the_first_thousand_count_and_then_one_in_32() {
        let sampler = sampler(false, 1);
        for number in 0..33_000_u32 {
            let tally = if number % 2 == 0 { Tally::Stable } else { Tally::Canary };
            sampler.offer(tally, &[row(f64::from(number % 2) * 50.0)]);
        }
        let sampled = sampler.sampled();
        let all = sampled.all();
        assert!((1900..2100).contains(&all.rows), "{}", all.rows);
        // The gaps do not keep in step with clients that alternate.
        assert!(sampled.canary.rows.abs_diff(sampled.stable.rows) < 120, "{sampled:?}");
        assert_eq!(all.slots.iter().sum::<u64>(), all.rows);
        // Zero, and 10 to 100.
        assert_eq!(all.slots.iter().filter(|count| **count > 0).count(), 2);
        assert_eq!(sampler.begun_anew().sampled().all().rows, 0);
    }

    #[test]
    fn the_rows_of_a_batch_count_equally_often() {
        let sampler = sampler(false, 1);
        let batch = [row(0.0), row(50.0), row(5000.0), row(-5.0)];
        (0..800).for_each(|_| sampler.offer(Tally::Traffic, &batch));
        let counts = sampler.sampled().traffic;
        let seen: Vec<u64> = counts.slots.iter().copied().filter(|count| *count > 0).collect();
        assert_eq!((counts.rows, seen.len()), (800, 4));
        assert!(seen.iter().all(|count| (150..250).contains(count)), "{seen:?}");
        sampler.offer(Tally::Traffic, &[]);
    }

    #[test]
    fn drawn_rows_wait_for_the_judge_until_they_are_an_eighth_more_or_overdue() {
        let sampler = sampler(true, 2);
        let table = BinTable::default();
        let offer = |rows: u32, tally: Tally, x: f64| {
            (0..rows).for_each(|_| sampler.offer(tally, &[row(x)]));
        };
        let take = |known: &BinTable, is_overdue| sampler.take_drawn(Some(known), is_overdue);
        offer(50, Tally::Traffic, 0.0);
        assert!(take(&table, true).is_empty(), "no row was drawn");
        offer(60, Tally::Stable, 50.0);
        offer(39, Tally::Canary, 0.0);
        assert!(take(&table, false).is_empty());
        offer(1, Tally::Canary, 0.0);
        assert!(sampler.take_drawn(None, true).is_empty(), "they are not judged");
        let taken = take(&table, false);
        let known = taken.table.unwrap();
        let named = |bin: usize| known.features[0].values[bin].as_str();
        let seen = taken.counts.iter().enumerate().filter(|(_, counts)| **counts != [0, 0]);
        let seen: Vec<_> = seen.map(|(bin, counts)| (named(bin), *counts)).collect();
        assert_eq!(seen, [("0", [0, 40]), ("10 to 100", [60, 0])]);
        offer(700, Tally::Stable, 50.0);
        assert_eq!(take(&known, false).table, None, "it is known");
        // An eighth of 800 is 100.
        offer(99, Tally::Stable, 50.0);
        assert!(take(&known, false).is_empty());
        assert_eq!(take(&known, true).counts.iter().flatten().sum::<u64>(), 99);
        offer(10, Tally::Canary, 0.0);
        sampler.drop_drawn();
        assert!(take(&known, true).is_empty());
        assert_eq!(sampler.sampled().all().rows, 959, "the windows keep them");
    }

    #[test]
    fn only_the_latest_rows_of_a_thread_are_kept() {
        let mut windows = Windows::default();
        (0..2 * WINDOW + 5).for_each(|_| windows.count(Tally::Stable, &[0], 2));
        assert_eq!((windows.now.rows[0], windows.before.rows[0]), (5, WINDOW));
        assert_eq!(windows.now.slots[0], [5, 0]);
    }
}
