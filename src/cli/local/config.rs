//! `serin config`: shows the effective settings, or checks a settings file.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use anyhow::bail;
use clap::Args;
use clap::Subcommand;
use serde_json::Value;
use serde_json::json;

use crate::canary::policy::plan::Template;
use crate::cli::exit::FAIL;
use crate::cli::settings::Settings;
use crate::cli::settings::flags::Flags;
use crate::cli::settings::layers::DEFAULT_FILE;
use crate::cli::settings::layers::Layers;
use crate::cli::settings::layers::any_secret;
use crate::cli::settings::profile::Profile;
use crate::cli::show;
use crate::cli::show::outln;
use crate::service::notify::target::Target;

/// What to do with the settings.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the effective settings as a settings file, with every default and the origin of each value
    Show(Box<ShowArgs>),
    /// Check a settings file and report its mistakes; exit code 0 none, 1 some
    Check(CheckArgs),
}

/// The flags of `serin config show`: those of `serin serve`.
#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    flags: Flags,
    /// Settings file [default: serin.toml, if it exists]
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Defaults for the platform that starts the server
    #[arg(long, env = "SERIN_PROFILE", value_name = "PLATFORM")]
    profile: Option<Profile>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The flags of `serin config check`.
#[derive(Args, Debug)]
struct CheckArgs {
    /// Settings file [default: that of --config, or serin.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Settings file, as serin serve takes it
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    /// The file to check. A named one is preferred to that of the environment.
    fn file(&self) -> anyhow::Result<&Path> {
        let from_environment = std::env::var_os("SERIN_CONFIG");
        match (&self.file, &self.config) {
            (Some(_), Some(config)) if from_environment.as_deref() != Some(config.as_os_str()) => {
                bail!("--config: the settings file is named twice; name it once")
            }
            (Some(file), _) | (None, Some(file)) => Ok(file),
            (None, None) => Ok(Path::new(DEFAULT_FILE)),
        }
    }
}

/// Shows or checks.
///
/// # Errors
/// When a file cannot be read, or the settings to show are invalid.
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Show(args) => print(args),
        Command::Check(args) => check(args),
    }
}

fn print(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let layers = Layers::new(args.flags.clone(), args.config.as_deref())?;
    let layers = layers.with_profile(args.profile);
    let settings = layers.settings()?;
    let targets = Target::all(&settings.notify, "", any_secret);
    let targets = targets.map_err(|error| anyhow!(layers.located(&error)))?;
    let (shown, redacted) = shown(&settings, &targets)?;
    let templates = Template::ALL.map(|template| (template.name(), template.plan()));
    if args.json {
        let origins: serde_json::Map<String, Value> = leaves(&shown, "")
            .into_iter()
            .map(|path| (path.clone(), Value::String(layers.origin(&path))))
            .collect();
        let templates: serde_json::Map<String, Value> =
            templates.into_iter().map(|(name, plan)| (name.to_owned(), json!(plan))).collect();
        let all = json!({
            "settings": shown, "origins": origins, "templates": templates, "redacted": redacted,
        });
        show::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for path in &redacted {
        outln!("# {path} is set and not shown ({})", layers.origin(path));
    }
    for (line, path) in lines_with_paths(&shown)? {
        let origin = path.map(|path| format!("  # {}", layers.origin(&path)));
        outln!("{line}{}", origin.unwrap_or_default());
    }
    // As comments, so that the output is a settings file.
    for (name, plan) in templates {
        outln!("\n# template = {name:?} in [plan] means:");
        for line in toml::to_string(&plan)?.lines().filter(|line| !line.is_empty()) {
            outln!("#   {line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The settings as in a settings file, with all metrics, and the names of the secret ones.
fn shown(settings: &Settings, targets: &[Target]) -> anyhow::Result<(Value, Vec<String>)> {
    let mut shown = serde_json::to_value(settings)?;
    shown["metrics"] = json!(settings.policy()?.judge.metrics);
    let mut redacted = Vec::new();
    let secrets =
        [("admin_token", &settings.admin_token), ("metrics_token", &settings.metrics_token)];
    for (name, _) in secrets.into_iter().filter(|(_, secret)| secret.is_some()) {
        redacted.push(name.to_owned());
    }
    for (index, target) in targets.iter().enumerate() {
        // The path of a webhook is often its only secret. The number distinguishes two on one host.
        shown["notify"][index]["url"] = json!(format!("{}/...{}", target.origin(), index + 1));
        redacted.push(format!("notify[{index}].url"));
    }
    if let Some(fields) = shown.as_object_mut() {
        // TOML has neither null nor numbers above 2^63.
        fields.retain(|_, value| !value.is_null() && (!value.is_u64() || value.is_i64()));
    }
    Ok((shown, redacted))
}

/// The lines of a settings file, each with the path of the value that it sets. Metrics have their name in the path,
/// because the list has more of them than the file.
fn lines_with_paths(shown: &Value) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let text = toml::to_string(&toml::Table::try_from(shown)?)?;
    let (mut section, mut list, mut entry) = (String::new(), String::new(), String::new());
    let mut index = 0;
    let lines = text.lines().map(|line| {
        if let Some(name) = line.strip_prefix("[[") {
            let name = name.trim_end_matches(']');
            index = if name == list { index + 1 } else { 0 };
            list = name.to_owned();
            entry = match shown[name][index]["name"].as_str() {
                Some(metric) => format!("{name}.{metric}"),
                None => format!("{name}[{index}]"),
            };
            section.clone_from(&entry);
        } else if line.starts_with('[') {
            let name = line.trim_matches(['[', ']']);
            let nested = name.strip_prefix(&list).filter(|rest| rest.starts_with('.'));
            section = nested.map_or_else(|| name.to_owned(), |rest| format!("{entry}{rest}"));
        }
        let dot = if section.is_empty() { "" } else { "." };
        let path = line.split_once(" = ").map(|(key, _)| format!("{section}{dot}{key}"));
        (line.to_owned(), path)
    });
    Ok(lines.collect())
}

/// The paths of all values; a list is one value.
fn leaves(value: &Value, path: &str) -> Vec<String> {
    let Value::Object(fields) = value else { return vec![path.to_owned()] };
    let dot = if path.is_empty() { "" } else { "." };
    fields.iter().flat_map(|(key, value)| leaves(value, &format!("{path}{dot}{key}"))).collect()
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let file = args.file()?;
    let mistakes = Layers::new(Flags::default(), Some(file))?.mistakes();
    let file = file.display();
    if args.json {
        show::json(&json!({ "problems": mistakes }))?;
    } else {
        for mistake in &mistakes {
            outln!("{}", show::plain(mistake));
        }
        match mistakes.len() {
            0 => outln!("{file}: no problems"),
            1 => outln!("{file}: 1 problem"),
            many => outln!("{file}: {many} problems"),
        }
    }
    Ok(if mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAIL) })
}
