//! Visits of keys, in cells of keys: what is kept of every request with a key.
//!
//! A key falls into one of [`CELLS`] cells by a hash that is independent of its track. So the memory is constant, and the
//! cells of a track are independent of each other.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::traffic::track::Track;
use crate::stats::sequential::ClusterFailures;
use crate::stats::sequential::ClusterValues;

/// The cells of a track: enough for the precision of a variance, and 16 kB.
pub const CELLS: usize = 256;

/// The visits of the keys in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Requests.
    pub visits: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Of the logarithm of the latency in milliseconds: the sum and the sum of the squares.
    pub log_latency: [f64; 2],
    /// Of the probability that was answered, the same; 0 for other outputs.
    pub score: [f64; 2],
    /// Of the latency in milliseconds, the same.
    #[serde(default)]
    pub latency: [f64; 2],
}

/// Latencies are cut to this range in seconds before the logarithm.
const LATENCIES: std::ops::RangeInclusive<f64> = 1e-9..=1e6;

impl Cell {
    /// Counts an answer after these seconds with this probability.
    pub fn record(&mut self, latency_seconds: f64, score: Option<f64>) {
        let millis = 1e3 * latency_seconds.clamp(*LATENCIES.start(), *LATENCIES.end());
        self.visits += 1;
        if millis.is_finite() {
            let log = millis.ln();
            for (sums, value) in [(&mut self.log_latency, log), (&mut self.latency, millis)] {
                sums[0] += value;
                sums[1] += value * value;
            }
        }
        if let Some(score) = score.filter(|score| score.is_finite()) {
            self.score[0] += score;
            self.score[1] += score * score;
        }
    }

    /// Counts a failure.
    pub fn record_failure(&mut self) {
        self.visits += 1;
        self.failures += 1;
    }

    /// Adds the visits of another worker or time.
    pub fn add(&mut self, other: &Cell) {
        self.visits = self.visits.saturating_add(other.visits);
        self.failures = self.failures.saturating_add(other.failures);
        for place in [0, 1] {
            self.log_latency[place] += other.log_latency[place];
            self.score[place] += other.score[place];
            self.latency[place] += other.latency[place];
        }
    }

    /// The logarithms of the latencies.
    pub fn log_latencies(&self) -> ClusterValues {
        self.answered(self.log_latency)
    }

    /// The latencies in milliseconds.
    pub fn latencies(&self) -> ClusterValues {
        self.answered(self.latency)
    }

    /// The probabilities.
    pub fn scores(&self) -> ClusterValues {
        self.answered(self.score)
    }

    /// The failures.
    pub fn failures(&self) -> ClusterFailures {
        ClusterFailures { requests: self.visits, failures: self.failures }
    }

    fn answered(&self, [sum, squares]: [f64; 2]) -> ClusterValues {
        ClusterValues { count: self.visits.saturating_sub(self.failures), sum, squares }
    }
}

/// The cells of both tracks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    stable: Vec<Cell>,
    canary: Vec<Cell>,
}

impl Default for Cells {
    fn default() -> Cells {
        let none = || vec![Cell::default(); CELLS];
        Cells { stable: none(), canary: none() }
    }
}

impl Cells {
    /// The cells of a track.
    pub fn of(&self, track: Track) -> &[Cell] {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }

    /// A cell of a track, to record into; `None` if the cell does not exist.
    pub fn of_mut(&mut self, track: Track, cell: u8) -> Option<&mut Cell> {
        match track {
            Track::Stable => self.stable.get_mut(usize::from(cell)),
            Track::Canary => self.canary.get_mut(usize::from(cell)),
        }
    }

    /// Adds the visits of another worker.
    pub fn merge(&mut self, other: &Cells) {
        for (ours, theirs) in [(&mut self.stable, &other.stable), (&mut self.canary, &other.canary)]
        {
            ours.iter_mut().zip(theirs).for_each(|(one, other)| one.add(other));
        }
    }

    /// Adds the visits of a tick.
    pub fn add(&mut self, increment: &VisitsIncrement) {
        let VisitsIncrement { stable, canary } = increment;
        for (track, visited) in [(Track::Stable, stable), (Track::Canary, canary)] {
            for one in visited {
                if let Some(sums) = self.of_mut(track, one.cell) {
                    sums.add(&one.sums());
                }
            }
        }
    }

    /// Visits of a track.
    pub fn visits(&self, track: Track) -> u64 {
        self.of(track).iter().fold(0, |sum, cell| sum.saturating_add(cell.visits))
    }
}

/// The cells that were visited since an earlier tick, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VisitsIncrement {
    /// Stable's.
    pub stable: Vec<Visited>,
    /// The canary's.
    pub canary: Vec<Visited>,
}

/// A cell that was visited. Sums are rounded to 32 bits, which takes half the room in the tick log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visited {
    /// Its number.
    pub cell: u8,
    /// See [`Cell::visits`].
    pub visits: u64,
    /// See [`Cell::failures`].
    pub failures: u64,
    /// See [`Cell::log_latency`].
    pub log_latency: [f32; 2],
    /// See [`Cell::score`].
    pub score: [f32; 2],
    /// See [`Cell::latency`]. Not part of the serde format: the codec writes them after the rest.
    #[serde(skip)]
    pub latency: [f32; 2],
}

impl Visited {
    fn new(cell: usize, sums: &Cell) -> Option<Visited> {
        let Cell { visits, failures, log_latency, score, latency } = *sums;
        let cell = u8::try_from(cell).ok().filter(|_| visits > 0)?;
        let rounded = |sums: [f64; 2]| sums.map(|sum| sum as f32);
        let [log_latency, score, latency] = [log_latency, score, latency].map(rounded);
        Some(Visited { cell, visits, failures, log_latency, score, latency })
    }

    /// Adds the visits of the same cell on another replica.
    fn add(&mut self, other: &Visited) {
        let mut sums = self.sums();
        sums.add(&other.sums());
        *self = Visited::new(self.cell.into(), &sums).unwrap_or(*self);
    }

    fn sums(&self) -> Cell {
        let Visited { visits, failures, log_latency, score, latency, .. } = *self;
        let [log_latency, score, latency] =
            [log_latency, score, latency].map(|sums| sums.map(f64::from));
        Cell { visits, failures, log_latency, score, latency }
    }

    fn is_sound(&self) -> bool {
        let sums = self.log_latency.iter().chain(&self.score).chain(&self.latency);
        self.failures <= self.visits && sums.copied().all(f32::is_finite)
    }
}

impl From<&Cells> for VisitsIncrement {
    /// The visited ones.
    fn from(cells: &Cells) -> VisitsIncrement {
        let visited = |track| {
            let cells = cells.of(track).iter().enumerate();
            cells.filter_map(|(cell, sums)| Visited::new(cell, sums)).collect()
        };
        VisitsIncrement { stable: visited(Track::Stable), canary: visited(Track::Canary) }
    }
}

impl VisitsIncrement {
    /// Whether no cell was visited.
    pub fn is_empty(&self) -> bool {
        self.stable.is_empty() && self.canary.is_empty()
    }

    /// Adds the visits on another replica.
    pub(super) fn merge(&mut self, other: &VisitsIncrement) {
        let tracks = [(&mut self.stable, &other.stable), (&mut self.canary, &other.canary)];
        for (ours, theirs) in tracks {
            for visited in theirs {
                match ours.binary_search_by_key(&visited.cell, |one| one.cell) {
                    Ok(place) => {
                        ours.iter_mut().skip(place).take(1).for_each(|one| one.add(visited))
                    }
                    Err(place) => ours.insert(place, *visited),
                }
            }
        }
    }

    /// The sums of the latencies in milliseconds: of stable's cells, then of the canary's.
    pub(super) fn latencies(&self) -> Vec<[f32; 2]> {
        self.stable.iter().chain(&self.canary).map(|one| one.latency).collect()
    }

    /// The same visits with these sums of latencies; `None` if their number is another.
    pub(super) fn with_latencies(mut self, latencies: &[[f32; 2]]) -> Option<VisitsIncrement> {
        let visited = self.stable.iter_mut().chain(&mut self.canary);
        visited.zip(latencies).for_each(|(one, sums)| one.latency = *sums);
        (latencies.len() == self.stable.len() + self.canary.len()).then_some(self)
    }

    /// Whether all numbers can be counted with.
    pub(super) fn is_sound(&self) -> bool {
        self.stable.iter().chain(&self.canary).all(Visited::is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_workers_and_ticks_add_up() {
        let (mut one, mut two) = (Cells::default(), Cells::default());
        one.of_mut(Track::Canary, 7).unwrap().record(0.001, Some(0.25));
        two.of_mut(Track::Canary, 7).unwrap().record(0.002, Some(0.5));
        two.of_mut(Track::Stable, 255).unwrap().record_failure();
        one.merge(&two);
        let increment = VisitsIncrement::from(&one);
        assert_eq!((increment.stable.len(), increment.canary.len()), (1, 1));
        assert_eq!(increment.canary[0].score, [0.75, 0.3125]);
        assert!(increment.is_sound() && !increment.is_empty());
        let mut sum = Cells::default();
        (0..2).for_each(|_| sum.add(&increment));
        assert_eq!((sum.visits(Track::Canary), sum.visits(Track::Stable)), (4, 2));
        let values = sum.of(Track::Canary)[7].log_latencies();
        assert!((values.sum - 2.0 * 2.0_f64.ln()).abs() < 1e-6 && values.count == 4);
        assert_eq!(sum.of(Track::Stable)[255].latencies().count, 0);
        assert_eq!(sum.of(Track::Stable)[255].failures().failures, 2);
    }

    #[test]
    fn latencies_of_any_size_leave_finite_sums() {
        let mut cell = Cell::default();
        for latency in [0.0, -1.0, f64::INFINITY, f64::NAN, 1e-300] {
            cell.record(latency, Some(f64::NAN));
        }
        let sums = cell.log_latency.iter().chain(&cell.score).chain(&cell.latency);
        assert!(sums.copied().all(f64::is_finite));
        assert_eq!(cell.visits, 5);
    }
}
