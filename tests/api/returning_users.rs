//! Users that come back: a plan judges all visits of few users, and takes back what slows them after all have come.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::client::Client;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::misbehaving::Misbehavior;
use crate::shadow::varied;

const USERS: u64 = 300;

/// The visits of users in the order of Zipf's law: the first of them come most often, with exponent 1.1.
struct Visits {
    cumulative: Vec<f64>,
    state: u64,
}

impl Visits {
    fn new(seed: u64) -> Visits {
        let weights = (1..=USERS).map(|rank| (rank as f64).powf(-1.1));
        let cumulative = weights
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        Visits { cumulative, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        let uniform = (self.state >> 11) as f64 / (1_u64 << 53) as f64;
        let all = self.cumulative.last().copied().unwrap_or(1.0);
        self.cumulative.partition_point(|sum| *sum < uniform * all) as u64
    }

    /// The next user asks about some customer.
    fn make(&mut self, client: &Client) {
        let user = self.next();
        visit(client, user, self.state >> 33);
    }
}

/// A user asks about this customer.
fn visit(client: &Client, user: u64, customer: u64) {
    let body = json!({ "features": varied(customer), "key": format!("user-{user}") });
    client.post("/predict", &body).done();
}

/// One step at half of the traffic. Without pairs and labels serin asks a person before it promotes.
fn deploy(app: &TestApp) {
    let plan = json!({
        "steps": [{ "weight": 50, "bake": "500ms" }], "warm_up": "0s", "min_samples": 50,
        "look": "100ms", "deadline": "120s", "cool_down": "1h",
    });
    app.deploy_canary_with(&json!({ "model_path": "model_v2.bin", "plan": plan })).done();
}

fn metric<'a>(status: &'a Value, name: &str) -> &'a Value {
    let metrics = status["health"]["sequential"]["metrics"].as_array();
    metrics.and_then(|all| all.iter().find(|it| it["metric"] == name)).unwrap_or(&Value::Null)
}

#[test]
fn a_healthy_canary_is_promoted_by_three_hundred_users_who_come_back() {
    // Always the same users get the canary, and a busy machine halts a model for longer than a prediction takes.
    let setup = Setup::new().given(|given| given.seed = Some(1));
    let app = setup.given(|given| given.absolute_margin_ms = 50.0).spawn();
    deploy(&app);
    let (mut visits, start) = (Visits::new(1), Instant::now());
    while app.status()["state"] != "awaiting_approval" {
        assert!(start.elapsed() < Duration::from_secs(110), "{}", app.status());
        (0..50).for_each(|_| visits.make(&app));
    }
    let status = app.status();
    let judged = metric(&status, "failures")["samples"].clone();
    let [stable, canary] = ["stable", "canary"].map(|track| judged[track].as_u64().unwrap_or(0));
    assert!(stable + canary <= USERS, "first visits alone cannot prove it: {judged}");
    app.resume_canary().done();
    while !app.status()["canary"].is_null() && start.elapsed() < Duration::from_secs(115) {
        (0..50).for_each(|_| visits.make(&app));
    }
    assert_eq!(app.status()["last_rollout"]["outcome"], "promoted", "{}", app.status());
}

#[test]
fn a_canary_that_slows_down_after_all_users_have_come_is_taken_back() {
    let setup = Setup::new().given(|given| given.allow_injection = true);
    let app = setup.spawn();
    deploy(&app);
    (0..USERS).for_each(|user| visit(&app, user, user));
    app.post("/admin/inject", &json!({ "delay_ms": 5 })).done();
    let (mut visits, start) = (Visits::new(1), Instant::now());
    while !app.status()["canary"].is_null() && start.elapsed() < Duration::from_secs(110) {
        (0..50).for_each(|_| visits.make(&app));
    }
    let status = app.status();
    assert_eq!(status["last_rollout"]["outcome"], "rolled_back", "{status}");
    let why = app.history().pop().unwrap();
    assert!(why["sentence"].as_str().unwrap().contains("latency"), "{why}");
}

/// 12 ms instead of 10 for the median customer, and customers differ by more than that.
#[test]
fn a_canary_that_is_slower_by_a_fifth_is_taken_back_by_three_hundred_users_who_come_back() {
    let [stable, canary] = [Misbehavior::TakesTime, Misbehavior::TakesLonger];
    let setup = Setup::new().model("model_v1.bin", stable.artifact());
    let setup = setup.model("model_v2.bin", canary.artifact());
    // Models that sleep need no cores.
    let app = setup.given(|given| given.workers = 8).spawn();
    deploy(&app);
    let start = Instant::now();
    let is_over = AtomicBool::new(false);
    let visits_until_the_end = &|seed: u64| {
        let (client, mut visits) = (app.client(), Visits::new(seed));
        let mut made = 0;
        while !is_over.load(Ordering::Relaxed) {
            visits.make(&client);
            made += 1;
        }
        made
    };
    let made: u64 = std::thread::scope(|scope| {
        let threads = [1, 2, 3, 4].map(|seed| scope.spawn(move || visits_until_the_end(seed)));
        // A status takes as long as many visits.
        while !app.status()["canary"].is_null() && start.elapsed() < Duration::from_secs(110) {
            std::thread::sleep(Duration::from_millis(500));
        }
        is_over.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let status = app.status();
    assert_eq!(status["last_rollout"]["outcome"], "rolled_back", "after {made} visits: {status}");
    let why = app.history().pop().unwrap();
    assert!(why["sentence"].as_str().unwrap().contains("latency"), "{why}");
}
