//! `serin config`: what are the settings, and what is wrong with a file of them?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::Subcommand;
use serde_json::json;

use crate::canary::policy::plan::Template;
use crate::canary::policy::plan_overrides::GivenPlan;
use crate::cli::exit::FAIL;
use crate::cli::settings::DEFAULT_FILE;
use crate::cli::settings::Given;
use crate::cli::settings::Settings;
use crate::cli::settings::checked::problems;
use crate::cli::show;

/// What to do with the settings.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the settings in force, as a settings file with every default
    Show(Box<ShowArgs>),
    /// Say what is wrong with a settings file, all at once; exit code 0 nothing, 1 something
    Check(CheckArgs),
}

/// The flags of `serin config show`: those of `serin serve`.
#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    given: Given,
    /// Settings file [default: serin.toml, if there is one]
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The flags of `serin config check`.
#[derive(Args, Debug)]
struct CheckArgs {
    /// Settings file
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows or checks.
///
/// # Errors
/// When a file cannot be read, or the settings to be shown cannot be.
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Show(args) => print(args),
        Command::Check(args) => check(args),
    }
}

fn print(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::new(&args.given, args.config.as_deref())?;
    let (shown, redacted) = settings.shown();
    let templates = Template::ALL.map(|template| (template.name(), template.plan()));
    let templates = templates.map(|(name, plan)| (name, GivenPlan::from(&plan)));
    if args.json {
        let templates: serde_json::Map<String, serde_json::Value> =
            templates.into_iter().map(|(name, plan)| (name.to_owned(), json!(plan))).collect();
        let all = json!({ "settings": shown, "templates": templates, "redacted": redacted });
        anstream::println!("{}", show::json(&all));
        return Ok(ExitCode::SUCCESS);
    }
    if !redacted.is_empty() {
        anstream::println!("# Set, and not shown: {}.", redacted.join(", "));
    }
    anstream::print!("{}", toml::to_string(&shown)?);
    // As comments, so that what is printed is a settings file.
    for (name, plan) in templates {
        anstream::println!("\n# template = {name:?} in [plan] stands for:");
        for line in toml::to_string(&plan)?.lines().filter(|line| !line.is_empty()) {
            anstream::println!("#   {line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {file}; name the settings file"))?;
    let problems = problems(&text);
    if args.json {
        anstream::println!("{}", show::json(&json!({ "problems": problems })));
    } else {
        for problem in &problems {
            anstream::println!("{}", show::plain(problem));
        }
        match problems.len() {
            0 => anstream::println!("nothing is wrong with {file}"),
            1 => anstream::println!("{file}: 1 problem"),
            many => anstream::println!("{file}: {many} problems"),
        }
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAIL) })
}
