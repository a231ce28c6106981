//! Who tells a scenario: says, does, expects, counts.

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::Value;
use serde_json::json;

use super::super::show;
use super::super::show::styled;
use crate::cli::remote::client::Client;

/// A sensible customer.
const FEATURES: [f64; 5] = [0.5, 1.2, 0.8, 0.3, 1.1];

/// The narrator: says, does, expects, counts.
pub struct Story {
    /// Speaks to the server.
    pub client: Client,
    /// Predictions in each burst of traffic.
    pub requests: u64,
    /// What did not show what it must.
    pub failed: u32,
    /// What was expected so far.
    pub steps: u32,
}

impl Story {
    /// Begins a scenario.
    pub fn title(&self, title: &str) {
        anstream::println!("\n{}", styled(show::STRONG, title));
    }

    /// Says what is done.
    pub fn say(&self, what: &str) {
        anstream::println!("  {} {what}", styled(show::FAINT, "▸"));
    }

    /// Counts what must hold, and shows what was seen if it does not.
    pub fn expect(&mut self, what: &str, holds: bool, seen: &Value) {
        self.steps += 1;
        if holds {
            anstream::println!("    {} {what}", styled(show::GOOD, "✓"));
        } else {
            self.failed += 1;
            anstream::println!("    {} {what}\n      seen: {seen}", styled(show::BAD, "✗"));
        }
    }

    /// A command.
    ///
    /// # Errors
    /// When it is refused.
    pub fn post(&self, route: &str, body: &Value) -> anyhow::Result<Value> {
        self.client.post(&format!("/admin/{route}"), body)?.done()
    }

    /// The canary's samples in one burst of traffic.
    pub fn share(&self) -> u64 {
        self.requests / 10
    }

    /// Puts model_v2 on trial, by hand.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn deploy(&mut self) -> anyhow::Result<()> {
        self.say("model_v2 is deployed as canary with 10 % of the traffic");
        let status = self.post("deploy-canary", &json!({ "model_path": "models/model_v2.bin" }))?;
        self.expect("model_v2 is on trial", status["canary"]["version"] == "model_v2", &status);
        Ok(())
    }

    /// A burst of traffic, of which so many predictions must be the canary's.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn traffic(&mut self, expected: u64) -> anyhow::Result<()> {
        let style = ProgressStyle::with_template("  ▸ {msg} {bar:30.cyan} {pos}/{len}")?;
        let bar = ProgressBar::new(self.requests).with_style(style).with_message("traffic");
        let (mut to_canary, mut failed) = (0, 0);
        for _ in 0..self.requests {
            let reply = self.client.post("/predict", &json!({ "features": FEATURES }))?;
            to_canary += u64::from(reply.body["model_used"] == "canary");
            failed += u64::from(!reply.ok);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let by_stable = self.requests - to_canary;
        let by_canary = match to_canary {
            0 => String::new(),
            some => format!(", {some} by the canary"),
        };
        self.say(&format!("{} predictions: {by_stable} by stable{by_canary}", self.requests));
        let what = match expected {
            0 => "stable answers every one of them".to_owned(),
            expected => format!("the canary gets exactly its share, {expected}"),
        };
        let exact = to_canary == expected && failed == 0;
        self.expect(&what, exact, &json!({ "canary": to_canary, "failed": failed }));
        Ok(())
    }

    /// Asks the health check, which must say this.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn health(&mut self, expected: &str, status: &str) -> anyhow::Result<()> {
        self.say("the health check is asked");
        let health = self.client.get("/admin/check-canary-health")?.done()?;
        for line in show::tracks(&health["stable"], Some(&health["canary"])) {
            anstream::println!("      {line}");
        }
        anstream::println!("      {}", show::health_word(&show::text(&health["status"])));
        for sentence in show::text(&health["message"]).split("; ") {
            anstream::println!("{}", styled(show::FAINT, show::wrapped(sentence, "      ")));
        }
        self.expect(expected, health["status"] == status, &health);
        Ok(())
    }

    /// Sends traffic until the rollout is over or held, telling of each new share; what the users met.
    /// The users come from these regions in turn; from nowhere if there are none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn traffic_until_decided(&self, regions: &[&str]) -> anyhow::Result<Met> {
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("  ▸ {msg}")?);
        let mut met = Met::default();
        let mut last = String::new();
        let mut regions = regions.iter().cycle();
        let mut began = None;
        loop {
            let status = self.client.get("/admin/status")?.done()?;
            let percent = status["traffic_percent"].as_f64().unwrap_or_default();
            let share = format!("the canary gets {percent} % of the traffic");
            let is_over = status["canary"].is_null() || status["state"] == "paused";
            if !is_over && share != last {
                bar.suspend(|| self.say(&share));
                met.shares.push(status["traffic_percent"].clone());
            }
            let uptime = status["uptime_seconds"].as_f64().unwrap_or_default();
            met.seconds = uptime - *began.get_or_insert(uptime);
            if is_over || met.seconds > MAX_SECONDS {
                bar.finish_and_clear();
                met.status = status;
                return Ok(met);
            }
            last = share;
            for _ in 0..BETWEEN_LOOKS {
                let mut body = json!({ "features": FEATURES });
                if let Some(region) = regions.next() {
                    body["segments"] = json!({ "region": region });
                }
                let reply = self.client.post("/predict", &body)?;
                met.predictions += 1;
                met.failed += u64::from(!reply.ok);
                met.fallbacks += u64::from(reply.body["fallback"] == true);
            }
            bar.set_message(format!("{} predictions", met.predictions));
        }
    }

    /// Prints the journal.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn journal(&self) -> anyhow::Result<()> {
        let history = self.client.get("/admin/history")?.done()?;
        anstream::println!("\n  {}", styled(show::STRONG, "What the journal has kept"));
        for entry in history["entries"].as_array().into_iter().flatten() {
            let sentence = show::wrapped(&show::text(&entry["sentence"]), "      ");
            let sequence = entry["sequence"].as_u64().unwrap_or_default();
            anstream::println!("  {sequence:>2}  {}", sentence.trim_start());
        }
        Ok(())
    }
}

/// A story that takes longer has gone wrong.
const MAX_SECONDS: f64 = 40.0;

/// Predictions between two looks at the status.
const BETWEEN_LOOKS: u32 = 50;

/// What the users of a rollout met.
#[derive(Default)]
pub struct Met {
    /// The shares of the canary, in order.
    pub shares: Vec<Value>,
    /// How many predictions were asked for.
    pub predictions: u64,
    /// How many of them were not answered.
    pub failed: u64,
    /// How many of them stable answered for a canary that had failed.
    pub fallbacks: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The status at the end.
    pub status: Value,
}
