//! Narrator of a scenario: says what it does, does it, checks what must hold.

use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::json;

use super::customers::customers;
use crate::cli::remote::client::Client;
use crate::cli::remote::history;
use crate::cli::remote::page::Page;
use crate::cli::remote::predicted::Predicted;
use crate::cli::remote::status;
use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;
use crate::service::status::Status;
use crate::service::status::health::HealthStatus;
use crate::service::status::overview::RolloutState;
use crate::service::status::report::words::Times;

/// A typical customer.
const FEATURES: [f64; 5] = [0.5, 1.2, 0.8, 0.3, 1.1];

/// How fast a scenario is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the server answers.
    Fast,
    /// So that people can follow it on the page.
    Watched,
}

impl Pace {
    /// Waits this long where people watch.
    fn wait(self, pause: Duration) {
        if self == Pace::Watched {
            std::thread::sleep(pause);
        }
    }
}

/// The narrator of a scenario.
pub struct Story {
    /// The client of the server.
    pub client: Client,
    /// Predictions in each burst of traffic.
    pub requests: u64,
    /// How fast it is told.
    pub pace: Pace,
    /// Failed checks.
    pub failed: u32,
    /// Checks so far.
    pub checks: u32,
}

impl Story {
    /// Prints the title of a scenario.
    pub fn title(&self, title: &str) {
        outln!("\n{}", styled(show::STRONG, title));
    }

    /// Prints what happens.
    pub fn say(&self, what: &str) {
        let text = show::wrapped(what, "    ");
        outln!("  {} {}", styled(show::FAINT, "▸"), text.trim_start());
        self.pace.wait(TO_READ);
    }

    /// Checks that this holds, and shows what was seen if it does not.
    pub fn expect(&mut self, what: &str, holds: bool, seen: &impl Serialize) {
        self.checks += 1;
        if holds {
            outln!("    {} {what}", styled(show::GOOD, "✓"));
        } else {
            self.failed += 1;
            outln!("    {} {what}\n      seen: {}", styled(show::BAD, "✗"), json!(seen));
        }
    }

    /// Sends a command and returns the status after it.
    ///
    /// # Errors
    /// When it is refused.
    pub fn post(&self, route: &str, body: &Value) -> anyhow::Result<Status> {
        let _: IgnoredAny = self.client.post(&format!("/admin/{route}"), body)?.done()?;
        self.status()
    }

    /// The status now.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn status(&self) -> anyhow::Result<Status> {
        self.ensure_reader()?;
        self.client.get("/admin/status")?.done()
    }

    /// Ends the scenario if the reader of its output is gone.
    fn ensure_reader(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!show::reader_is_gone(), "the reader of standard output is gone");
        Ok(())
    }

    /// Checks that a command is refused.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn expect_refusal(&mut self, what: &str, route: &str, body: &Value) -> anyhow::Result<()> {
        let reply = self.client.post(&format!("/admin/{route}"), body)?;
        self.expect(what, !reply.ok, &reply.body);
        Ok(())
    }

    /// One prediction; `None` if it failed.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn predict(&self, body: &Value) -> anyhow::Result<Option<Predicted>> {
        self.ensure_reader()?;
        self.pace.wait(BETWEEN_PREDICTIONS);
        let reply = self.client.post("/predict", body)?;
        if reply.ok { reply.done().map(Some) } else { Ok(None) }
    }

    /// The canary's samples in one burst of traffic.
    pub fn share(&self) -> u64 {
        self.requests / 10
    }

    /// Deploys model_v2 without a plan.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn deploy(&mut self) -> anyhow::Result<()> {
        self.say("deploy model_v2 as the canary with 10 % of the traffic");
        let status = self.post("deploy-canary", &json!({ "model_path": "models/model_v2.bin" }))?;
        let canary = status.canary.as_ref().map(|canary| canary.name.as_str());
        self.expect("model_v2 is the canary", canary == Some("model_v2"), &status);
        Ok(())
    }

    /// Sends a burst of traffic and checks that the canary answers this number of predictions.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn traffic(&mut self, expected: u64) -> anyhow::Result<()> {
        let style = ProgressStyle::with_template("  ▸ {msg} {bar:30.cyan} {pos}/{len}")?;
        let bar = ProgressBar::new(self.requests).with_style(style).with_message("traffic");
        let (mut to_canary, mut failed) = (0, 0);
        for _ in 0..self.requests {
            match self.predict(&json!({ "features": FEATURES }))? {
                Some(predicted) => to_canary += u64::from(predicted.is_by_canary()),
                None => failed += 1,
            }
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
            0 => "stable answers all of them".to_owned(),
            expected => format!("the canary gets exactly {expected}, its share"),
        };
        let exact = to_canary == expected && failed == 0;
        self.expect(&what, exact, &json!({ "canary": to_canary, "failed": failed }));
        Ok(())
    }

    /// Runs the health check and compares its result.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn health(&mut self, expected: &str, result: HealthStatus) -> anyhow::Result<()> {
        self.say("run the health check (GET /admin/check-canary-health)");
        let status = self.status()?;
        let Some(health) = &status.health else { bail!("there is no canary") };
        let mut page = Page::new(show::width() - 4);
        page.tracks(&status.tracks, true);
        page.paragraph(&health.message);
        self.print(&page);
        self.expect(expected, health.status == result, health);
        Ok(())
    }

    /// Prints a page, indented.
    fn print(&self, page: &Page) {
        for line in &page.lines {
            outln!("    {line}");
        }
    }

    /// Sends traffic until the rollout has ended or is paused. Users come from these regions in turn.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn traffic_until_decided(&self, regions: &[&str]) -> anyhow::Result<Met> {
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("  ▸ {msg}")?);
        let mut regions = regions.iter().cycle();
        let customers = customers()?;
        let mut customers = customers.iter().cycle();
        let first = self.status()?;
        let (began, mut predictions, mut failed, mut fallbacks) = (first.uptime_seconds, 0, 0, 0);
        let (mut shares, mut status): (Vec<f64>, Status) = (Vec::new(), first);
        loop {
            let is_over = status.canary.is_none() || status.state == RolloutState::Paused;
            let percent = status.traffic_percent;
            if !is_over && shares.last() != Some(&percent) {
                bar.suspend(|| self.say(&format!("the canary gets {percent} % of the traffic")));
                shares.push(percent);
            }
            let seconds = status.uptime_seconds - began;
            if is_over || seconds > self.max_seconds() {
                bar.finish_and_clear();
                return Ok(Met { shares, predictions, failed, fallbacks, seconds, status });
            }
            for _ in 0..BETWEEN_LOOKS {
                let mut body = json!({ "features": customers.next() });
                if let Some(region) = regions.next() {
                    body["segments"] = json!({ "region": region });
                }
                predictions += 1;
                match self.predict(&body)? {
                    Some(predicted) => fallbacks += u64::from(predicted.fallback),
                    None => failed += 1,
                }
            }
            bar.set_message(format!("{predictions} predictions"));
            status = self.status()?;
        }
    }

    fn max_seconds(&self) -> f64 {
        match self.pace {
            Pace::Fast => MAX_SECONDS,
            Pace::Watched => MAX_SECONDS_WATCHED,
        }
    }

    /// Prints the report of the server.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn report(&self) -> anyhow::Result<()> {
        outln!("\n  {}", styled(show::STRONG, "serin status"));
        let status = self.status()?;
        let times = Times { zone: TimeZone::system(), now: status.at };
        self.print(&status::page(&status, &times, false, show::width() - 4));
        Ok(())
    }

    /// Prints the journal.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn journal(&self) -> anyhow::Result<()> {
        let history = self.client.get("/admin/history")?.done()?;
        outln!("\n  {}", styled(show::STRONG, "serin history"));
        self.print(&history::page(&history, &TimeZone::system(), false, show::width() - 4));
        Ok(())
    }
}

/// A scenario that takes longer has failed.
const MAX_SECONDS: f64 = 40.0;

/// The same where people watch.
const MAX_SECONDS_WATCHED: f64 = 240.0;

/// Time to read a sentence, and to look at the page.
const TO_READ: Duration = Duration::from_millis(1500);

/// Between two predictions where people watch: a few hundred a second.
const BETWEEN_PREDICTIONS: Duration = Duration::from_millis(3);

/// Predictions between two looks at the status.
const BETWEEN_LOOKS: u32 = 50;

/// What happened to the users of a rollout.
pub struct Met {
    /// The shares of the canary in percent, in order.
    pub shares: Vec<f64>,
    /// Predictions requested.
    pub predictions: u64,
    /// Predictions that failed.
    pub failed: u64,
    /// Predictions that stable answered for a failing canary.
    pub fallbacks: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// The status at the end.
    pub status: Status,
}
