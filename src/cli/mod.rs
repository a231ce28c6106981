//! The command line: one file a command.
//!
//! Every flag is also an environment variable: those of `serve`, and the address of a server, as
//! `SERIN_FLAG`, the others as `SERIN_COMMAND_FLAG`. Its doc comment is its manual. Exit codes: 0
//! fine or pass, 1 fail, 2 an error in use, 3 inconclusive, so that `serin check` and `serin analyze`
//! can gate a pipeline.

pub mod lab;
pub mod local;
pub mod remote;
pub mod settings;

pub mod demo;

pub mod exit;

mod numbers;

mod show;

use std::process::ExitCode;

use clap::ArgAction;
use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;
use clap::Subcommand;
use clap::builder::FalseyValueParser;

use lab::analyze;
use lab::power;
use lab::replay;
use lab::simulate;
use local::config;
use local::inspect;
use local::serve;
use local::train;
use remote::check;
use remote::deploy;
use remote::history;
use remote::pause;
use remote::promote;
use remote::revert;
use remote::rollback;
use remote::status;

/// A model server with a built-in canary: serve, split, measure, check, promote, roll back.
#[derive(Debug, Parser)]
#[command(name = "serin", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve predictions, and the canary's administration
    Serve(Box<serve::ServeArgs>),
    /// Live through canaries that are slow, healthy, failing, or climb by themselves, narrated
    Demo(demo::DemoArgs),
    /// Train a model: the two demonstration models, or one from a CSV file
    Train(Box<train::TrainArgs>),
    /// Print what is in a model file
    Inspect(inspect::InspectArgs),
    /// Compare two files of numbers; exit code 0 promote, 1 rollback, 3 wait
    Analyze(analyze::AnalyzeArgs),
    /// How many samples a comparison takes
    Power(power::PowerArgs),
    /// How often the judge would be wrong with this traffic, and how soon right
    Simulate(Box<simulate::SimulateArgs>),
    /// What a server is doing
    Status(status::StatusArgs),
    /// Put a model on trial
    Deploy(deploy::DeployArgs),
    /// Judge the canary; exit code 0 pass, 1 alert, 3 too little data
    Check(check::CheckArgs),
    /// Make the canary stable
    Promote(promote::PromoteArgs),
    /// Take the canary back
    Rollback(rollback::RollbackArgs),
    /// Make the version before a promotion that is still watched stable again
    Revert(revert::RevertArgs),
    /// Put the rollout on hold
    Pause(pause::PauseArgs),
    /// Let a paused rollout go on
    Resume(pause::PauseArgs),
    /// What happened, and why
    History(history::HistoryArgs),
    /// Recompute the verdicts of the journal, or ask what if the margins had been others; exit code 0
    /// equal, 1 different, 3 evidence not kept
    Replay(replay::ReplayArgs),
    /// Show the settings in force, or check a settings file
    Config(config::ConfigArgs),
}

impl Cli {
    /// The command that this process was started with. Ends the process with the manual, or with
    /// what is wrong, if there is none.
    pub fn from_process() -> Cli {
        let matches = Cli::with_environment().get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The command line, with an environment variable for every flag that names none itself.
    fn with_environment() -> clap::Command {
        Cli::command().mut_subcommands(|command| {
            let prefix = format!("SERIN_{}", command.get_name().to_uppercase());
            command.allow_negative_numbers(true).mut_args(|arg| {
                let Some(flag) = arg.get_long() else { return arg };
                let name = format!("{prefix}_{}", flag.to_uppercase().replace('-', "_"));
                let arg = if arg.get_env().is_none() { arg.env(name) } else { arg };
                match arg.get_action() {
                    ArgAction::SetTrue => arg.value_parser(FalseyValueParser::new()),
                    _ => arg,
                }
            })
        })
    }

    /// Runs the command.
    ///
    /// # Errors
    /// When it cannot be carried out; the message says what, why, and what to do.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Train(args) => train::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Analyze(args) => analyze::run(&args),
            Command::Power(args) => power::run(&args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Deploy(args) => deploy::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Promote(args) => promote::run(&args),
            Command::Rollback(args) => rollback::run(&args),
            Command::Revert(args) => revert::run(&args),
            Command::Pause(args) => pause::run(&args, "pause-canary"),
            Command::Resume(args) => pause::run(&args, "resume-canary"),
            Command::History(args) => history::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Config(args) => config::run(&args),
        }
    }
}
