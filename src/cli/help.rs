//! Help: examples for each command, and the environment variables of its flags.

use clap::ArgAction;
use clap::Command;
use clap::builder::FalseyValueParser;
use clap::builder::Resettable;

/// Examples of a command, as they can be pasted into a shell.
fn examples(command: &str) -> &'static [&'static str] {
    match command {
        "serve" => &[
            "serin serve",
            "serin serve --stable churn_v1.bin --store sqlite:churn.db --listen 127.0.0.1:8001",
        ],
        "train" => &[
            "serin train",
            "serin train --data customers.csv --target Churn --positive Yes --drop customerID --out models/churn_v1.bin",
        ],
        "inspect" => &[
            "serin inspect models/churn_v1.bin",
            "serin inspect models/churn_v1.bin models/churn_v2.bin --data november.csv",
        ],
        "analyze" => &[
            "serin analyze before.csv after.csv --column latency_ms --lower-is-better",
            "serin analyze before.csv after.csv --column latency_ms --lower-is-better --margin 5%",
        ],
        "power" => &[
            "serin power --difference-ms 10 --std-ms 15",
            "serin power --error-rate 1% --canary-error-rate 2%",
        ],
        "deploy" => &[
            "serin deploy model_v2.bin --traffic 5 --reason \"retrained on October\"",
            "serin deploy model_v2.bin --plan standard",
            "serin deploy model_v2.bin --steps 0%:5m,1%:10m,10%:30m,50%:1h",
        ],
        "check" => &["serin check && serin promote"],
        "wait" => &["serin deploy model_v2.bin --plan standard && serin wait --timeout 2h"],
        "rollback" => &["serin rollback --reason \"scores are wrong\" --quarantine"],
        "promote" => &["serin promote --force --reason \"expected change of scores\""],
        "replay" => &["serin replay --tolerated 5%"],
        _ => &[],
    }
}

/// The command line with an environment variable for every flag, and examples in the help.
pub fn complete(command: Command) -> Command {
    without_empty_variables(command.mut_subcommands(|command| {
        let prefix = format!("SERIN_{}", command.get_name().to_uppercase());
        let footer = footer(command.get_name());
        // Fixed, because clap's usage after an error lists optional flags as if they were required.
        let usage = command.clone().render_usage().to_string();
        let usage = format!("serin {}", usage.trim_start_matches("Usage: "));
        let command = command.override_usage(usage);
        command.allow_negative_numbers(true).after_help(footer).mut_args(|arg| {
            let Some(flag) = arg.get_long() else { return arg };
            let name = format!("{prefix}_{}", flag.to_uppercase().replace('-', "_"));
            let arg = if arg.get_env().is_none() { arg.env(name) } else { arg };
            let arg = arg.hide_env(true);
            match arg.get_action() {
                ArgAction::SetTrue => arg.value_parser(FalseyValueParser::new()),
                _ => arg,
            }
        })
    }))
}

/// Examples, and the names of the environment variables.
fn footer(name: &str) -> String {
    let lines: String = examples(name).iter().map(|example| format!("  {example}\n")).collect();
    let examples = if lines.is_empty() { lines } else { format!("Examples:\n{lines}\n") };
    let upper = name.to_uppercase();
    let variables = match name {
        "serve" => "--canary-deadline is SERIN_CANARY_DEADLINE".to_owned(),
        _ => format!(
            "--json is SERIN_{upper}_JSON; --url and --admin-token are SERIN_URL and SERIN_ADMIN_TOKEN"
        ),
    };
    format!("{examples}Flags can be set by environment variables: {variables}.")
}

/// The command without the environment variables that are empty: an empty variable counts as unset, because
/// compose files and CI cannot express "unset".
fn without_empty_variables(command: Command) -> Command {
    let without = |arg: clap::Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { arg.env(Resettable::Reset) } else { arg }
    };
    command.mut_args(without).mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    /// The words of a shell line; quotes keep a text together.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        let words = parts.flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            _ => vec![part.to_owned()],
        });
        words.collect()
    }

    #[test]
    fn every_example_of_the_help_is_accepted() {
        let commands: Vec<String> =
            Cli::command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
        let mut seen = 0;
        for command in &commands {
            for example in examples(command).iter().flat_map(|line| line.split(" && ")) {
                let parsed = complete(Cli::command()).try_get_matches_from(words(example));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
                seen += 1;
            }
        }
        assert!(seen > 10, "{seen}");
    }

    #[test]
    fn a_usage_after_an_error_names_no_optional_flag_as_if_it_were_required() {
        for (line, usage) in [
            ("serin deploy --url http://127.0.0.1:1", "Usage: serin deploy [OPTIONS] <MODEL>\n"),
            ("serin promote --force", "Usage: serin promote [OPTIONS]\n"),
        ] {
            let error = complete(Cli::command()).try_get_matches_from(words(line)).unwrap_err();
            assert!(error.to_string().contains(usage), "{error}");
        }
    }

    #[test]
    fn the_help_of_a_command_has_examples_and_no_variable_at_each_flag() {
        let mut command = complete(Cli::command());
        let deploy = command.find_subcommand_mut("deploy").unwrap();
        let help = deploy.render_long_help().to_string();
        assert!(help.contains("Examples:\n  serin deploy model_v2.bin --traffic 5"), "{help}");
        assert!(!help.contains("[env"), "{help}");
        assert!(help.contains("--json is SERIN_DEPLOY_JSON"), "{help}");
    }
}
