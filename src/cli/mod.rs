//! The command line: one file per command.
//!
//! - [`local`]: commands that run or prepare a server: serve, train, import, inspect, compare, config,
//!   completions.
//! - [`remote`]: commands that talk to a running server.
//! - [`lab`]: statistics without a server: analyze, power, simulate, replay.
//! - [`demo`]: narrated demonstrations.
//! - [`settings`]: the settings of a server.
//!
//! Every flag has an environment variable: `SERIN_FLAG` for `serve` and for the address of a server,
//! `SERIN_COMMAND_FLAG` for the others. Its doc comment is its help. Exit codes: [`exit`].

pub mod lab;
pub mod local;
pub mod remote;
pub mod settings;

pub mod demo;

pub mod exit;

mod help;

mod numbers;

mod show;

use std::process::ExitCode;

use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;
use clap::Subcommand;

use lab::analyze;
use lab::power;
use lab::replay;
use lab::simulate;
use lab::tune;
use local::compare;
use local::completions;
use local::config;
use local::import;
use local::inspect;
use local::serve;
use local::store;
use local::train;
use remote::check;
use remote::decide;
use remote::deploy;
use remote::explain;
use remote::history;
use remote::history::report;
use remote::load;
use remote::models;
use remote::reports;
use remote::shadow;
use remote::status;
use remote::traffic;
use remote::wait;

/// A model server with a built-in canary: serve, split, measure, check, promote, roll back.
#[derive(Debug, Parser)]
#[command(name = "serin", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve predictions, split traffic with a canary, and judge it
    Serve(Box<serve::ServeArgs>),
    /// Run narrated demos: slow, healthy, failing and self-driving canaries
    Demo(demo::DemoArgs),
    /// Train the two demo models, or a model from a CSV file
    Train(Box<train::TrainArgs>),
    /// Import a model of LightGBM, XGBoost, scikit-learn or ONNX
    Import(import::ImportArgs),
    /// Check a model file and print its contents
    Inspect(inspect::InspectArgs),
    /// Compare two models on the same rows; exit code 0 better, 1 worse, 3 not shown
    ///
    /// The models may be of different kinds and take different features: each takes its own by name. With outcomes the
    /// log-loss decides whether B is better, of regressions the RMSE. It is not (3) if it is worse in a segment of --segment, or has no answer
    /// for rows that A answers; it is worse (1) if chance does not explain the missing answers.
    Compare(compare::CompareArgs),
    /// Compare two files of numbers; exit code 0 promote, 1 rollback, 3 wait
    Analyze(analyze::AnalyzeArgs),
    /// Compute how many samples a comparison needs
    Power(power::PowerArgs),
    /// Simulate false-alarm rate and detection time for your traffic
    Simulate(Box<simulate::SimulateArgs>),
    /// Show the state of a server and its rollout
    Status(status::StatusArgs),
    /// Deploy a model as the canary
    Deploy(deploy::DeployArgs),
    /// Judge the canary; exit code 0 pass, 1 fail, 3 inconclusive
    Check(check::CheckArgs),
    /// Wait for the end of the rollout or a verdict; exit code 0 promoted, 1 rolled back, 3 no verdict
    ///
    /// If no rollout is under way, the last one is reported, with its exit code. So write serin deploy MODEL && serin
    /// wait: after a refused deployment, wait alone would report the rollout before it.
    Wait(wait::WaitArgs),
    /// Explain one metric: margins, p-values, forecast
    Explain(explain::ExplainArgs),
    /// Promote the canary to stable
    Promote(decide::PromoteArgs),
    /// Roll back the canary
    Rollback(decide::RollbackArgs),
    /// Undo the latest promotion while it is still monitored
    Revert(decide::RevertArgs),
    /// Pause the rollout
    Pause(decide::PauseArgs),
    /// Resume a paused rollout
    Resume(decide::PauseArgs),
    /// Set the canary's share of the traffic, which begins a new step
    SetTraffic(traffic::SetTrafficArgs),
    /// Break the canary on purpose (serve --allow-injection): delay, errors, shifted scores
    Inject(traffic::InjectArgs),
    /// Turn the simulated slowdown of the canary on or off
    ToggleSlowdown(traffic::ToggleSlowdownArgs),
    /// Report outcomes of predictions; exit code 1 if some are refused
    Feedback(reports::FeedbackArgs),
    /// Report a value measured elsewhere
    Record(reports::RecordArgs),
    /// Send predictions as users would; exit code 1 if none is answered
    ///
    /// Times are random, and slow answers do not slow them down. Random rows have the values of training.
    Load(Box<load::args::LoadArgs>),
    /// List the model files of a server
    Models(models::ModelsArgs),
    /// Show the requests on which canary and stable differ most in shadow
    Disagreements(shadow::DisagreementsArgs),
    /// Send the recent requests to both versions again (settings: [recent_requests] capacity)
    ReplayRecent(shadow::ReplayRecentArgs),
    /// List what happened, and why
    History(history::HistoryArgs),
    /// Write a rollout into a page that needs no server: verdict, metrics, timeline, policy
    Report(report::ReportArgs),
    /// Recompute the verdicts in the journal, or try another policy on them; exit code 0
    /// equal, 1 different, 3 no evidence stored
    Replay(replay::ReplayArgs),
    /// Propose settings from the earlier rollouts in the store: margins, unit, samples, bake
    Tune(tune::TuneArgs),
    /// Copy a store: from one machine to PostgreSQL, and back
    Store(store::StoreArgs),
    /// Show the effective settings, or check a settings file
    Config(config::ConfigArgs),
    /// Write shell completions and man pages into a folder
    Completions(completions::CompletionsArgs),
}

impl Cli {
    /// Parses the arguments of this process. Without a command to run it prints the help or the error, and
    /// exits.
    pub fn from_process() -> Cli {
        let matches = help::complete(Cli::command()).get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Prints the error that a command ended with.
    pub fn report(error: &anyhow::Error) {
        show::error(&format!("{error:#}"));
    }

    /// Runs the command.
    ///
    /// # Errors
    /// When the command fails; the message says what failed, why, and what to do.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Train(args) => train::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Analyze(args) => analyze::run(&args),
            Command::Power(args) => power::run(&args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Deploy(args) => deploy::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Wait(args) => wait::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Promote(args) => decide::promote(&args),
            Command::Rollback(args) => decide::roll_back(&args),
            Command::Revert(args) => decide::revert(&args),
            Command::Pause(args) => decide::pause(&args),
            Command::Resume(args) => decide::resume(&args),
            Command::SetTraffic(args) => traffic::set_traffic(&args),
            Command::Inject(args) => traffic::inject(&args),
            Command::ToggleSlowdown(args) => traffic::toggle_slowdown(&args),
            Command::Feedback(args) => reports::feedback(&args),
            Command::Record(args) => reports::record(&args),
            Command::Load(args) => load::run(&args),
            Command::Models(args) => models::run(&args),
            Command::Disagreements(args) => shadow::disagreements(&args),
            Command::ReplayRecent(args) => shadow::replay_recent(&args),
            Command::History(args) => history::run(&args),
            Command::Report(args) => report::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Tune(args) => tune::run(&args),
            Command::Store(args) => store::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Completions(args) => completions::run(&args, help::complete(Cli::command())),
        }
    }
}
