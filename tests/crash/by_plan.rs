//! An automatic rollout continues after each crash, and ends as it should.

use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use serde_json::json;

use super::binary::Process;
use super::clients::Caller;
use super::evidence;
use super::status;
use super::traffic::Traffic;
use super::with_models;

const STEPS: usize = 12;

/// serin decides everything itself, and each process runs for a step or two.
fn plan() -> Value {
    let step = |n: usize| json!({ "weight": 5 * n, "bake": "150ms" });
    let steps: Vec<Value> = (1..=STEPS).map(step).collect();
    json!({ "steps": steps, "warm_up": "0s", "min_samples": 5, "look": "100ms", "deadline": "1h" })
}

fn history(caller: &Caller) -> Vec<Value> {
    caller.get("/admin/history?after=0&limit=1000").unwrap()["entries"].as_array().unwrap().clone()
}

#[test]
fn an_automatic_rollout_continues_after_each_crash() {
    let folder = with_models();
    let mut random = StdRng::seed_from_u64(7);
    let mut process = Process::start(folder.path());
    let (mut seen, mut crashes): (Vec<Value>, u32) = (Vec::new(), 0);
    for (file, other) in [("model_v2.bin", "model_v1"), ("model_v1.bin", "model_v2")] {
        let caller = Caller::new(process.address(folder.path()));
        let policy = json!({ "expect_shift": true });
        let deploy = json!({ "model_path": file, "plan": plan(), "policy": policy }).to_string();
        assert!(caller.post("/admin/deploy-canary", &deploy).unwrap().done);
        loop {
            let address = process.address(folder.path());
            let traffic = Traffic::default();
            std::thread::scope(|scope| {
                let predictions = scope.spawn(|| traffic.predict(&Caller::new(address)));
                std::thread::sleep(Duration::from_millis(random.random_range(100..700)));
                seen = history(&Caller::new(address));
                process.kill();
                assert!(predictions.join().unwrap() > 0);
            });
            crashes += 1;
            evidence::replayed_ticks(folder.path(), &format!("crash {crashes}"));
            process = Process::start(folder.path());
            let caller = Caller::new(process.address(folder.path()));
            // Its own decisions are durable and not repeated.
            assert_eq!(history(&caller)[..seen.len()], seen);
            let status = status(&caller);
            if status["canary"].is_null() {
                break;
            }
            assert_eq!(status["rollout"]["mode"], "automatic");
            let position = status["rollout"]["plan"]["position"].as_u64().unwrap();
            assert_eq!(status["traffic_percent"], 5.0 * position as f64, "{status}");
            assert_eq!(status["stable"]["version"], other);
            assert!(crashes < 200, "{status}");
        }
        let names: Vec<Value> = history(&Caller::new(process.address(folder.path())))
            .iter()
            .rev()
            .take(STEPS + 1)
            .map(|entry| entry["event"].clone())
            .collect();
        assert_eq!(names[0], "promoted", "{names:?}");
        assert!(names[1..STEPS].iter().all(|name| name == "advanced"), "{names:?}");
        assert_eq!(names[STEPS], "canary_deployed");
    }
    println!("{crashes} crashes");
    // Each rollout lasts at least 1.8 s, and each process less than 0.7 s.
    assert!(crashes >= 6, "{crashes}");
    assert_eq!(process.terminate().code(), Some(0));
}
