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

/// The settings that the command line and the environment give.
#[derive(Clone, Debug, Default)]
pub struct Flags(pub(super) Vec<Override>);

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Override {
    pub(super) key: &'static str,
    pub(super) value: Value,
    /// `--bake` or `SERIN_BAKE`.
    pub(super) origin: String,
}

impl Flags {
    /// The same with a number from another flag, if it is given.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: Option<f64>) -> Flags {
        let value = value.map(|number| match number {
            whole if whole.fract() == 0.0 && (0.0..1e15).contains(&whole) => {
                Value::from(whole as u64)
            }
            _ => Value::from(number),
        });
        self.0.extend(value.map(|value| Override { key, value, origin: flag_name(key) }));
        self
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, Error> {
        let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
        let given = FLAGS.iter().filter_map(|flag| {
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
        Ok(Flags(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
        command.args(FLAGS.iter().map(|flag| argument(flag, &defaults[flag.key])))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
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
        .hide_env_values(flag.value == "TOKEN")
        .help(help);
    match flag.value {
        "" => argument.action(ArgAction::SetTrue),
        value => argument.value_name(value),
    }
}

/// The text as the type that the setting has. A text that is not of this type stays a text, and is refused
/// when the settings are read.
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
