//! Metrics of a server for Prometheus, and as JSON.
//!
//! Written when they are asked for, from what is counted anyway. Labels have values of closed sets: tracks, kinds of
//! failures, states, the metrics of the policy, the classes of the model. Nothing that a client sends becomes one.
//!
//! - `traffic`: requests, latencies, scores, fallbacks, inference threads.
//! - `rollout`: state, weights, circuit breaker. `verdict`: what the judge concludes of each metric.
//! - [`summary`]: the same as JSON for a look by hand.

pub(crate) mod durations;
mod rollout;
pub mod summary;
mod traffic;
mod verdict;

use jiff::Timestamp;

use crate::canary::Judgement;
use crate::canary::State;
use crate::canary::Track;
use crate::service::reported::prometheus::status::QueryStatus;
use crate::service::serving::live::Live;
use crate::service::serving::live::Loaded;
use crate::service::serving::recorder::Observed;
use crate::service::serving::totals::Totals;
use crate::service::serving::totals::exemplars::Exemplars;
use crate::text::exposition::Exposition;
use crate::text::exposition::Format;
use crate::text::exposition::Kind;

/// What a scrape reads.
pub(crate) struct Snapshot<'a> {
    pub(crate) state: &'a State,
    /// The length of the journal.
    pub(crate) revision: u64,
    pub(crate) live: &'a Live,
    /// Since the start of the process.
    pub(crate) totals: Totals,
    pub(crate) exemplars: &'a Exemplars,
    /// Of the current step.
    pub(crate) observed: Observed,
    /// Of the rollout, or of the monitored promotion.
    pub(crate) judgement: Option<Judgement>,
    /// When the newest tick closed.
    pub(crate) as_of: Option<Timestamp>,
    /// Requests that wait for the shadow thread.
    pub(crate) shadow_waiting: usize,
    /// Of the running rollout.
    pub(crate) queries: Vec<QueryStatus>,
    pub(crate) storage: Storage,
}

/// How the store is doing.
pub(crate) struct Storage {
    /// Whether the last save succeeded.
    pub(crate) is_up: bool,
    /// Saves that failed.
    pub(crate) failures: u64,
    /// How many saves took how long, and all of them together in seconds.
    pub(crate) durations: (Vec<u64>, f64),
    /// Whether this replica leads; `None` where no other one can open the store.
    pub(crate) leads: Option<bool>,
    /// Whether a rollback took effect and is not in the journal.
    pub(crate) is_rollback_pending: bool,
    /// The size of its files; `None` in memory.
    pub(crate) bytes: Option<u64>,
    pub(crate) evidence: EvidenceBytes,
}

/// Bytes of the tick log of the judged rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EvidenceBytes {
    /// Of the current chunk, saved or not.
    pub(crate) chunk: u64,
    /// Not saved yet.
    pub(crate) unsaved: u64,
}

/// Both tracks in the order in which they are shown.
const TRACKS: [Track; 2] = [Track::Stable, Track::Canary];

impl Snapshot<'_> {
    /// The metrics as text.
    pub(crate) fn written(&self, format: Format) -> String {
        let mut out = Exposition::new(format);
        self.write_versions(&mut out);
        self.write_traffic(&mut out);
        self.write_threads(&mut out);
        self.write_rollout(&mut out);
        self.write_breaker(&mut out);
        self.write_verdict(&mut out);
        self.write_storage(&mut out);
        out.finish()
    }

    fn write_versions(&self, out: &mut Exposition) {
        out.family(Kind::Info, "serin_build", "The running serin.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], true);
        let mut models = out.family(Kind::Info, "serin_model", "The model versions that answer.");
        for track in TRACKS {
            let Some(loaded) = self.loaded(track) else { continue };
            let library = loaded.library().unwrap_or_default();
            let labels = [
                ("track", track.name()),
                ("version", &loaded.version.name),
                ("digest", short(&loaded.version.digest)),
                ("library", &library),
            ];
            models.sample(&labels, true);
        }
    }

    fn write_storage(&self, out: &mut Exposition) {
        let Storage { is_up, failures, durations, leads, is_rollback_pending, bytes, evidence } =
            &self.storage;
        let gauge = Kind::Gauge;
        out.one(gauge, "serin_store_up", "Whether the last save into the store succeeded.", *is_up);
        out.one(
            Kind::Counter,
            "serin_store_failures",
            "Saves into the store that failed.",
            *failures,
        );
        let help = "Duration of a save: exchange with other replicas, judge, write.";
        let (counts, sum) = durations;
        out.family(Kind::Histogram, "serin_save_duration_seconds", help).histogram(
            &[],
            (durations::BOUNDS, counts),
            Some(*sum),
        );
        if let Some(leads) = leads {
            let help = "Whether this replica leads, so that it judges and decides for all.";
            out.one(gauge, "serin_replica_leads", help, *leads);
        }
        if let Some(bytes) = bytes {
            out.one(gauge, "serin_store_bytes", "Size of the files of the store.", *bytes);
        }
        out.one(Kind::Counter, "serin_journal_entries", "Entries of the journal.", self.revision);
        let help = "Whether a rollback took effect and is not in the journal yet.";
        out.one(gauge, "serin_journal_rollback_pending", help, *is_rollback_pending);
        let help = "Size of the newest chunk of the tick log.";
        out.one(gauge, "serin_evidence_chunk_bytes", help, evidence.chunk);
        let help = "Size of the ticks that are not in the store yet.";
        out.one(gauge, "serin_evidence_unsaved_bytes", help, evidence.unsaved);
    }

    /// The version of a track.
    fn loaded(&self, track: Track) -> Option<&Loaded> {
        match track {
            Track::Stable => Some(&self.live.stable),
            Track::Canary => self.live.canary.as_ref().map(|slot| &*slot.loaded),
        }
    }
}

/// Enough of a digest to find its file.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1e3
}
