//! `serin demo`: both scenarios of a canary, narrated, over real HTTP against a real server.
//!
//! Each step says what it expects before it looks, and the exit code is 0 only if every step showed
//! what it must. The server, its models and its store live in a folder that is gone afterwards.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::Value;
use serde_json::json;

use super::FAIL;
use super::client::Client;
use super::own_server::Folder;
use super::own_server::Server;
use super::show;
use super::show::styled;
use crate::model::ensure_default_models;

/// The flags of `serin demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Predictions in each burst of traffic: a multiple of 20, because the canary gets two of twenty
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = twenties)]
    requests: u64,
    /// Delay of the slowed-down canary, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 25,
          value_parser = clap::value_parser!(u64).range(2..=500))]
    delay_ms: u64,
}

/// A number of requests of which exactly a tenth is the canary's.
fn twenties(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(n) if (200..=100_000).contains(&n) && n % 20 == 0 => Ok(n),
        Ok(_) | Err(_) => Err("give a multiple of 20 from 200 to 100000".to_owned()),
    }
}

/// A sensible customer.
const FEATURES: [f64; 5] = [0.5, 1.2, 0.8, 0.3, 1.1];

/// Plays both scenarios.
///
/// # Errors
/// When the server cannot be started or stops answering.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let folder = Folder::new("demo")?;
    let models = folder.path().join("models");
    ensure_default_models(&models).context("cannot train the two models")?;
    let server = Server::start(&models, &folder)?;
    let mut story = Story { client: Client::new(&server.url, None), args, failed: 0, steps: 0 };
    anstream::println!(
        "A server runs at {} with model_v1 as stable.\nAll that follows is plain HTTP; `serin serve` \
         and curl do the same.",
        styled(show::STRONG, &server.url)
    );
    slow_canary(&mut story)?;
    healthy_canary(&mut story)?;
    let (failed, steps) = (story.failed, story.steps);
    server.stop()?;
    if failed == 0 {
        anstream::println!(
            "\n{}",
            styled(show::GOOD, format!("All {steps} steps showed what they must."))
        );
        Ok(ExitCode::SUCCESS)
    } else {
        anstream::println!(
            "\n{}",
            styled(show::BAD, format!("{failed} of {steps} steps did not show what they must."))
        );
        Ok(ExitCode::from(FAIL))
    }
}

fn slow_canary(story: &mut Story<'_>) -> anyhow::Result<()> {
    story.title("Scenario 1: a slow canary is rolled back");
    story.deploy()?;
    story.traffic(story.share())?;
    story.health("no alert, because nothing is slow yet", "ok")?;

    story.say(&format!("the canary is slowed down by {} ms", story.args.delay_ms));
    let slow = story
        .post("toggle-slowdown", &json!({ "enabled": true, "delay_ms": story.args.delay_ms }))?;
    story.expect("the slowdown is on", slow["simulate_slowdown"] == true, &slow);
    story.traffic(story.share())?;
    story.say("fast and slow samples of the canary are judged together, since it was deployed");
    story.health("an alert, because the canary is slower than allowed", "alert")?;
    let refused = story.client.post("/admin/promote-canary", &json!({}))?;
    story.expect("a promotion is refused", !refused.ok, &refused.body);

    story.say("the canary is rolled back");
    let status = story.post("rollback-canary", &json!({ "reason": "slower than stable" }))?;
    story.expect("no canary is left", status["canary"].is_null(), &status);
    let stable = status["stable"]["version"] == "model_v1";
    story.expect("model_v1 is stable as before", stable, &status);
    story.traffic(0)
}

fn healthy_canary(story: &mut Story<'_>) -> anyhow::Result<()> {
    story.title("Scenario 2: a healthy canary is promoted");
    story.deploy()?;
    story.traffic(story.share())?;
    story.health("no alert", "ok")?;

    story.say("the canary is promoted");
    let status = story.post("promote-canary", &json!({}))?;
    let promoted = status["stable"]["version"] == "model_v2" && status["canary"].is_null();
    story.expect("model_v2 is stable now", promoted, &status);
    story.traffic(0)?;

    let history = story.client.get("/admin/history")?.done()?;
    anstream::println!("\n{}", styled(show::STRONG, "What the journal has kept"));
    for entry in history["entries"].as_array().into_iter().flatten() {
        let sentence = show::wrapped(&show::text(&entry["sentence"]), "      ");
        let sequence = entry["sequence"].as_u64().unwrap_or_default();
        anstream::println!("  {sequence:>2}  {}", sentence.trim_start());
    }
    Ok(())
}

/// The narrator: says, does, expects, counts.
struct Story<'a> {
    client: Client,
    args: &'a DemoArgs,
    failed: u32,
    steps: u32,
}

impl Story<'_> {
    fn title(&self, title: &str) {
        anstream::println!("\n{}", styled(show::STRONG, title));
    }

    fn say(&self, what: &str) {
        anstream::println!("  {} {what}", styled(show::FAINT, "▸"));
    }

    fn expect(&mut self, what: &str, holds: bool, seen: &Value) {
        self.steps += 1;
        if holds {
            anstream::println!("    {} {what}", styled(show::GOOD, "✓"));
        } else {
            self.failed += 1;
            anstream::println!("    {} {what}\n      seen: {seen}", styled(show::BAD, "✗"));
        }
    }

    fn post(&self, route: &str, body: &Value) -> anyhow::Result<Value> {
        self.client.post(&format!("/admin/{route}"), body)?.done()
    }

    /// The canary's samples in one burst of traffic.
    fn share(&self) -> u64 {
        self.args.requests / 10
    }

    fn deploy(&mut self) -> anyhow::Result<()> {
        self.say("model_v2 is deployed as canary with 10 % of the traffic");
        let status = self.post("deploy-canary", &json!({ "model_path": "models/model_v2.bin" }))?;
        self.expect("model_v2 is on trial", status["canary"]["version"] == "model_v2", &status);
        Ok(())
    }

    fn traffic(&mut self, expected: u64) -> anyhow::Result<()> {
        let style = ProgressStyle::with_template("  ▸ {msg} {bar:30.cyan} {pos}/{len}")?;
        let bar = ProgressBar::new(self.args.requests).with_style(style).with_message("traffic");
        let (mut to_canary, mut failed) = (0, 0);
        for _ in 0..self.args.requests {
            let reply = self.client.post("/predict", &json!({ "features": FEATURES }))?;
            to_canary += u64::from(reply.body["model_used"] == "canary");
            failed += u64::from(!reply.ok);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let by_stable = self.args.requests - to_canary;
        let by_canary = match to_canary {
            0 => String::new(),
            some => format!(", {some} by the canary"),
        };
        self.say(&format!("{} predictions: {by_stable} by stable{by_canary}", self.args.requests));
        let what = match expected {
            0 => "stable answers every one of them".to_owned(),
            expected => format!("the canary gets exactly its share, {expected}"),
        };
        let exact = to_canary == expected && failed == 0;
        self.expect(&what, exact, &json!({ "canary": to_canary, "failed": failed }));
        Ok(())
    }

    fn health(&mut self, expected: &str, status: &str) -> anyhow::Result<()> {
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
}
