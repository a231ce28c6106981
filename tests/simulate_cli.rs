//! `serin simulate` as a person and a script meet it: the same figures for the same seed, tables, JSON,
//! pictures, and what is refused.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serin::canary::JudgePolicy;
use serin::canary::Weight;
use serin::simulation::Behavior;
use serin::simulation::Load;
use serin::simulation::Look;
use serin::simulation::Routing;
use serin::simulation::Scenario;
use serin::simulation::Shape;
use serin::simulation::Until;
use serin::simulation::shape::lognormal_sigma;
use serin::simulation::strict_policy;
use serin::simulation::study;
use serin::simulation::study::Study;

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary in a folder, without this shell's settings, with these variables and arguments.
fn serin_with(variables: &[(&str, &str)], folder: &Path, arguments: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SERIN_") {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied()).current_dir(folder).arg("simulate");
    let output = command.args(arguments.split_whitespace()).output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn serin(arguments: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    serin_with(&[], folder.path(), arguments)
}

fn json(arguments: &str) -> Value {
    let ended = serin(&format!("{arguments} --json"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Five minutes and eight canaries a run, which takes well under a second.
const SMALL: &str = "--duration 5m --replications 8 --slower 30%";

#[test]
fn the_seed_alone_decides_on_any_number_of_threads() {
    let one = serin(&format!("{SMALL} --threads 1 --seed 7"));
    assert_eq!(one.code, 0, "{}", one.stderr);
    assert_eq!(one.stdout, serin(&format!("{SMALL} --threads 3 --seed 7")).stdout);
    assert_ne!(one.stdout, serin(&format!("{SMALL} --threads 1 --seed 8")).stdout);
}

#[test]
fn the_table_fits_eighty_columns_and_says_what_it_comes_to() {
    let folder = tempfile::tempdir().unwrap();
    let ramp = "--ramp 10,25,50,75,90 --load restless --latency lognormal --score-shift -0.2 \
                --slower 100% --duration 5m --replications 8";
    let healthy = "--duration 1m --replications 8";
    for (arguments, regression) in [(SMALL, true), (ramp, true), (healthy, false)] {
        let ended = serin_with(&[("COLUMNS", "80")], folder.path(), arguments);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(ended.stderr, "", "no progress bar where nobody looks");
        let widest = ended.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?}: {}", ended.stdout);
        for row in ["rolled back", "promoted", "repeated Welch alarms", "seconds to rollback"] {
            assert!(ended.stdout.contains(row), "{row}: {}", ended.stdout);
        }
        assert_eq!(ended.stdout.contains("missed"), regression, "{}", ended.stdout);
        let unwrapped = ended.stdout.replace('\n', " ");
        assert!(unwrapped.contains("are allowed"), "{}", ended.stdout);
    }
}

#[test]
fn json_holds_both_runs_and_only_the_healthy_one_without_a_regression() {
    let both = json(SMALL);
    assert_eq!(both["with_regression"]["rolled_back"]["share"], 1.0, "{both}");
    assert_eq!(both["with_regression"]["missed"]["hours"], 0);
    assert_eq!(both["with_regression"]["alone"]["score"], Value::Null);
    assert!(both["with_regression"]["rolled_back"]["until"]["seconds"]["median"].is_u64());
    assert!(both["healthy"]["alone"]["score"]["share"].is_number());
    let healthy = json("--duration 1m --replications 3");
    assert_eq!(healthy["with_regression"], Value::Null);
    assert_eq!(healthy["healthy"]["rolled_back"]["interval_95"][0], 0.0);
}

#[test]
fn the_command_gives_what_the_library_gives() {
    let behavior = Behavior {
        latency: Shape::lognormal(0.050, lognormal_sigma(1.0)),
        scores: Shape::scores(),
        failure_rate: 0.01,
    };
    let mut scenario = Scenario {
        harm_after: 0,
        stable: behavior.clone(),
        canary: behavior,
        routing: Routing::Strata,
        load: Load::Restless,
        requests_per_second: 100,
        seconds: 600,
        weights: [10.0, 25.0, 50.0].map(|percent| Weight::from_percent(percent).unwrap()).to_vec(),
        remembered: 1000,
        look: Look::TimesPerSecond(10),
        until: Until::Over,
        policy: strict_policy(0.05),
    };
    let policies = [("strict", strict_policy(0.05)), ("served", JudgePolicy::default())];
    for (name, policy) in policies {
        scenario.policy = policy;
        let study = Study { replications: 6, seed: 4, threads: 2 };
        let outcomes = study.outcomes(&scenario, || ());
        let found = json(&format!(
            "--policy {name} --latency lognormal --error-rate 1% --load restless --duration 10m \
             --ramp 10,25,50 --remembered 1000 --look-every 100ms --replications 6 --seed 4"
        ));
        let healthy = &found["healthy"];
        let promotions = study::seconds(&outcomes, |outcome| outcome.promotion);
        let expected = serde_json::json!({ "median": promotions.median, "p95": promotions.p95 });
        assert_eq!(healthy["promoted"]["until"]["seconds"], expected, "{name}");
        for (event, count) in [
            ("rolled_back", study::count(&outcomes, |outcome| outcome.rollback)),
            ("promoted", study::count(&outcomes, |outcome| outcome.promotion)),
            ("repeated_welch", study::count(&outcomes, |outcome| outcome.welch)),
        ] {
            assert_eq!(healthy[event]["hours"], count, "{name} {event}");
        }
    }
}

#[test]
fn the_picture_is_well_formed_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let picture = |name: &str, seed: u32| {
        let ended =
            serin_with(&[], folder.path(), &format!("{SMALL} --seed {seed} --svg {name}.svg"));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        std::fs::read_to_string(folder.path().join(format!("{name}.svg"))).unwrap()
    };
    let (one, same, other) = (picture("one", 1), picture("same", 1), picture("other", 2));
    assert_eq!(one, same);
    assert_ne!(one, other);
    assert_well_formed(&one);
    for text in
        ["regression, taken back: 100.0 %", "healthy, promoted", "share of canaries", "30 %"]
    {
        assert!(one.contains(text), "{text} is missing in {one}");
    }
}

/// Every element is closed in order, every attribute quoted, and no number is NaN.
fn assert_well_formed(svg: &str) {
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_cannot_be_is_refused_with_its_name_its_value_and_a_remedy() {
    for (arguments, named) in [
        ("--slower 10", "--slower = \"10\" is no percentage; give one from 0% to 10000%, like 1%"),
        ("--slower NaN%", "--slower = \"NaN%\""),
        ("--error-rate 101%", "--error-rate = \"101%\" is no percentage"),
        ("--canary-error-rate -1%", "--canary-error-rate = \"-1%\""),
        ("--slower 0%", "changes nothing"),
        ("--weight 0", "--weight = 0 leaves a track empty"),
        ("--weight 101", "--weight"),
        ("--ramp 10,100", "--ramp = 100 leaves a track empty"),
        ("--weight 10 --ramp 10,20", "cannot be used with"),
        ("--duration 1s", "--duration = \"1s\" is out of range; give whole seconds"),
        ("--duration soon", "duration = \"soon\""),
        ("--look-every 300ms", "--look-every = \"300ms\" is out of range; give whole seconds"),
        ("--look-every 0s", "--look-every"),
        ("--look-every 2h", "--look-every = \"2h\""),
        ("--requests-per-second 0", "--requests-per-second = 0 is out of range; give 1 to 10000"),
        ("--replications 0", "--replications = 0 is out of range"),
        ("--replications 1000000000", "--replications = 1000000000 is out of range"),
        ("--replications 100000 --duration 24h", "hours on one core, and 24 are allowed; give"),
        ("--requests-per-second 10000 --look-every 1h", "look more often"),
        ("--threads 0", "--threads = 0"),
        ("--keys 1", "--keys = 1"),
        ("--latency pareto --latency-std-ms 10", "--latency-std-ms = 10 has no effect"),
        ("--latency-std-ms 40", "--latency-std-ms = 40 is out of range; give 0.05 to 25"),
        ("--latency-sigma 1", "--latency-sigma describes --latency lognormal"),
        ("--score-shift 9", "--score-shift = 9"),
        ("--slower-ms inf", "--slower-ms = inf"),
        ("--alpha 0", "alpha = 0 is out of range"),
        ("--policy strict --relative-margin 0.1", "no effect under --policy strict"),
        ("--config no/such/file", "check --config"),
        ("--svg no/such/file.svg", "--svg = no/such/file.svg cannot be written"),
    ] {
        let ended = serin(arguments);
        assert_eq!(ended.code, 2, "{arguments}: {}", ended.stdout);
        assert!(ended.stderr.contains(named), "{arguments}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments}");
    }
}

#[test]
fn the_environment_and_the_settings_file_of_the_server_count() {
    let folder = tempfile::tempdir().unwrap();
    let small = "--duration 1m --replications 2 --json";
    let found = |variables: &[(&str, &str)]| -> Value {
        let ended = serin_with(variables, folder.path(), small);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    };
    assert_eq!(found(&[("SERIN_SIMULATE_SEED", "9")])["seed"], 9);
    std::fs::write(folder.path().join("serin.toml"), "alpha = 0.01\n").unwrap();
    assert_eq!(found(&[])["alpha"], 0.01);
    assert_eq!(found(&[("SERIN_ALPHA", "0.1")])["alpha"], 0.1);
    let recorded = "[[metrics]]\nname = \"revenue\"\nharm = \"lower\"\n";
    std::fs::write(folder.path().join("serin.toml"), recorded).unwrap();
    let refused = serin_with(&[], folder.path(), small);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("metric revenue is recorded elsewhere"), "{}", refused.stderr);
}
