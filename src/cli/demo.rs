//! `serin demo`: narrated scenarios over HTTP against a server in this process.
//!
//! Each scenario has its own server and store in a temporary folder. The exit code is 0 only if every
//! check passed. If the reader of the output goes away, no further scenario begins. `stage`: the scenarios for people
//! who watch them on the page.

pub(crate) mod own_server;

mod by_hand;
mod by_plan;
mod customers;
mod in_shadow;
mod stage;
mod story;
mod wrong_labels;

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use tempfile::TempDir;

use super::demo::own_server::Server;
use super::exit::FAIL;
use super::remote::client::Client;
use super::show;
use super::show::styled;
use crate::canary::policy::segments::SegmentSettings;
use crate::cli::show::outln;
use crate::model::ensure_default_models;
use stage::Stage;
use story::Pace;
use story::Story;

/// The flags of `serin demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Scenario to run
    #[arg(long, value_name = "SCENARIO", default_value = "all")]
    scenario: Scenario,
    /// Predictions in each burst of traffic, a multiple of 20: the canary gets 2 of 20
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = twenties)]
    requests: u64,
    /// Delay of the slow canary, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 25,
          value_parser = clap::value_parser!(u64).range(2..=500))]
    delay_ms: u64,
    /// Play slowly, at one address, so that the page in a browser shows each scenario; waits for Enter before each
    #[arg(long)]
    page: bool,
}

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// All of them, one after the other
    All,
    /// A slow canary is rolled back by a person
    Slow,
    /// A healthy canary is promoted by a person
    Healthy,
    /// serin rolls back a canary that starts to fail
    Spike,
    /// A healthy canary is promoted step by step, by its plan
    Ramp,
    /// A canary that is slow in one region is paused, and the region is named
    Segment,
    /// A canary with wrong scores is rolled back before it answers any user
    Shadow,
    /// A model trained on the wrong labels is refused and rolled back
    Labels,
}

impl Scenario {
    fn is_in(self, chosen: Scenario) -> bool {
        self != Scenario::All && (chosen == self || chosen == Scenario::All)
    }

    /// The segments of its server.
    fn segments(self) -> SegmentSettings {
        if self == Scenario::Segment { by_plan::regions() } else { SegmentSettings::new() }
    }

    fn play(self, story: &mut Story, args: &DemoArgs) -> anyhow::Result<()> {
        match self {
            Scenario::All => Ok(()),
            Scenario::Slow => by_hand::slow_canary(story, args.delay_ms),
            Scenario::Healthy => by_hand::healthy_canary(story),
            Scenario::Spike => by_plan::error_spike(story),
            Scenario::Ramp => by_plan::slow_ramp(story),
            Scenario::Segment => by_plan::slow_region(story),
            Scenario::Shadow => in_shadow::silently_wrong(story),
            Scenario::Labels => wrong_labels::useless_model(story),
        }
    }
}

/// A number of requests of which exactly a tenth goes to the canary.
fn twenties(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(n) if (200..=100_000).contains(&n) && n % 20 == 0 => Ok(n),
        Ok(_) | Err(_) => Err("give a multiple of 20 from 200 to 100000".to_owned()),
    }
}

/// Runs the scenarios.
///
/// # Errors
/// When the server cannot be started or stops answering.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let folder = TempDir::with_prefix("serin-demo-").context("no temporary folder")?;
    let models = folder.path().join("models");
    ensure_default_models(&models).context("cannot train the two models")?;
    if Scenario::Labels.is_in(args.scenario) {
        wrong_labels::train_into(&models).context("cannot train the model on wrong labels")?;
    }
    outln!(
        "{}",
        show::wrapped(
            "Each scenario starts its own server with model_v1 as stable and talks to it over HTTP; \
             serin serve and curl do the same.",
            ""
        )
    );
    let stage = args.page.then(Stage::new).transpose()?;
    let (mut failed, mut checks) = (0, 0);
    // Kept until the next one, so that the page shows how a scenario has ended.
    let mut running: Option<Server> = None;
    for &scenario in Scenario::value_variants().iter().filter(|it| it.is_in(args.scenario)) {
        if let Some(stage) = &stage {
            stage.wait()?;
        }
        if let Some(before) = running.take() {
            Server::stop(before)?;
        }
        let port = stage.as_ref().map_or(0, |stage| stage.port);
        let server = Server::start(&models, &folder, scenario.segments(), port)?;
        let client = Client::new(&server.url, None);
        let pace = if args.page { Pace::Watched } else { Pace::Fast };
        let mut story = Story { client, requests: args.requests, pace, failed: 0, checks: 0 };
        let played = scenario.play(&mut story, args);
        (failed, checks) = (failed + story.failed, checks + story.checks);
        // Open connections would keep the server from stopping.
        drop(story);
        running = Some(server);
        if show::reader_is_gone() {
            break;
        }
        played?;
    }
    if let Some(stage) = stage.filter(|_| !show::reader_is_gone()) {
        stage.wait_at_end()?;
    }
    if let Some(last) = running {
        last.stop()?;
    }
    if failed == 0 {
        outln!("\n{}", styled(show::GOOD, format!("All {checks} checks passed.")));
        Ok(ExitCode::SUCCESS)
    } else {
        outln!("\n{}", styled(show::BAD, format!("{failed} of {checks} checks failed.")));
        Ok(ExitCode::from(FAIL))
    }
}
