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
            "serin train --data tiers.csv --target tier --out models/tiers_v1.bin",
        ],
        "import" => &[
            "serin import model.ubj --expect expected.csv --out models/churn_xgb.bin",
            "serin import model.txt --schema-from customers.csv --expect expected.csv --out models/churn_lgb.bin",
        ],
        "inspect" => &[
            "serin inspect models/churn_v1.bin",
            "serin inspect models/churn_v1.bin models/churn_v2.bin",
            "serin inspect spend_v1.bin --data november.csv --target spend",
        ],
        "compare" => &[
            "serin compare models/churn_v1.bin models/churn_v2.bin --data november.csv --segment Contract",
            "serin compare a.bin b.bin --data november.csv --target Churn --positive Yes",
            "serin compare spend_v1.bin spend_v2.bin --data november.csv --target spend",
        ],
        "analyze" => &[
            "serin analyze before.csv after.csv --column latency_ms --lower-is-better",
            "serin analyze before.csv after.csv --column latency_ms --lower-is-better --margin 5%",
            "serin analyze --prometheus http://127.0.0.1:9090 --query 'avg(latency{track=\"$track\"})' --for 1h",
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
        "status" => &["serin status", "serin status --watch"],
        "check" => &["serin check && serin promote", "serin check --markdown"],
        "wait" => &[
            "serin deploy model_v2.bin --plan standard && serin wait --timeout 2h",
            "serin wait --for verdict --timeout 30m && serin promote",
        ],
        "rollback" => &["serin rollback --reason \"scores are wrong\" --quarantine"],
        "promote" => &["serin promote --force --reason \"expected change of scores\""],
        "set-traffic" => &["serin set-traffic 25", "serin set-traffic 0 --shadow 100"],
        "inject" => &["serin inject --delay 5ms --error-rate 20%", "serin inject --off"],
        "toggle-slowdown" => &["serin toggle-slowdown", "serin toggle-slowdown on --delay 50ms"],
        "feedback" => &["serin feedback AQEKAC... 1", "serin feedback --file outcomes.csv"],
        "record" => &["serin record canary 0.87", "serin record baseline 41.5 --metric revenue"],
        "load" => &[
            "serin load",
            "serin load --rate 200 --keys 5000 --for 10m",
            "serin load --data november.csv --labels Churn --label-delay 2s..10s",
        ],
        "demo" => &["serin demo", "serin demo --page --scenario ramp"],
        "replay" => &["serin replay --tolerated 5%"],
        "report" => &["serin report latest --output report.html", "serin report 3 --json"],
        "tune" => &["serin tune --store sqlite:serin.db"],
        "config show" => &["serin config show --bake 10m"],
        "config check" => {
            &["serin config check serin.toml", "serin config check --config serin.toml"]
        }
        "completions" => &["serin completions ~/.local/share"],
        _ => &[],
    }
}

/// The command line with an environment variable for every flag, and examples in the help.
pub fn complete(command: Command) -> Command {
    without_empty_variables(command.mut_subcommands(|command| with_variables(command, "")))
}

/// A command and those in it, with variables that begin with the names of the commands that lead to it.
fn with_variables(command: Command, before: &str) -> Command {
    let path = format!("{before} {}", command.get_name()).trim_start().to_owned();
    let prefix = format!("SERIN_{}", path.to_uppercase().replace([' ', '-'], "_"));
    // Fixed, because clap's usage after an error lists optional flags as if they were required.
    let usage = command.clone().render_usage().to_string();
    let usage =
        format!("serin {before} {}", usage.trim_start_matches("Usage: ")).replace("  ", " ");
    let command = command.override_usage(usage);
    let command = command.mut_subcommands(|command| with_variables(command, &path));
    let command = command.allow_negative_numbers(true).mut_args(|arg| {
        let Some(flag) = arg.get_long() else { return arg };
        let name = format!("{prefix}_{}", flag.to_uppercase().replace('-', "_"));
        let arg = if arg.get_env().is_none() { arg.env(name) } else { arg };
        let arg = arg.hide_env(true);
        match arg.get_action() {
            ArgAction::SetTrue => arg.value_parser(FalseyValueParser::new()),
            _ => arg,
        }
    });
    let footer = footer(&command, &path);
    command.after_help(footer)
}

/// Examples, and some of the environment variables.
fn footer(command: &Command, path: &str) -> String {
    let lines: String = examples(path).iter().map(|example| format!("  {example}\n")).collect();
    let examples = if lines.is_empty() { lines } else { format!("Examples:\n{lines}\n") };
    let variable = |arg: &clap::Arg| {
        let (flag, name) = (arg.get_long()?, arg.get_env()?.to_string_lossy());
        Some((flag.to_owned(), format!("--{flag} is {name}")))
    };
    let variables: Vec<(String, String)> = command.get_arguments().filter_map(variable).collect();
    let is_shown = |(place, (flag, _)): &(usize, &(String, String))| {
        *place == 0 || ["json", "url", "admin-token"].contains(&flag.as_str())
    };
    let shown = variables.iter().enumerate().filter(is_shown).map(|(_, (_, text))| text.as_str());
    let shown = shown.collect::<Vec<&str>>().join(", ");
    if shown.is_empty() {
        return examples;
    }
    format!("{examples}Flags can be set by environment variables: {shown}.")
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

    /// The words of a shell line; quotes of either kind keep a text together.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None, None);
        for one in line.chars() {
            match quote {
                Some(open) if one == open => quote = None,
                None if one == '"' || one == '\'' => {
                    quote = Some(one);
                    word.get_or_insert_with(String::new);
                }
                None if one == ' ' => words.extend(word.take()),
                Some(_) | None => word.get_or_insert_with(String::new).push(one),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn every_example_of_the_help_is_accepted() {
        let names = Cli::command();
        let names = names.get_subcommands().map(|it| it.get_name().to_owned());
        let commands: Vec<String> =
            names.chain(["config show", "config check"].map(str::to_owned)).collect();
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
        let help = on_one_line(deploy);
        assert!(help.contains("--json is SERIN_DEPLOY_JSON"), "{help}");
        assert!(help.contains("--url is SERIN_URL"), "{help}");
    }

    /// The help without its line breaks.
    fn on_one_line(command: &Command) -> String {
        let help = command.clone().render_long_help().to_string();
        help.split_whitespace().collect::<Vec<&str>>().join(" ")
    }

    /// Each command, and each one in it.
    fn all(command: &Command) -> Vec<Command> {
        let below = command.get_subcommands().flat_map(all);
        [command.clone()].into_iter().chain(below).collect()
    }

    #[test]
    fn the_help_names_flags_that_the_command_has_with_their_variables() {
        let mut seen = 0;
        for command in all(&complete(Cli::command())).into_iter().skip(1) {
            let help = on_one_line(&command);
            let variables = help.rsplit_once("by environment variables: ").map_or("", |(_, it)| it);
            for (flag, name) in variables
                .trim()
                .trim_end_matches('.')
                .split(", ")
                .filter_map(|it| it.split_once(" is "))
            {
                let arg =
                    command.get_arguments().find(|arg| arg.get_long() == flag.strip_prefix("--"));
                let found = arg.and_then(|arg| arg.get_env()).unwrap();
                assert_eq!(found.to_string_lossy(), name, "{help}");
                seen += 1;
            }
            let has_flags = command.get_arguments().any(|arg| arg.get_env().is_some());
            assert_eq!(has_flags, !variables.is_empty(), "{help}");
        }
        assert!(seen > 20, "{seen}");
        let config = complete(Cli::command()).find_subcommand("config").unwrap().clone();
        let check = on_one_line(config.find_subcommand("check").unwrap());
        assert!(check.contains("--json is SERIN_CONFIG_CHECK_JSON"), "{check}");
    }
}
