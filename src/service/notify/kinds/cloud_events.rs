//! CloudEvents 1.0.2 in JSON, structured mode: <https://github.com/cloudevents/spec>.
//!
//! `source` and `id` identify an event for good, so that a receiver can drop one it gets twice.

use serde_json::Value;
use serde_json::json;

use crate::canary::Event;
use crate::canary::Judgement;
use crate::canary::judge::health_check::TrackInputs;
use crate::canary::judge::sentences;
use crate::service::notify::message::Kind;
use crate::service::notify::message::Message;
use crate::service::notify::message::Notice;

/// Renders CloudEvents.
pub(crate) struct CloudEvents;

impl Kind for CloudEvents {
    fn render(&self, notice: &Notice<'_>) -> Message {
        Message::new("application/cloudevents+json", cloud_event(notice).to_string())
    }
}

fn cloud_event(notice: &Notice<'_>) -> Value {
    let Notice { entry, journal, rollout, .. } = notice;
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

/// The fields of the journal entry, without the salt of the split, which decides who gets the canary.
/// Policy and judgement are summarized.
fn data(notice: &Notice<'_>) -> Value {
    let Notice { entry, rollout, stable, canary, server, .. } = notice;
    let event = &entry.event;
    let mut data = json!({
        "sequence": entry.sequence,
        "sentence": event.sentence(),
        "rollout": rollout,
        "stable": stable,
        "canary": canary,
        "server": server,
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
        "metrics": judgement.sequential.as_ref().map(|sequential| &sequential.conclusion.metrics),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Entry;
    use crate::canary::Version;
    use crate::canary::policy::Mode;
    use crate::canary::rollout::cause::Cause;

    fn rolled_back() -> Entry {
        let event = Event::RolledBack {
            rollout: 3,
            cause: Cause::Person(None),
            quarantine: true,
            judgement: None,
            by: Mode::Automatic,
        };
        Entry { sequence: 7, at: "2026-01-02T03:04:05.678Z".parse().unwrap(), event }
    }

    fn version(name: &str) -> Version {
        let (file, digest) = (format!("{name}.bin"), format!("digest of {name}"));
        Version { name: name.to_owned(), file, digest }
    }

    #[test]
    fn an_event_has_what_the_specification_requires() {
        let entry = rolled_back();
        let (stable, canary) = (version("model_v1"), version("model_v2"));
        let message = CloudEvents.render(&Notice {
            entry: &entry,
            journal: "ab12",
            rollout: Some(3),
            stable: &stable,
            canary: Some(&canary),
            server: "https://serin.example.org",
        });
        assert_eq!(message.content_type, "application/cloudevents+json");
        let event: Value = serde_json::from_str(&message.body).unwrap();
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
        assert_eq!(data["sentence"], entry.event.sentence());
        assert_eq!((&data["by"], &data["quarantine"]), (&json!("automatic"), &json!(true)));
        assert_eq!(data["stable"]["version"], "model_v1");
        assert_eq!(data["canary"]["digest"], "digest of model_v2");
        assert_eq!(data["server"], "https://serin.example.org");
        assert_eq!((&data["event"], &data["rollout"]), (&json!("rolled_back"), &json!(3)));
    }
}
