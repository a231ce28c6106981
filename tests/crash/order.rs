//! The commands of the crash test, and what each of them must lead to.

use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;

use super::clients::Caller;
use super::clients::Pace;
use super::picture::Picture;
use super::picture::Rollout;
use super::traffic::Traffic;

/// The default injected delay; the end of a rollout resets it to this.
const DEFAULT_DELAY_MS: u64 = 25;

/// A command.
#[derive(Clone, Debug)]
pub enum Order {
    Deploy(String),
    SetTraffic(f64),
    Pause,
    Resume,
    Flip,
    Slow { enabled: bool, delay_ms: u64 },
    RollBack,
    Promote,
}

/// What the client knows: the last acknowledged state, and the unanswered command.
pub struct Acknowledged {
    /// The state.
    pub picture: Picture,
    under_way: Option<Order>,
}

impl Acknowledged {
    /// Before the first command.
    pub fn new(picture: Picture) -> Acknowledged {
        Acknowledged { picture, under_way: None }
    }

    /// What was found after a restart must be the state acknowledged, or the one that the command
    /// under way leads to; whether it is the latter.
    pub fn settle(&mut self, found: Picture, at: &str) -> bool {
        let order = self.under_way.take();
        let carried_out = order.as_ref().map(|order| order.effect(&self.picture));
        let is_old = self.picture.foresees(&found);
        let is_new = carried_out.is_some_and(|new| new.foresees(&found));
        let old = std::mem::replace(&mut self.picture, found);
        let found = &self.picture;
        assert!(is_old || is_new, "{at}, {order:?} under way:\nknown {old:#?}\nfound {found:#?}");
        !is_old
    }
}

/// Sends commands until the server is gone. Returns how many were answered.
pub fn give(
    caller: Caller,
    acknowledged: &mut Acknowledged,
    traffic: &Traffic,
    pace: Pace,
    seed: u64,
) -> u64 {
    let mut random = StdRng::seed_from_u64(seed);
    for answered in 0.. {
        let before = &acknowledged.picture;
        let order = Order::random(before, pace, &mut random);
        let foreseen = order.effect(before);
        let begins = foreseen.step().filter(|step| Some(*step) != before.step());
        acknowledged.under_way = Some(order.clone());
        if let Some(step) = begins {
            traffic.step_ordered(step);
        }
        let Some(answer) = caller.post(order.path(), &order.body()) else { return answered };
        let mut found = match &order {
            // The answer contains no more than this.
            Order::Flip | Order::Slow { .. } => Picture {
                revision: answer.revision.unwrap(),
                slow: answer.body["simulate_slowdown"].as_bool().unwrap(),
                delay_ms: answer.body["delay_ms"].as_u64().unwrap(),
                ..before.clone()
            },
            _ if answer.done => Picture::answered(&answer.body, &foreseen),
            _ => before.clone(),
        };
        assert!(foreseen.foresees(&found), "{order:?}:\nforeseen {foreseen:#?}\nfound {found:#?}");
        if begins.is_some() {
            traffic.step_begun();
        }
        if let Some(rollout) = found.rollout.as_mut().filter(|it| it.started_at.is_none()) {
            // `None` if the server is gone by now. Nothing else changes a rollout by hand meanwhile.
            let status = caller.get("/admin/status");
            rollout.started_at =
                status.map(|it| it["rollout"]["started_at"].as_str().unwrap().to_owned());
        }
        *acknowledged = Acknowledged::new(found);
        std::thread::sleep(Duration::from_micros(random.random_range(0..pace.rest)));
    }
    0
}

impl Order {
    /// A random command, mostly one that this state allows.
    fn random(picture: &Picture, pace: Pace, random: &mut StdRng) -> Order {
        let other = if picture.stable == "model_v1" { "model_v2.bin" } else { "model_v1.bin" };
        let deploy = Order::Deploy(other.to_owned());
        if picture.rollout.is_none() && random.random_ratio(3, 4) {
            return deploy;
        }
        let slow = Order::Slow { enabled: random.random(), delay_ms: random.random_range(1..4) };
        let percent = [0.0, 5.0, 10.0, 25.0, 33.33, 50.0, 100.0][random.random_range(0..7)];
        match random.random_range(0..if pace.calm { 60 } else { 100 }) {
            0..15 => Order::Pause,
            15..35 => Order::Resume,
            35..45 => Order::Flip,
            45..60 => slow,
            60..80 => Order::SetTraffic(percent),
            80..87 => Order::RollBack,
            87..95 => Order::Promote,
            _ => deploy,
        }
    }

    fn path(&self) -> &'static str {
        match self {
            Order::Deploy(_) => "/admin/deploy-canary",
            Order::SetTraffic(_) => "/admin/set-traffic",
            Order::Pause => "/admin/pause-canary",
            Order::Resume => "/admin/resume-canary",
            Order::Flip | Order::Slow { .. } => "/admin/toggle-slowdown",
            Order::RollBack => "/admin/rollback-canary",
            Order::Promote => "/admin/promote-canary",
        }
    }

    fn body(&self) -> String {
        match self {
            Order::Deploy(file) => json!({ "model_path": file }),
            Order::SetTraffic(percent) => json!({ "percent": percent }),
            Order::Pause | Order::Resume | Order::Flip | Order::RollBack => json!({}),
            Order::Slow { enabled, delay_ms } => {
                json!({ "enabled": enabled, "delay_ms": delay_ms })
            }
            Order::Promote => json!({ "force": true, "reason": "the crash test" }),
        }
        .to_string()
    }

    /// The state after this command: a model of serin in thirty lines, written from its contract.
    fn effect(&self, before: &Picture) -> Picture {
        let mut after = before.clone();
        match (self, &mut after.rollout) {
            (Order::Deploy(file), None) => {
                after.rollout = Some(Rollout {
                    id: before.last.as_ref().map_or(1, |(id, _)| id + 1),
                    step: 1,
                    canary: file.trim_end_matches(".bin").to_owned(),
                    percent: 10.0,
                    paused: false,
                    started_at: None,
                });
            }
            (Order::SetTraffic(percent), Some(rollout)) if rollout.percent != *percent => {
                (rollout.percent, rollout.step) = (*percent, rollout.step + 1);
            }
            (Order::Pause, Some(rollout)) => rollout.paused = true,
            (Order::Resume, Some(rollout)) => rollout.paused = false,
            (Order::Flip, _) => after.slow = !before.slow,
            (Order::Slow { enabled, delay_ms }, _) => {
                (after.slow, after.delay_ms) = (*enabled, *delay_ms);
            }
            (Order::RollBack, Some(rollout)) => {
                after.last = Some((rollout.id, "rolled_back".to_owned()));
                (after.rollout, after.slow, after.delay_ms) = (None, false, DEFAULT_DELAY_MS);
            }
            (Order::Promote, Some(rollout)) => {
                after.last = Some((rollout.id, "promoted".to_owned()));
                after.stable.clone_from(&rollout.canary);
                (after.rollout, after.slow, after.delay_ms) = (None, false, DEFAULT_DELAY_MS);
            }
            // Refused, or without effect.
            (
                Order::Deploy(_)
                | Order::SetTraffic(_)
                | Order::Pause
                | Order::Resume
                | Order::RollBack
                | Order::Promote,
                _,
            ) => {}
        }
        after.revision += u64::from(after != *before);
        after
    }
}
