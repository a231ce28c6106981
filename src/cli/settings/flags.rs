//! Flags and environment variables of the settings.

use clap::Arg;
use clap::ArgAction;
use clap::ArgMatches;
use clap::Args;
use clap::Command;
use clap::Error;
use clap::FromArgMatches;
use clap::parser::ValueSource;
use serde_json::Value;

use super::FLAGS;
use super::Flag;
use super::Settings;

/// Settings from the command line and the environment.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<Override>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Override {
    /// The key of the setting.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
    /// `--bake` or `SERIN_BAKE`.
    pub origin: String,
}

impl Flags {
    fn of(matches: &ArgMatches, included: fn(&&Flag) -> bool) -> Flags {
        let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
        let given = FLAGS.iter().filter(included).filter_map(|flag| {
            let origin = match matches.value_source(flag.key)? {
                ValueSource::CommandLine => flag_name(flag.key),
                ValueSource::EnvVariable => variable_name(flag.key),
                _ => return None,
            };
            let value = match flag.value {
                "" => Value::Bool(matches.get_flag(flag.key)),
                _ => typed(flag, &defaults[flag.key], matches.get_one::<String>(flag.key)?),
            };
            // A switch that is off in the environment leaves the decision to the file.
            (value != Value::Bool(false)).then_some(Override { key: flag.key, value, origin })
        });
        Flags(given.collect())
    }

    /// The settings that are given.
    pub fn given(&self) -> impl DoubleEndedIterator<Item = &Override> {
        self.0.iter()
    }
}

/// The settings of the judge, for commands that judge without a server.
#[derive(Clone, Debug, Default)]
pub struct JudgeFlags(pub Flags);

const JUDGE_KEYS: [&str; 8] = [
    "alpha",
    "min_samples",
    "relative_margin",
    "failure_margin",
    "absolute_margin_ms",
    "promote_score",
    "rollback_score",
    "unit",
];

fn is_of_judge(flag: &&Flag) -> bool {
    JUDGE_KEYS.contains(&flag.key)
}

impl FromArgMatches for JudgeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<JudgeFlags, Error> {
        Ok(JudgeFlags(Flags::of(matches, is_of_judge)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = JudgeFlags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for JudgeFlags {
    fn augment_args(command: Command) -> Command {
        with_arguments(command, is_of_judge)
    }

    fn augment_args_for_update(command: Command) -> Command {
        JudgeFlags::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, Error> {
        Ok(Flags::of(matches, |_| true))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        with_arguments(command, |_| true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

fn with_arguments(command: Command, included: fn(&&Flag) -> bool) -> Command {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    command.args(FLAGS.iter().filter(included).map(|flag| argument(flag, &defaults[flag.key])))
}

fn argument(flag: &Flag, default: &Value) -> Arg {
    let mut help = flag.help.trim().to_owned();
    let shown = match default {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    if !shown.is_empty() && !help.contains("[default: ") {
        help = format!("{help} [default: {shown}]");
    }
    let argument = Arg::new(flag.key)
        .long(flag.key.replace('_', "-"))
        .env(variable_name(flag.key))
        // The address of a database may have a password.
        .hide_env_values(["TOKEN", "STORE"].contains(&flag.value))
        .help(help);
    match flag.value {
        "" => argument.action(ArgAction::SetTrue),
        value => argument.value_name(value),
    }
}

/// The text as a value of the setting's type; otherwise it stays a text, which is refused when the settings
/// are read.
fn typed(flag: &Flag, default: &Value, text: &str) -> Value {
    let is_number = default.is_number() || flag.value == "N";
    let whole = || text.parse::<u64>().ok().map(Value::from);
    let finite = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::from);
    let number = if is_number { whole().or_else(finite) } else { None };
    number.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn flag_name(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

fn variable_name(key: &str) -> String {
    format!("SERIN_{}", key.to_uppercase())
}
