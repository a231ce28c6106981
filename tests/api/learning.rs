//! Learning from the past: `serin tune`, and the prior of the Bayesian reading.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::binary::serin;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::replay::recorded;
use crate::shadow::varied;

/// What `serin tune` says of a store, and its exit code.
fn tuned(database: &Path) -> (String, Option<i32>) {
    let output = serin(database.parent().unwrap())
        .args(["tune", "--store", &format!("sqlite:{}", database.display())])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error, "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn settings_are_proposed_from_the_store_and_can_be_served() {
    let app = recorded();
    let database = app.database();
    let (said, code) = tuned(&database);
    let is_too_short = said.contains("# The past is too short to propose anything.");
    assert_eq!(code, Some(i32::from(is_too_short)), "{said}");
    assert!(said.contains("from 2 rollouts") && said.contains("1 promoted, 0 of equal"), "{said}");
    let needs = "equal versions in the tick log: 0, of promoted ones: 1; 3 of either are needed";
    assert!(said.replace("\n# ", " ").contains(needs), "{said}");
    assert!(said.contains("# relative_margin: no proposal"), "{said}");
    // Stable answered some hundred requests in the one, and up to 10,000 in the other.
    assert!(said.contains("# unit: no proposal"), "{said}");
    let file = database.with_file_name("proposed.toml");
    std::fs::write(&file, &said).unwrap();
    let check = serin(database.parent().unwrap())
        .args(["config", "check"])
        .arg(&file)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(check.status.success(), "{said}{}", String::from_utf8_lossy(&check.stderr));
}

/// Five versions and three times stable itself, each rolled back by hand after some hundred requests.
#[test]
fn the_past_of_a_store_sets_the_prior_of_the_bayesian_reading_and_the_margins_to_propose() {
    let setup = Setup::new().durable();
    let version = |number: usize| format!("version_{number}.bin");
    let setup = (1..=6).fold(setup, |setup, number| {
        let artifact = format!("{}\n{number}", Misbehavior::TakesTime.artifact());
        setup.model(&version(number), artifact)
    });
    let app = setup.model("model_v1.bin", Misbehavior::TakesTime.artifact()).spawn();
    let readings = |app: &TestApp| {
        let status = app.settled_status();
        let readings = status["health"]["bayesian"].as_array().unwrap().clone();
        let of = |name: &str| readings.iter().find(|it| it["metric"] == name).unwrap().clone();
        [of("latency"), of("failures")]
    };
    let ask = |app: &TestApp, times: u64| {
        (0..times).for_each(|number| {
            let body = json!({ "features": varied(number) });
            app.post("/predict", &body).done();
        });
    };
    let deploy = |app: &TestApp, path: &str| {
        app.deploy_canary_with(&json!({ "model_path": path, "traffic_percent": 50 })).done();
        ask(app, 120);
    };
    ask(&app, 30);
    assert_eq!(tuned(&app.database()).1, Some(1));
    let equal = ["model_v1.bin"; 3].map(str::to_owned);
    for path in equal.into_iter().chain((1..=5).map(version)) {
        deploy(&app, &path);
        let early = readings(&app).map(|it| it["prior_rollouts"].clone());
        assert_eq!(early, [json!(0), json!(0)], "too few to learn from");
        app.rollback_canary().done();
    }
    // What was slowed down on purpose says nothing either.
    deploy(&app, &version(6));
    app.toggle_slowdown();
    app.rollback_canary().done();
    deploy(&app, &version(6));
    let check = |app: &TestApp| {
        let [latency, failures] = readings(app);
        let of = |it: &Value| it["prior_rollouts"].as_u64().unwrap();
        assert_eq!((of(&latency), of(&failures)), (5, 5), "{latency} {failures}");
        let mean = latency["prior"]["normal"]["std_dev"].as_f64().unwrap();
        assert!(mean > 0.0 && failures["prior"]["beta"]["failures"] == 0.5, "{failures}");
    };
    check(&app);
    let app = app.restart();
    ask(&app, 60);
    check(&app);
    let (said, code) = tuned(&app.database());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 promoted, 3 of equal versions"), "{said}");
    assert!(
        said.contains("# 9 of 10 of 3 rollouts of equal versions differed by at most"),
        "{said}"
    );
    assert!(said.contains("\nrelative_margin = 0."), "{said}");
}
