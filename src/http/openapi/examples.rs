//! Bodies to begin with, of the routes whose examples do not depend on the model.

use serde_json::Value;
use serde_json::json;

/// Adds an example to each body.
pub(super) fn add(document: &mut Value) {
    let hook = json!({
        "name": "shop",
        "namespace": "shop",
        "phase": "Progressing",
        "metadata": { "version": "model_v2" },
    });
    let event = json!({
        "name": "shop",
        "namespace": "shop",
        "phase": "Progressing",
        "metadata": { "eventType": "Normal", "eventMessage": "advance weight 10" },
    });
    let examples = [
        ("/feedback", json!({ "prediction_id": "AQEKAC...", "outcome": 1 })),
        ("/record", json!({ "version": "canary", "score": 0.87 })),
        ("/analyze", json!({ "baseline": [1.0, 1.1, 0.9], "canary": [1.2, 1.1, 1.3] })),
        ("/admin/deploy-canary", json!({ "model_path": "model_v2.bin", "traffic_percent": 10 })),
        ("/admin/promote-canary", json!({ "reason": "a week without complaints" })),
        ("/admin/rollback-canary", json!({ "reason": "complaints" })),
        ("/admin/revert", json!({ "reason": "complaints" })),
        ("/admin/set-traffic", json!({ "percent": 25 })),
        ("/admin/inject", json!({ "delay_ms": 20 })),
        ("/admin/toggle-slowdown", json!({ "enabled": true })),
        ("/hooks/flagger/gate", hook.clone()),
        ("/hooks/flagger/rollback", hook),
        ("/hooks/flagger/event", event),
    ];
    for (path, example) in examples {
        let body = &mut document["paths"][path]["post"]["requestBody"];
        body["content"]["application/json"]["example"] = example;
    }
}
