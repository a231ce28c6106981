//! How does a terminal show what labels say, and the watch after a promotion?

use serde_json::Value;

use crate::cli::show;
use crate::cli::show::styled;

/// What labels say of each track, as lines; none before the first label.
pub fn quality(quality: &Value) -> Vec<String> {
    let tracks = ["stable", "canary"].map(|name| (name, &quality[name]));
    if tracks.iter().all(|(_, track)| track["labels"].as_u64().unwrap_or_default() == 0) {
        return Vec::new();
    }
    let columns = [
        ("log-loss", "log_loss"),
        ("brier", "brier"),
        ("auc", "auc"),
        ("calibration", "calibration_error"),
    ];
    let header = ["", "labels"].into_iter().chain(columns.iter().map(|(name, _)| *name));
    let rows = tracks.map(|(name, track)| {
        let numbers = columns.iter().map(|(_, field)| show::number(&track[*field], 4));
        let labels = track["labels"].as_u64().unwrap_or_default().to_string();
        [name.to_owned(), labels].into_iter().chain(numbers).collect::<Vec<_>>()
    });
    show::aligned(header, rows)
}

/// The promotion that is watched, as lines; none if none is.
pub fn post_promotion(status: &Value) -> Vec<String> {
    let note = status["note"].as_str().map(|note| show::wrapped(&show::plain(note), ""));
    let mut lines: Vec<String> = note.into_iter().collect();
    let watch = &status["post_promotion"];
    if watch.is_null() {
        return lines;
    }
    let then = match watch["action"].as_str() {
        Some("revert") => "harm reverts it",
        Some(_) | None => "harm is reported",
    };
    lines.push(format!(
        "{}  the promotion of rollout {} until {}; {then}; {} is kept",
        styled(show::STRONG, "watch"),
        watch["rollout"],
        show::text(&watch["until"]),
        show::text(&watch["previous"]),
    ));
    if watch["harm"].is_string() {
        lines.push(styled(show::BAD, show::wrapped(&show::text(&watch["harm"]), "        ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_shown_once_there_are_any() {
        let none = json!({ "stable": { "labels": 0 }, "canary": { "labels": 0 } });
        assert!(quality(&none).is_empty() && quality(&Value::Null).is_empty());
        let one = json!({ "stable": { "labels": 3, "log_loss": 0.25 }, "canary": { "labels": 0 } });
        let lines = quality(&one).join("\n");
        assert!(lines.contains("0.2500") && lines.contains("calibration"), "{lines}");
    }

    #[test]
    fn a_watch_says_what_it_would_do() {
        assert!(post_promotion(&json!({ "post_promotion": null })).is_empty());
        let watch = json!({ "rollout": 3, "until": "2030-01-01T00:00:00Z", "previous": "model_v1",
                            "action": "revert", "harm": "brier fails" });
        let lines = post_promotion(&json!({ "post_promotion": watch })).join("\n");
        for said in ["rollout 3", "model_v1 is kept", "harm reverts it", "brier fails"] {
            assert!(lines.contains(said), "{lines}");
        }
    }
}
