//! `serin simulate`: reproducible figures, table, JSON, chart, and refused flags.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;

use serde_json::Value;
use serin::canary::JudgePolicy;
use serin::canary::Weight;
use serin::simulation::Behavior;
use serin::simulation::Load;
use serin::simulation::Look;
use serin::simulation::Moment;
use serin::simulation::Outcome;
use serin::simulation::OwnNoise;
use serin::simulation::Routing;
use serin::simulation::Scenario;
use serin::simulation::Shape;
use serin::simulation::Until;
use serin::simulation::Visits;
use serin::simulation::shape::lognormal_sigma;
use serin::simulation::strict_policy;
use serin::simulation::study;
use serin::simulation::study::Study;

#[path = "shared/executable.rs"]
mod executable;

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary in a folder, without this shell's settings, with these variables and arguments.
fn serin_with(variables: &[(&str, &str)], folder: &Path, arguments: &str) -> Ended {
    let mut command = executable::serin(folder);
    command.envs(variables.iter().copied()).arg("simulate");
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
fn the_seed_alone_determines_the_results_on_any_number_of_threads() {
    let one = serin(&format!("{SMALL} --threads 1 --seed 7"));
    assert_eq!(one.code, 0, "{}", one.stderr);
    assert_eq!(one.stdout, serin(&format!("{SMALL} --threads 3 --seed 7")).stdout);
    // The output names the seed, so only the figures show whether it matters.
    let [seven, eight] = [7, 8].map(|seed| json(&format!("{SMALL} --seed {seed}")));
    for run in ["healthy", "with_regression"] {
        assert_ne!(seven[run], eight[run], "{run}");
    }
}

#[test]
fn the_table_fits_eighty_columns_and_ends_with_a_conclusion() {
    let folder = tempfile::tempdir().unwrap();
    let ramp = "--ramp 10,25,50,75,90 --load restless --latency lognormal --score-shift -0.2 \
                --slower 100% --duration 5m --replications 8";
    let healthy = "--duration 1m --replications 8";
    for (arguments, regression) in [(SMALL, true), (ramp, true), (healthy, false)] {
        let ended = serin_with(&[("COLUMNS", "80")], folder.path(), arguments);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(ended.stderr, "", "no progress bar without a terminal");
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
fn json_has_both_runs_and_without_a_regression_only_the_healthy_one() {
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

/// A steady hour of the strict policy, and the flags that ask for it.
fn strict(seconds: u32) -> (Scenario, String) {
    let behavior = Behavior {
        latency: Shape::lognormal(0.050, lognormal_sigma(1.0)),
        scores: Shape::scores(),
        failure_rate: 0.01,
    };
    let scenario = Scenario {
        harm_after: 0,
        stable: behavior.clone(),
        canary: behavior,
        routing: Routing::Strata,
        own_noise: OwnNoise::None,
        load: Load::Steady,
        requests_per_second: 100,
        seconds,
        weights: vec![Weight::from_percent(10.0).unwrap()],
        remembered: 0,
        look: Look::TimesPerSecond(1),
        until: Until::Over,
        policy: strict_policy(0.05),
    };
    let flags =
        format!("--policy strict --latency lognormal --error-rate 1% --duration {seconds}s");
    (scenario, flags)
}

/// The library's outcomes of the hours that the command simulates with `--replications 6 --seed 4`.
fn outcomes(scenario: &Scenario) -> Vec<Outcome> {
    Study { replications: 6, seed: 4, threads: 2 }.outcomes(scenario, || ())
}

#[track_caller]
fn assert_gives(run: &Value, outcomes: &[Outcome], name: &str) {
    type What = fn(&Outcome) -> Option<Moment>;
    let events: [(_, What); 3] = [
        ("rolled_back", |outcome| outcome.rollback),
        ("promoted", |outcome| outcome.promotion),
        ("repeated_welch", |outcome| outcome.welch),
    ];
    for (event, what) in events {
        assert_eq!(run[event]["hours"], study::count(outcomes, what), "{name} {event}");
        let study::Quantiles { median, p95 } = study::seconds(outcomes, what);
        let expected = serde_json::json!({ "median": median, "p95": p95 });
        assert_eq!(run[event]["until"]["seconds"], expected, "{name} {event}");
    }
}

#[test]
fn the_command_gives_the_results_of_the_library() {
    let (steady, flags) = strict(600);
    let mut scenario = Scenario {
        load: Load::Restless,
        weights: [10.0, 25.0, 50.0].map(|percent| Weight::from_percent(percent).unwrap()).to_vec(),
        remembered: 1000,
        look: Look::TimesPerSecond(10),
        ..steady
    };
    let policies = [("strict", strict_policy(0.05)), ("served", JudgePolicy::default())];
    for (name, policy) in policies {
        scenario.policy = policy;
        let flags = flags.replace("strict", name);
        let found = json(&format!(
            "{flags} --load restless --ramp 10,25,50 --remembered 1000 --look-every 100ms \
             --replications 6 --seed 4"
        ));
        assert_gives(&found["healthy"], &outcomes(&scenario), name);
    }
}

#[test]
fn every_kind_of_client_gives_the_results_of_the_library() {
    let (steady, flags) = strict(300);
    let mut before = outcomes(&steady);
    let sticky = |visits| Routing::Sticky { users: 800, visits };
    for (flag, routing) in [
        ("--strict-turn", Routing::Alternating { is_grouped: false }),
        ("--strict-turn --covariate", Routing::Alternating { is_grouped: true }),
        ("--keys 800", sticky(Visits::ByKey)),
        ("--keys 800 --visits first", sticky(Visits::First)),
        ("--keys 800 --visits every", sticky(Visits::Every)),
    ] {
        let expected = outcomes(&Scenario { routing, ..steady.clone() });
        assert_ne!(expected, before, "{flag} changes nothing");
        let found = json(&format!("{flags} {flag} --replications 6 --seed 4"));
        assert_gives(&found["healthy"], &expected, flag);
        before = expected;
    }
}

#[test]
fn a_tail_and_a_late_start_give_the_results_of_the_library() {
    let (steady, flags) = strict(300);
    let regression = |latency: Shape, harm_after| {
        let mut scenario = Scenario { harm_after, until: Until::Compared, ..steady.clone() };
        scenario.canary.latency = latency;
        outcomes(&scenario)
    };
    let latency = &steady.stable.latency;
    let tail = latency.with_p99_doubled().unwrap();
    for (flag, words, expected) in [
        ("--tail", "p99 doubled", regression(tail, 0)),
        (
            "--slower 50% --harm-after 2m",
            "slower by 50 % after 120 s",
            regression(latency.times(1.5), 120),
        ),
    ] {
        let found = &json(&format!("{flags} {flag} --replications 6 --seed 4"))["with_regression"];
        assert_eq!(found["regression"], words);
        assert!(found["rolled_back"]["hours"].as_u64() > Some(3), "{flag}: {found}");
        assert_gives(found, &expected, flag);
    }
}

#[test]
fn the_chart_is_well_formed_and_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let picture = |name: &str, seed: u32| {
        let ended =
            serin_with(&[], folder.path(), &format!("{SMALL} --seed {seed} --svg {name}.svg"));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        std::fs::read_to_string(folder.path().join(format!("{name}.svg"))).unwrap()
    };
    let (one, same, other) = (picture("one", 1), picture("same", 1), picture("other", 2));
    assert_eq!(one, same);
    // The heading names the seed, and may shift the curves.
    assert_ne!(places(&one), places(&other));
    assert_well_formed(&one);
    for text in
        ["regression, rolled back: 100.0 %", "healthy, promoted", "share of canaries", "30 %"]
    {
        assert!(one.contains(text), "{text} is missing in {one}");
    }
}

/// When each curve rises.
fn places(svg: &str) -> Vec<&str> {
    let curves = svg.lines().filter(|line| line.starts_with("<path "));
    curves
        .flat_map(|curve| curve.split('H').skip(1).filter_map(|at| at.split('V').next()))
        .collect()
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
fn invalid_flags_are_refused_with_value_and_remedy() {
    for (arguments, named) in [
        ("--slower 10", "--slower: \"10\" is not a percentage; use 0% to 10000%, for example 1%"),
        (
            "--harm-after 5m",
            "--harm-after: \"5m\" sets when a regression begins, but there is none",
        ),
        ("--harm-after nonsense", "--harm-after: \"nonsense\" sets when a regression begins"),
        ("--slower 10% --harm-after nonsense", "--harm-after: \"nonsense\" is not a duration"),
        ("--slower 10% --harm-after 1h", "--harm-after: 1h is out of range"),
        ("--tail --latency lognormal --latency-sigma 2", "--tail cannot leave the mean"),
        ("--visits every", "--keys"),
        ("--keys 10 --strict-turn", "cannot be used with"),
        ("--slower NaN%", "--slower: \"NaN%\""),
        ("--error-rate 101%", "--error-rate: \"101%\" is not a percentage"),
        ("--canary-error-rate -1%", "--canary-error-rate: \"-1%\""),
        ("--slower 0%", "changes nothing"),
        ("--weight 0", "--weight: 0 leaves a track empty"),
        ("--weight 101", "--weight"),
        ("--ramp 10,100", "--ramp: 100 leaves a track empty"),
        ("--weight 10 --ramp 10,20", "cannot be used with"),
        ("--duration 1s", "--duration: \"1s\" is out of range; use whole seconds"),
        ("--duration soon", "--duration: \"soon\" is not a duration"),
        ("--look-every 300ms", "--look-every: \"300ms\" is out of range; use whole seconds"),
        ("--look-every 0s", "--look-every"),
        ("--look-every 2h", "--look-every: \"2h\""),
        ("--requests-per-second 0", "--requests-per-second: 0 is out of range; use 1 to 10000"),
        ("--replications 0", "--replications: 0 is out of range"),
        ("--replications 1000000000", "--replications: 1000000000 is out of range"),
        ("--replications 100000 --duration 24h", "hours on one core, and 24 are allowed; use"),
        ("--requests-per-second 10000 --look-every 1h", "look more often"),
        ("--threads 0", "--threads: 0"),
        ("--keys 1", "--keys: 1"),
        ("--latency pareto --latency-std-ms 10", "--latency-std-ms: 10 has no effect"),
        ("--latency-std-ms 40", "--latency-std-ms: 40 is out of range; use 0.05 to 25"),
        ("--latency-sigma 1", "--latency-sigma needs --latency lognormal"),
        ("--score-shift 9", "--score-shift: 9"),
        ("--slower-ms inf", "--slower-ms: inf"),
        ("--alpha 0", "--alpha: 0 is out of range"),
        ("--policy strict --relative-margin 0.1", "no effect under --policy strict"),
        ("--policy strict --min-samples 30", "--min-samples: 30 has no effect under"),
        ("--min-samples 1", "--min-samples: 1 is out of range"),
        ("--config no/such/file", "cannot read no/such/file; check the path"),
        ("--svg no/such/file.svg", "--svg: no/such/file.svg cannot be written"),
    ] {
        let ended = serin(arguments);
        assert_eq!(ended.code, 2, "{arguments}: {}", ended.stdout);
        assert!(ended.stderr.contains(named), "{arguments}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments}");
    }
}

#[test]
fn the_environment_and_settings_file_of_the_server_apply() {
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
    let promoted = |variables| found(variables)["healthy"]["promoted"]["hours"].clone();
    assert_ne!(promoted(&[]), 0);
    assert_eq!(promoted(&[("SERIN_MIN_SAMPLES", "601")]), 0, "the canary gets 600 requests");
    let recorded = "[[metrics]]\nname = \"revenue\"\nharm = \"lower\"\n";
    std::fs::write(folder.path().join("serin.toml"), recorded).unwrap();
    let refused = serin_with(&[], folder.path(), small);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("metric revenue is measured elsewhere"), "{}", refused.stderr);
}

#[test]
fn an_a_a_test_runs_the_same_model_on_both_tracks_of_a_real_server() {
    let folder = tempfile::tempdir().unwrap();
    let ended = serin_with(&[], folder.path(), "--aa-live --aa-runs 2 --aa-seconds 1 --json");
    let counted: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &counted["runs"]), (0, &Value::from(2)), "{}", ended.stderr);
    assert!(counted["requests"].as_u64().is_some_and(|requests| requests > 50), "{counted}");
    assert_eq!(counted["sample_ratio_mismatch"]["runs"], 0, "{counted}");
    // Flags of simulated traffic do not apply.
    for (arguments, named) in [
        ("--aa-live --svg picture.svg", "--svg"),
        ("--aa-live --alpha 0.2", "--alpha has no effect with --aa-live"),
        ("--aa-live --aa-runs 0", "--aa-runs: 0 is out of range"),
        ("--aa-runs 3", "--aa-live"),
    ] {
        let refused = serin_with(&[], folder.path(), arguments);
        assert!(refused.code == 2 && refused.stderr.contains(named), "{}", refused.stderr);
    }
}
