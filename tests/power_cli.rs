//! `serin power`: sample sizes for latencies and failures, with and without a margin.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use serin::stats::Alternative;
use serin::stats::ProportionPower;

#[path = "shared/executable.rs"]
mod executable;

fn serin(arguments: &[&str]) -> Output {
    // It reads no file.
    executable::serin(Path::new(".")).arg("power").args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The cells of a row after its name.
fn cells(said: &str, test: &str) -> Vec<String> {
    let rows = said.lines().filter_map(|line| line.trim().strip_prefix(test));
    let row = rows.into_iter().find(|rest| rest.trim_start().starts_with(['0', '1']));
    row.unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_tests_that_decide_are_planned() {
    let flags = ["--error-rate", "1%", "--canary-error-rate", "2%", "--json"];
    let said: Value = serde_json::from_str(&text(&serin(&flags))).unwrap();
    let row = |test: &str| {
        let rows = said["tests"].as_array().unwrap();
        rows.iter().find(|row| row["test"] == test).unwrap_or_else(|| panic!("{said}")).clone()
    };
    let fisher = row("Fisher");
    assert!(fisher["power"].as_f64().unwrap() >= 0.8, "{fisher}");
    assert_eq!(fisher["level"], 0.05);
    // The policy has four guardrails, and the signal of the tail with half of a weight.
    assert_eq!(row("judge: rolled back, median")["level"], 0.05 / 4.5);
    let [median, most] = ["median", "95 %"]
        .map(|it| row(&format!("judge: rolled back, {it}"))["canary"].as_u64().unwrap());
    assert!(fisher["canary"].as_u64() < Some(median) && median < most, "{said}");
}

#[test]
fn several_guardrails_are_found_sooner_and_proven_later_than_each() {
    let both = [
        "--error-rate",
        "1%",
        "--canary-error-rate",
        "2%",
        "--slower",
        "10%",
        "--latency",
        "lognormal",
        "--std-ms",
        "50",
        "--json",
    ];
    let said: Value = serde_json::from_str(&text(&serin(&both))).unwrap();
    let canary = |test: &str| -> Vec<u64> {
        let rows = said["tests"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["test"].as_str().unwrap().starts_with(test));
        rows.map(|row| row["canary"].as_u64().unwrap()).collect()
    };
    let (each, either) = (canary("judge: rolled back, median"), canary("judge: either"));
    assert!(each.len() == 2 && each.iter().all(|one| *one > either[0]), "{said}");
    let (each, both) = (canary("judge: equal proven, median"), canary("judge: both proven"));
    assert!(each.len() == 2 && each.iter().all(|one| *one <= both[0]), "{said}");
}

#[test]
fn a_slowdown_of_ten_milliseconds_needs_37_samples_per_group() {
    let said = text(&serin(&["--difference-ms", "10", "--std-ms", "15"]));
    assert_eq!(cells(&said, "t test, equal groups")[..3], ["0.05", "37", "37"], "{said}");
    assert_eq!(cells(&said, "t test")[..3], ["0.05", "20", "178"], "{said}");
}

#[test]
fn a_margin_needs_the_samples_of_a_one_sided_test_of_the_distance_from_it() {
    let equal = text(&serin(&["--margin", "5", "--std-ms", "15", "--json"]));
    let distance = ["--difference-ms", "5", "--std-ms", "15", "--sides", "one", "--json"];
    let sizes = |text: &str| {
        let said: Value = serde_json::from_str(text).unwrap();
        (said["equal_groups"].clone(), said["split"].clone())
    };
    assert_eq!(sizes(&equal), sizes(&text(&serin(&distance))));
    let slower = text(&serin(&["--margin", "15", "--difference-ms", "5", "--std-ms", "15"]));
    // statsmodels: TTestIndPower().solve_power(10 / 15, None, 0.05, 0.8, 1.0, "larger") = 28.52
    assert_eq!(cells(&slower, "t test, equal groups")[..3], ["0.05", "29", "29"], "{slower}");
    let failures = text(&serin(&["--margin", "1%", "--error-rate", "1%"]));
    // Farrington and Manning: 1035.13 at one canary request in ten
    assert_eq!(cells(&failures, "z test")[1], "1,036", "{failures}");
}

#[test]
fn failures_need_the_samples_of_the_library() {
    let flags = ["--error-rate", "1%", "--canary-error-rate", "2%", "--json"];
    let said: Value = serde_json::from_str(&text(&serin(&flags))).unwrap();
    let asked = ProportionPower {
        canary_rate: 0.02,
        stable_rate: 0.01,
        margin: 0.0,
        alpha: 0.05,
        power: 0.8,
        allocation_ratio: 9.0,
        alternative: Alternative::TwoSided,
    };
    let sizes = asked.required_samples().unwrap();
    assert_eq!(said["split"]["canary"], sizes.canary_ceil);
    assert_eq!(said["split"]["stable"], sizes.stable_ceil);
    let requests = said["requests"].as_u64().unwrap();
    assert!(requests >= sizes.canary_ceil * 10 - 10, "{said}");
}

#[test]
fn contradicting_flags_are_usage_errors() {
    for (flags, named) in [
        (vec!["--error-rate", "1%"], "canary-error-rate"),
        (vec!["--error-rate", "1", "--canary-error-rate", "2%"], "--error-rate: \"1\""),
        (vec!["--error-rate", "1%", "--canary-error-rate", "200%"], "0% to 100%"),
        (vec!["--error-rate", "1%", "--canary-error-rate", "2%", "--std-ms", "1"], "std-ms"),
        (vec!["--traffic", "0"], "leaves a track empty"),
        (vec!["--margin", "5", "--difference-ms", "5"], "--margin: 5 is out of range"),
        (vec!["--margin", "5", "--sides", "two"], "cannot be used with"),
        (vec!["--margin", "5", "--error-rate", "1%"], "--margin: \"5\" is not a percentage"),
        (vec!["--margin", "5%"], "--margin: \"5%\" is not a number of milliseconds"),
    ] {
        let output = serin(&flags);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
        assert!(error.contains(named), "{flags:?}: {error}");
    }
}

#[test]
fn the_answer_fits_eighty_columns() {
    for flags in [
        &["--difference-ms", "10", "--std-ms", "15"][..],
        &["--margin", "5", "--std-ms", "15", "--traffic", "0.5"],
        &["--error-rate", "1%", "--canary-error-rate", "1.01%", "--traffic", "2.5"],
        &["--error-rate", "1%", "--margin", "0.25%"],
    ] {
        let said = text(&serin(flags));
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    }
}

#[test]
fn a_margin_below_the_slowdown_is_refused_with_the_flag_to_leave_out() {
    let refused = serin(&["--difference-ms", "10", "--std-ms", "15", "--margin", "5"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("leave out --difference-ms"), "{said}");
}
