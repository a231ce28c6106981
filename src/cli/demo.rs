//! `serin demo`: scenarios of a canary, narrated, over real HTTP against a real server.
//!
//! Each step says what it expects before it looks, and the exit code is 0 only if every step showed
//! what it must. Each scenario has a server and a store of its own, in a folder that is gone afterwards.

pub(crate) mod own_server;

mod by_hand;

mod by_plan;

mod in_shadow;

mod story;

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;

use super::demo::own_server::Folder;
use super::demo::own_server::Server;
use super::exit::FAIL;
use super::remote::client::Client;
use super::show;
use super::show::styled;
use crate::canary::policy::segments::GivenSegments;
use crate::model::ensure_default_models;
use story::Story;

/// The flags of `serin demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Which scenario to live through
    #[arg(long, value_name = "SCENARIO", default_value = "all")]
    scenario: Chosen,
    /// Predictions in each burst of traffic: a multiple of 20, because the canary gets two of twenty
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = twenties)]
    requests: u64,
    /// Delay of the slowed-down canary, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 25,
          value_parser = clap::value_parser!(u64).range(2..=500))]
    delay_ms: u64,
}

/// What one can choose.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Chosen {
    /// All of them, one after the other
    All,
    /// A slow canary is rolled back by a person
    Slow,
    /// A healthy canary is promoted by a person
    Healthy,
    /// A canary that begins to fail is taken back by serin
    Spike,
    /// A healthy canary climbs by itself and is promoted
    Ramp,
    /// A canary that is slow in one region only is held, and the region is named
    Segment,
    /// A canary whose scores are wrong is taken back before a user has met it
    Shadow,
}

impl Chosen {
    /// The scenarios that were chosen; of these, each tells one.
    fn scenarios(self) -> Vec<Scenario> {
        match self {
            Chosen::All => Scenario::ALL.to_vec(),
            Chosen::Slow => vec![Scenario::Slow],
            Chosen::Healthy => vec![Scenario::Healthy],
            Chosen::Spike => vec![Scenario::Spike],
            Chosen::Ramp => vec![Scenario::Ramp],
            Chosen::Segment => vec![Scenario::Segment],
            Chosen::Shadow => vec![Scenario::Shadow],
        }
    }
}

/// What can happen to a canary.
#[derive(Clone, Copy, Debug)]
enum Scenario {
    Slow,
    Healthy,
    Spike,
    Ramp,
    Segment,
    Shadow,
}

impl Scenario {
    const ALL: [Scenario; 6] = [
        Scenario::Slow,
        Scenario::Healthy,
        Scenario::Spike,
        Scenario::Ramp,
        Scenario::Segment,
        Scenario::Shadow,
    ];

    /// What its server has declared.
    fn segments(self) -> GivenSegments {
        match self {
            Scenario::Segment => by_plan::regions(),
            Scenario::Slow
            | Scenario::Healthy
            | Scenario::Spike
            | Scenario::Ramp
            | Scenario::Shadow => GivenSegments::new(),
        }
    }

    fn play(self, story: &mut Story, args: &DemoArgs) -> anyhow::Result<()> {
        match self {
            Scenario::Slow => by_hand::slow_canary(story, args.delay_ms),
            Scenario::Healthy => by_hand::healthy_canary(story),
            Scenario::Spike => by_plan::error_spike(story),
            Scenario::Ramp => by_plan::slow_ramp(story),
            Scenario::Segment => by_plan::slow_region(story),
            Scenario::Shadow => in_shadow::silently_wrong(story),
        }
    }
}

/// A number of requests of which exactly a tenth is the canary's.
fn twenties(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(n) if (200..=100_000).contains(&n) && n % 20 == 0 => Ok(n),
        Ok(_) | Err(_) => Err("give a multiple of 20 from 200 to 100000".to_owned()),
    }
}

/// Plays the scenarios that were chosen.
///
/// # Errors
/// When the server cannot be started or stops answering.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let folder = Folder::new("demo")?;
    let models = folder.path().join("models");
    ensure_default_models(&models).context("cannot train the two models")?;
    anstream::println!(
        "Each scenario has a server of its own, with model_v1 as stable. All that follows is plain \
         HTTP;\n`serin serve` and curl do the same."
    );
    let (mut failed, mut steps) = (0, 0);
    for scenario in args.scenario.scenarios() {
        let server = Server::start(&models, &folder, scenario.segments())?;
        let client = Client::new(&server.url, None);
        let mut story = Story { client, requests: args.requests, failed: 0, steps: 0 };
        scenario.play(&mut story, args)?;
        (failed, steps) = (failed + story.failed, steps + story.steps);
        // Its connections would keep the server from stopping.
        drop(story);
        server.stop()?;
    }
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
