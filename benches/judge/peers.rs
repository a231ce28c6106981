//! Times of scipy, numpy and statsmodels, from `scripts/judge_peers.py`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serin::canary::Samples;
use serin::stats::Moments;

use super::Fallible;
use super::timing::Timing;
use super::traffic::Traffic;

/// The exit code of the script when the libraries are missing.
const NO_LIBRARIES: i32 = 3;

/// Relative tolerance for exact tests; `tests/stats_reference.rs` checks more closely.
const TOLERANCE: f64 = 1e-5;

/// The output of the script.
#[derive(Deserialize)]
struct Report {
    versions: BTreeMap<String, String>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    seconds: Vec<f64>,
    source: String,
    answer: Option<f64>,
}

/// The times of the libraries, by the name of the work.
pub struct Peers {
    pub versions: String,
    rows: BTreeMap<String, Peer>,
}

pub struct Peer {
    pub timing: Timing,
    /// The input.
    pub source: String,
    answer: Option<f64>,
}

impl Peers {
    /// Runs the script on this traffic. An inner `Err` says why the libraries are missing.
    pub fn ask(traffic: &Traffic, samples: &Samples) -> Fallible<Result<Peers, String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join(".venv/bin/python");
        if !python.exists() {
            return Ok(Err("there is no .venv; run `make .venv/ready`".to_owned()));
        }
        let folder = tempfile::tempdir()?;
        write(folder.path(), traffic, samples)?;
        let script = root.join("scripts/judge_peers.py");
        let ended = Command::new(python).arg(script).arg(folder.path()).output()?;
        let complaint = String::from_utf8_lossy(&ended.stderr);
        if ended.status.code() == Some(NO_LIBRARIES) {
            return Ok(Err(format!(
                "the environment in .venv is incomplete: {}",
                complaint.trim()
            )));
        }
        if !ended.status.success() {
            return Err(format!("judge_peers.py: {}: {complaint}", ended.status).into());
        }
        let report: Report = serde_json::from_slice(&ended.stdout)?;
        let versions: Vec<String> =
            report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut rows = BTreeMap::new();
        for Row { name, seconds, source, answer } in report.rows {
            let timing = Timing::of(seconds).ok_or("judge_peers.py timed nothing")?;
            rows.insert(name, Peer { timing, source, answer });
        }
        Ok(Ok(Peers { versions: versions.join(", "), rows }))
    }

    /// The libraries' side of this work. An error if both got the same numbers and returned different results,
    /// because then they did not do the same work.
    pub fn of(&self, name: &str, answer: Option<f64>) -> Fallible<Option<&Peer>> {
        let Some(peer) = self.rows.get(name) else { return Ok(None) };
        if let (Some(ours), Some(theirs)) = (answer, peer.answer)
            && (ours - theirs).abs() > TOLERANCE * theirs.abs()
        {
            return Err(format!("{name}: serin says {ours}, the peer {theirs}").into());
        }
        Ok(Some(peer))
    }
}

/// The arrays as raw bytes, and the counts.
fn write(folder: &Path, traffic: &Traffic, samples: &Samples) -> Fallible<()> {
    for (name, values) in [
        ("canary_latency", &traffic.canary.latency),
        ("stable_latency", &traffic.stable.latency),
        ("canary_score", &traffic.canary.score),
        ("stable_score", &traffic.stable.score),
    ] {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        fs::write(folder.join(format!("{name}.f64")), bytes)?;
    }
    let tracks = [&samples.canary, &samples.stable];
    let moments = tracks.map(|track| *track.latency.moments());
    let counts = serde_json::json!({
        "failures": tracks.map(|track| track.failures.total()),
        "requests": tracks.map(|track| track.requests),
        "answers": moments.map(|track| track.count()),
        "mean": moments.map(|track| Moments::mean(&track)),
        "std": moments.map(|track| track.std_dev()),
    });
    fs::write(folder.join("counts.json"), counts.to_string())?;
    Ok(())
}
