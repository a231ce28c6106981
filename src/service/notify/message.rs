//! What does a notification say? The sentence and the numbers of one journal entry.

use ring::hmac;
use serde_json::Value;
use serde_json::json;

use super::target::Format;
use crate::canary::Entry;
use crate::canary::Event;
use crate::canary::Judgement;
use crate::canary::judge::health_check::TrackInputs;
use crate::canary::judge::sentences;

/// The longest text for people, in characters: what of a sentence fits a message without being folded.
const MAX_TEXT: usize = 3000;

/// A journal entry with what is needed to name it to others.
pub(crate) struct Notice<'a> {
    /// The entry.
    pub(crate) entry: &'a Entry,
    /// Which journal, so that the entries of two servers are told apart.
    pub(crate) journal: &'a str,
    /// The rollout it is about; `None` before the first.
    pub(crate) rollout: Option<u64>,
}

/// The content type and the body.
pub(crate) fn body(notice: &Notice<'_>, format: Format) -> (&'static str, String) {
    match format {
        Format::CloudEvents => ("application/cloudevents+json", cloud_event(notice).to_string()),
        Format::Slack => {
            let text = for_slack(&notice.entry.event.sentence());
            ("application/json", json!({ "text": text }).to_string())
        }
    }
}

/// The value of the header that says who wrote the body: HMAC-SHA256 in hexadecimal (RFC 2104).
pub(crate) fn signature(secret: &[u8], body: &[u8]) -> String {
    use std::fmt::Write as _;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// CloudEvents 1.0.2, <https://github.com/cloudevents/spec>: `source` and `id` together name the event for
/// good, so whoever gets it twice can tell.
fn cloud_event(notice: &Notice<'_>) -> Value {
    let Notice { entry, journal, rollout } = notice;
    let subject = rollout.map_or_else(|| "stable".to_owned(), |id| format!("rollout/{id}"));
    json!({
        "specversion": "1.0",
        "id": format!("{journal}-{}", entry.sequence),
        "source": format!("urn:serin:{journal}"),
        "type": format!("serin.rollout.{}", entry.event.name()),
        "time": entry.at.to_string(),
        "subject": subject,
        "datacontenttype": "application/json",
        "data": data(notice),
    })
}

/// The fields of the event as the journal has them, except the salt of the split, which decides who gets
/// the canary, and large values, which are summarized.
fn data(notice: &Notice<'_>) -> Value {
    let Notice { entry, rollout, .. } = notice;
    let event = &entry.event;
    let mut data = json!({
        "sequence": entry.sequence,
        "sentence": event.sentence(),
        "rollout": rollout,
    });
    let mut fields = serde_json::to_value(event).unwrap_or_default();
    for hidden in ["salt", "judgement", "policy", "weight", "shadow", "rollout"] {
        if let Value::Object(fields) = &mut fields {
            fields.remove(hidden);
        }
    }
    let traffic = if let Event::CanaryDeployed { policy, .. } = event {
        json!({ "traffic_percent": policy.weight.percent(), "mode": policy.mode })
    } else if let Event::TrafficSet { weight, .. } = event {
        json!({ "traffic_percent": weight.percent() })
    } else {
        Value::Null
    };
    let judged = event.judgement().map(judged).unwrap_or_default();
    for part in [fields, traffic, judged] {
        if let (Value::Object(data), Value::Object(part)) = (&mut data, part) {
            data.extend(part);
        }
    }
    data
}

fn judged(judgement: &Judgement) -> Value {
    let track = |inputs: &TrackInputs| {
        json!({
            "requests": inputs.requests,
            "failures": inputs.failures,
            "mean_ms": inputs.latency.mean().map(|seconds| seconds * 1e3),
        })
    };
    let inputs = &judgement.evidence.inputs;
    json!({
        "verdict": judgement.verdict,
        "reasons": sentences::reasons(judgement, &judgement.reasons),
        "step": judgement.step,
        "tracks": { "stable": track(&inputs.stable), "canary": track(&inputs.canary) },
        "metrics": judgement.watch.as_ref().map(|watch| &watch.conclusion.metrics),
    })
}

/// The three characters that Slack reads as markup of its own: a reason that holds `<!channel>` must not
/// call everybody.
fn for_slack(text: &str) -> String {
    let mut out: String = text.chars().take(MAX_TEXT).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::policy::Mode;

    fn rolled_back(reason: &str) -> Entry {
        let event = Event::RolledBack {
            rollout: 3,
            reason: reason.to_owned(),
            quarantine: true,
            judgement: None,
            by: Mode::Automatic,
        };
        Entry { sequence: 7, at: "2026-01-02T03:04:05.678Z".parse().unwrap(), event }
    }

    #[test]
    fn a_cloud_event_has_what_the_specification_asks_for() {
        let entry = rolled_back("too slow");
        let notice = Notice { entry: &entry, journal: "ab12", rollout: Some(3) };
        let (content_type, body) = body(&notice, Format::CloudEvents);
        assert_eq!(content_type, "application/cloudevents+json");
        let event: Value = serde_json::from_str(&body).unwrap();
        for (field, expected) in [
            ("specversion", "1.0"),
            ("id", "ab12-7"),
            ("source", "urn:serin:ab12"),
            ("type", "serin.rollout.rolled_back"),
            ("time", "2026-01-02T03:04:05.678Z"),
            ("subject", "rollout/3"),
            ("datacontenttype", "application/json"),
        ] {
            assert_eq!(event[field], expected, "{field}");
        }
        let data = &event["data"];
        assert_eq!(data["sentence"], "rollout 3 is rolled back by serin (too slow)");
        assert_eq!((&data["by"], &data["quarantine"]), (&json!("automatic"), &json!(true)));
    }

    #[test]
    fn slack_reads_no_markup_in_a_reason() {
        let entry = rolled_back("<!channel> a & b");
        let notice = Notice { entry: &entry, journal: "ab12", rollout: Some(3) };
        let (content_type, text) = body(&notice, Format::Slack);
        assert_eq!(content_type, "application/json");
        let expected = "rollout 3 is rolled back by serin (&lt;!channel&gt; a &amp; b)";
        assert_eq!(text, json!({ "text": expected }).to_string());
        let long = rolled_back(&"ä".repeat(9000));
        let (_, text) = body(&Notice { entry: &long, ..notice }, Format::Slack);
        assert!(text.chars().count() < MAX_TEXT + 20 && text.contains('…'));
    }

    /// The second test case of RFC 4231.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?"), expected);
    }
}
