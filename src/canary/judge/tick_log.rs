//! Tick log: the observations of a rollout, kept to recompute any of its verdicts to the bit.
//!
//! ```text
//! log   = chunks, in order
//! chunk = a snapshot (the monitors after some tick), and the ticks since
//! ```
//!
//! The first snapshot holds stable's observations from before the rollout. Monitors are a function of their
//! snapshot and the ticks, so [`replay`] gives them after any tick that is kept. When a chunk is full, the
//! current monitors become the snapshot of the next one. The oldest chunks can then be deleted, which
//! bounds the log and the work of a replay.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use jiff::Timestamp;
use thiserror::Error;

use super::monitors::Monitors;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment_codec::CodecError;

/// One record of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogRecord {
    /// The start of a chunk. It invalidates any later ticks that the log already has.
    Snapshot(Box<Monitors>),
    /// A tick.
    Tick(LoggedTick),
}

/// A tick as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedTick {
    /// Its number, counted from 1.
    pub number: u64,
    /// The step of the rollout.
    pub step: u32,
    /// When it closed, to the millisecond. For display only.
    pub at: Timestamp,
    /// The encoded increment.
    pub increment: Vec<u8>,
}

/// The key of a chunk; older chunks sort first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chunk {
    /// The rollout.
    pub rollout: u64,
    /// The number of ticks before it, which its snapshot holds.
    pub start: u64,
}

/// Limits of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A chunk with more bytes is full.
    pub chunk_bytes: u64,
    /// Chunks of one rollout.
    pub chunks_per_rollout: usize,
    /// Chunks of all rollouts.
    pub chunks: usize,
    /// Bytes buffered in memory while the store fails.
    pub unsaved_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            // 15,000 ticks at 100 requests a second, replayed within about a second: what asking for
            // an old verdict may take.
            chunk_bytes: 4 << 20,
            // 32 MiB: more than a day at 100 requests a second (270 bytes each), and no disk is too
            // small for it.
            chunks_per_rollout: 8,
            // 128 MiB. A short rollout takes one chunk, so it is 32 of these, too.
            chunks: 32,
            // An hour at 100 requests a second.
            unsaved_bytes: 1 << 20,
        }
    }
}

/// Why a verdict cannot be recomputed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LogError {
    /// The log does not reach that far.
    #[error("the tick log ends with tick {newest}, before tick {asked}; ask for an earlier one")]
    NotYet {
        /// The newest tick.
        newest: u64,
        /// The tick that was asked for.
        asked: u64,
    },
    /// A tick is missing.
    #[error("the tick log has tick {found} where tick {expected} belongs; restore a backup")]
    Gap {
        /// The tick that belongs there.
        expected: u64,
        /// The tick that is there.
        found: u64,
    },
    /// A tick cannot be read.
    #[error("tick {number} of the tick log cannot be read: {cause}; restore a backup")]
    Damaged {
        /// The tick.
        number: u64,
        /// The cause.
        cause: CodecError,
    },
}

impl LoggedTick {
    /// Bytes of a tick in addition to its increment: number, step, time, and the row of the table.
    const OVERHEAD_BYTES: u64 = 48;

    /// The tick after which the monitors have taken in `number`.
    pub fn new(number: u64, step: u32, at: Timestamp, increment: &Increment) -> LoggedTick {
        let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        LoggedTick { number, step, at, increment: increment.to_bytes() }
    }

    /// Brings the monitors to this tick, and gives what it observed.
    ///
    /// # Errors
    /// When the monitors are not at the tick before it, or it cannot be read.
    pub fn taken_in(&self, monitors: &mut Monitors) -> Result<Increment, LogError> {
        let expected = monitors.ticks() + 1;
        if self.number != expected {
            return Err(LogError::Gap { expected, found: self.number });
        }
        let increment = Increment::from_bytes(&self.increment)
            .map_err(|cause| LogError::Damaged { number: self.number, cause })?;
        monitors.tick(&increment);
        Ok(increment)
    }

    /// Its approximate size on disk.
    pub fn bytes(&self) -> u64 {
        self.increment.len() as u64 + LoggedTick::OVERHEAD_BYTES
    }
}

/// The monitors after `up_to` ticks, from a snapshot and the ticks after it.
///
/// # Errors
/// When one of these ticks is missing or cannot be read.
pub fn replay(snapshot: Monitors, ticks: &[LoggedTick], up_to: u64) -> Result<Monitors, LogError> {
    let mut monitors = snapshot;
    for tick in ticks.iter().take_while(|tick| tick.number <= up_to) {
        tick.taken_in(&mut monitors)?;
    }
    let newest = monitors.ticks();
    if newest == up_to { Ok(monitors) } else { Err(LogError::NotYet { newest, asked: up_to }) }
}

/// The oldest of these chunks, given in ascending order, that are beyond the bounds.
pub fn surplus(chunks: &[Chunk], bounds: &Bounds) -> Vec<Chunk> {
    let mut kept = 0;
    let mut kept_of: BTreeMap<u64, usize> = BTreeMap::new();
    let is_surplus = |chunk: &&Chunk| {
        let of_this = kept_of.entry(chunk.rollout).or_default();
        let is_kept = *of_this < bounds.chunks_per_rollout && kept < bounds.chunks;
        *of_this += usize::from(is_kept);
        kept += usize::from(is_kept);
        !is_kept
    };
    chunks.iter().rev().filter(is_surplus).copied().collect()
}

/// The part of a log that is not saved yet.
#[derive(Debug, Default)]
pub struct Unsaved {
    records: VecDeque<LogRecord>,
    /// The number of records before these.
    before: u64,
    /// Bytes of these records.
    bytes: u64,
    /// Bytes of the current chunk, saved or not.
    chunk_bytes: u64,
}

impl Unsaved {
    /// A log that begins with this snapshot.
    pub fn beginning(snapshot: &Monitors) -> Unsaved {
        let records = VecDeque::from([LogRecord::Snapshot(Box::new(snapshot.clone()))]);
        Unsaved { records, ..Unsaved::default() }
    }

    /// A saved log whose newest chunk has these ticks.
    pub fn after(ticks: &[LoggedTick]) -> Unsaved {
        let chunk_bytes = ticks.iter().map(LoggedTick::bytes).sum();
        Unsaved { chunk_bytes, ..Unsaved::default() }
    }

    /// Adds a tick that the monitors have taken in.
    pub fn push(&mut self, tick: LoggedTick, monitors: &Monitors, bounds: &Bounds) {
        self.bytes += tick.bytes();
        self.chunk_bytes += tick.bytes();
        self.records.push_back(LogRecord::Tick(tick));
        let is_too_much = self.bytes > bounds.unsaved_bytes;
        if is_too_much {
            // The judge goes on, but verdicts before this tick can no longer be recomputed.
            self.before += self.records.len() as u64;
            self.records.clear();
            self.bytes = 0;
        }
        if is_too_much || self.chunk_bytes > bounds.chunk_bytes {
            self.chunk_bytes = 0;
            self.records.push_back(LogRecord::Snapshot(Box::new(monitors.clone())));
        }
    }

    /// The records to save, and the position of their end.
    pub fn records(&self) -> (Vec<LogRecord>, u64) {
        (self.records.iter().cloned().collect(), self.before + self.records.len() as u64)
    }

    /// Bytes of the current chunk, saved or not, and of the records here.
    pub fn bytes(&self) -> (u64, u64) {
        (self.chunk_bytes, self.bytes)
    }

    /// Forgets the records up to a position, which are saved.
    pub fn saved(&mut self, so_far: u64) {
        while self.before < so_far
            && let Some(record) = self.records.pop_front()
        {
            self.before += 1;
            match record {
                LogRecord::Tick(tick) => self.bytes -= tick.bytes(),
                LogRecord::Snapshot(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::observed::samples::Samples;
    use crate::canary::policy::judge_policy::JudgePolicy;
    use crate::canary::traffic::track::Track;
    use crate::canary::traffic::weight::Weight;

    fn at(number: u64) -> Timestamp {
        Timestamp::from_second(number as i64).unwrap()
    }

    /// A second in which both tracks behave alike.
    fn second(number: u64) -> Increment {
        let mut samples = Samples::default();
        for n in 0..20_u64 {
            let spread = ((number * 20 + n) * 2_654_435_761 % 1000) as f64 / 1000.0;
            let track = if n % 10 == 0 { Track::Canary } else { Track::Stable };
            samples.of_mut(track).record(0.010 + 0.010 * spread, &[spread]);
        }
        let weight = Weight::from_percent(10.0).unwrap();
        Increment::between(weight, &Samples::default(), &samples).unwrap()
    }

    fn beginning() -> Monitors {
        Monitors::new(&JudgePolicy::default(), &Default::default())
    }

    /// Monitors after each second, and the ticks.
    fn history(seconds: u64) -> (Vec<Monitors>, Vec<LoggedTick>) {
        let mut monitors = vec![beginning()];
        let ticks = (1..=seconds).map(|number| {
            let increment = second(number);
            let mut next = monitors[monitors.len() - 1].clone();
            next.tick(&increment);
            monitors.push(next);
            LoggedTick::new(number, 1, at(number), &increment)
        });
        let ticks = ticks.collect();
        (monitors, ticks)
    }

    fn bytes(monitors: &Monitors) -> Vec<u8> {
        serde_json::to_vec(monitors).unwrap()
    }

    #[test]
    fn a_replay_gives_the_same_bytes_from_any_snapshot() {
        let (monitors, ticks) = history(40);
        for (base, up_to) in [(0, 0), (0, 1), (0, 40), (17, 17), (17, 30), (39, 40)] {
            let text = bytes(&monitors[base]);
            let read: Monitors = serde_json::from_slice(&text).unwrap();
            let replayed = replay(read, &ticks[base..], up_to as u64).unwrap();
            assert_eq!(bytes(&replayed), bytes(&monitors[up_to]), "{base} to {up_to}");
        }
    }

    #[test]
    fn missing_and_damaged_ticks_are_named() {
        let (_, mut ticks) = history(5);
        assert_eq!(replay(beginning(), &ticks, 6), Err(LogError::NotYet { newest: 5, asked: 6 }));
        assert_eq!(
            replay(beginning(), &ticks[1..], 4),
            Err(LogError::Gap { expected: 1, found: 2 })
        );
        ticks[3].increment.pop();
        assert!(matches!(
            replay(beginning(), &ticks, 4),
            Err(LogError::Damaged { number: 4, cause: _ })
        ));
        assert!(replay(beginning(), &ticks, 3).is_ok());
    }

    #[test]
    fn saved_records_are_forgotten_and_newer_ones_still_wait() {
        let (monitors, ticks) = history(4);
        let bounds = Bounds::default();
        let mut unsaved = Unsaved::beginning(&monitors[0]);
        unsaved.push(ticks[0].clone(), &monitors[1], &bounds);
        let (records, so_far) = unsaved.records();
        assert_eq!(records[0], LogRecord::Snapshot(Box::new(monitors[0].clone())));
        unsaved.push(ticks[1].clone(), &monitors[2], &bounds);
        unsaved.saved(so_far);
        assert_eq!(unsaved.records().0, [LogRecord::Tick(ticks[1].clone())]);
        unsaved.saved(so_far);
        assert!(!unsaved.records.is_empty());
        unsaved.saved(unsaved.records().1);
        assert!(unsaved.records.is_empty() && unsaved.bytes == 0);
    }

    #[test]
    fn a_full_chunk_leads_to_the_snapshot_of_the_next() {
        let (monitors, ticks) = history(60);
        let bounds = Bounds { chunk_bytes: 1000, ..Bounds::default() };
        let mut unsaved = Unsaved::beginning(&monitors[0]);
        for (tick, after) in ticks.iter().zip(&monitors[1..]) {
            unsaved.push(tick.clone(), after, &bounds);
        }
        let mut chunks: Vec<(Monitors, Vec<LoggedTick>)> = Vec::new();
        for record in unsaved.records().0 {
            match record {
                LogRecord::Snapshot(start) => chunks.push((*start, Vec::new())),
                LogRecord::Tick(tick) => chunks.last_mut().unwrap().1.push(tick),
            }
        }
        assert!(chunks.len() > 4, "{}", chunks.len());
        for pair in chunks.windows(2) {
            let [(base, ticks), (next, _)] = pair else { unreachable!() };
            let folded = replay(base.clone(), ticks, next.ticks()).unwrap();
            assert_eq!(bytes(&folded), bytes(next));
        }
    }

    #[test]
    fn while_the_disk_fails_the_buffer_stays_small_and_the_log_starts_again() {
        let (monitors, ticks) = history(60);
        let bounds = Bounds { unsaved_bytes: 1000, ..Bounds::default() };
        let mut unsaved = Unsaved::beginning(&monitors[0]);
        let (_, so_far) = unsaved.records();
        for (tick, after) in ticks.iter().zip(&monitors[1..]) {
            unsaved.push(tick.clone(), after, &bounds);
            assert!(unsaved.bytes <= 1000 && unsaved.records.len() < 20);
        }
        // The records being saved meanwhile are no longer among those that wait.
        unsaved.saved(so_far);
        let (records, _) = unsaved.records();
        let LogRecord::Snapshot(start) = &records[0] else {
            panic!("no snapshot first: {records:?}")
        };
        let rest: Vec<LoggedTick> = ticks[start.ticks() as usize..].to_vec();
        assert_eq!(replay((**start).clone(), &rest, 60), Ok(monitors[60].clone()));
    }

    #[test]
    fn the_oldest_chunks_are_forgotten_first() {
        let of = |rollout, starts: &[u64]| -> Vec<Chunk> {
            starts.iter().map(|start| Chunk { rollout, start: *start }).collect()
        };
        let chunks = [of(1, &[0]), of(2, &[0, 5, 9]), of(3, &[0, 7, 8, 9])].concat();
        let bounds = |of_a_rollout, chunks| Bounds {
            chunks_per_rollout: of_a_rollout,
            chunks,
            ..Bounds::default()
        };
        assert_eq!(surplus(&chunks, &bounds(4, 8)), []);
        assert_eq!(surplus(&chunks, &bounds(3, 8)), of(3, &[0]));
        assert_eq!(
            surplus(&chunks, &bounds(3, 5)),
            [of(3, &[0]), of(2, &[0]), of(1, &[0])].concat()
        );
    }
}
