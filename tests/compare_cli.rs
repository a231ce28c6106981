//! `serin compare`: two models on the same rows.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;

use serde_json::Value;

#[path = "shared/customers.rs"]
mod customers;
#[path = "shared/ended.rs"]
mod ended;

use customers::customers;
use customers::two_models;
use ended::Ended;
use ended::serin;

const BOTH: [&str; 3] = ["compare", "models/good.bin", "models/poor.bin"];
const SWAPPED: [&str; 3] = ["compare", "models/poor.bin", "models/good.bin"];

fn compared(folder: &Path, models: [&str; 3], more: &[&str]) -> Ended {
    serin(folder, &[&models[..], &["--data", "rest.csv"], more].concat())
}

fn json(folder: &Path, models: [&str; 3], more: &[&str]) -> Value {
    let ended = compared(folder, models, &[&["--json"], more].concat());
    assert!(!ended.stdout.is_empty(), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn the_better_model_is_promoted_and_the_worse_one_rolled_back() {
    let folder = two_models();
    let worse = compared(folder.path(), BOTH, &[]);
    assert_eq!(worse.code, 1, "{}", worse.stderr);
    for said in [
        "rollback\n",
        "models/poor.bin is worse: its log-loss is higher by",
        "rest.csv: 600 rows, base rate",
        "of `left` = `yes`",
        "AUC",
        "miscalibration",
        "Rows that differ most",
        "McNemar p",
    ] {
        assert!(words(&worse.stdout).contains(&words(said)), "{said}: {}", worse.stdout);
    }
    let better = compared(folder.path(), SWAPPED, &[]);
    assert_eq!(better.code, 0, "{}", better.stderr);
    assert!(better.stdout.contains("models/good.bin is better: its"), "{}", better.stdout);

    let same = ["compare", "models/good.bin", "models/good.bin"];
    let ended = compared(folder.path(), same, &[]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    let said = "Within noise: the log-loss of models/good.bin minus";
    assert!(words(&ended.stdout).contains(said), "{}", ended.stdout);
    assert!(ended.stdout.contains("Labels: the same in all 600 rows."), "{}", ended.stdout);
}

#[test]
fn figures_are_those_of_the_rows() {
    let folder = two_models();
    let printed = json(folder.path(), BOTH, &[]);
    assert_eq!(printed["decision"], "rollback");
    let [good, poor] = [0, 1].map(|place| &printed["models"][place]);
    assert_eq!((&good["rows"], &poor["rows"]), (&Value::from(600), &Value::from(600)));
    let number = |value: &Value| value.as_f64().unwrap();
    for metric in ["auc", "log_loss", "brier", "accuracy", "miscalibration"] {
        let found = &printed["differences"][metric];
        let expected = number(&poor[metric]) - number(&good[metric]);
        assert!((number(&found["difference"]) - expected).abs() < 1e-9, "{metric}: {printed}");
        assert!(number(&found["standard_error"]) > 0.0, "{printed}");
        assert!(number(&found["interval"][0]) < number(&found["interval"][1]), "{printed}");
    }
    let flips = &printed["flips"];
    let count = |name: &str| flips[name].as_u64().unwrap();
    assert_eq!(count("rows"), count("to_positive") + count("to_negative"), "{printed}");
    assert_eq!(count("rows"), count("to_right") + count("to_wrong"), "{printed}");
    // The accuracy differs by the rows that flip to right, less those that flip to wrong.
    let right = (count("to_right") as f64 - count("to_wrong") as f64) / 600.0;
    let accuracy = number(&printed["differences"]["accuracy"]["difference"]);
    assert!((accuracy - right).abs() < 1e-12, "{printed}");

    let rows = printed["most_different"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    let sizes: Vec<f64> = rows.iter().map(|row| number(&row["difference"]).abs()).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]), "{sizes:?}");
    assert_eq!(sizes[0], number(&printed["scores"]["largest"]));
    // The values are those of the row in the file, of the features of both models.
    let data = std::fs::read_to_string(folder.path().join("rest.csv")).unwrap();
    for row in rows {
        let line = data.lines().nth(row["row"].as_u64().unwrap() as usize).unwrap();
        let values = &row["values"];
        let [age, noise] = ["age", "noise"].map(|name| number(&values[name]));
        let plan = values["plan"].as_str().unwrap();
        let outcome = if row["outcome"].as_bool().unwrap() { "yes" } else { "no" };
        assert_eq!(line, format!("{age},{noise},{plan},{outcome}"));
        let scores = [&row["scores"][0], &row["scores"][1]].map(number);
        assert_eq!(number(&row["difference"]), scores[1] - scores[0]);
    }
}

#[test]
fn rows_without_outcomes_show_flips_and_differences_and_decide_nothing() {
    let folder = two_models();
    let file = folder.path().join("rest.csv");
    let labeled = std::fs::read_to_string(&file).unwrap();
    let with = json(folder.path(), BOTH, &[]);
    std::fs::write(&file, labeled.replacen(",left\n", ",note\n", 1)).unwrap();
    let ended = compared(folder.path(), BOTH, &[]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    for said in
        ["wait\n", "rest.csv: 600 rows, without outcomes", "name their column with --target"]
    {
        assert!(words(&ended.stdout).contains(&words(said)), "{said}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("AUC"), "{}", ended.stdout);
    let without = json(folder.path(), BOTH, &[]);
    assert_eq!((&without["target"], &without["differences"]), (&Value::Null, &Value::Null));
    assert_eq!(without["scores"], with["scores"]);
    for name in ["rows", "share", "interval", "to_positive", "to_negative"] {
        assert_eq!(without["flips"][name], with["flips"][name], "{name}");
    }
    // The outcomes may have another name.
    let named = json(folder.path(), BOTH, &["--target", "note", "--positive", "yes"]);
    assert_eq!(named["differences"], with["differences"]);
    // Rows without an outcome enter what needs none.
    let some: String = labeled
        .lines()
        .enumerate()
        .map(|(n, line)| match line.rsplit_once(',') {
            Some((values, _)) if n > 400 => format!("{values},\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&file, some).unwrap();
    let some = json(folder.path(), BOTH, &[]);
    assert_eq!((&some["rows"], &some["models"][0]["rows"]), (&600.into(), &400.into()));
    assert_eq!(some["scores"], with["scores"]);
    assert_eq!(some["flips"]["rows"], with["flips"]["rows"]);
}

#[test]
fn too_few_rows_decide_nothing() {
    let folder = two_models();
    let file = folder.path().join("rest.csv");
    let all = std::fs::read_to_string(&file).unwrap();
    let few: String = all.lines().take(30).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, few).unwrap();
    let ended = compared(folder.path(), BOTH, &[]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    let said = "29 rows with an outcome are too few; use 30 or more";
    assert!(words(&ended.stdout).contains(said), "{}", ended.stdout);
}

#[test]
fn a_segment_in_which_the_better_model_is_worse_keeps_it_from_being_promoted() {
    let folder = tempfile::tempdir().unwrap();
    // Model B knows `clue`, which points the other way in region `south`.
    let file = |name: &str, south: usize, seed: usize| {
        let row = |i: usize| {
            let drawn = (i * 7_919 + seed * 104_729) % 1_000;
            let left = drawn.is_multiple_of(2);
            let is_south = i % 10 < south;
            let region = if is_south { "south" } else { "north" };
            let clue = if left != is_south { drawn % 7 + 2 } else { drawn % 7 };
            format!("{clue},{},{region},{}\n", drawn % 13, u8::from(left))
        };
        let text =
            (0..800).map(row).fold("clue,noise,region,left\n".to_owned(), |all, row| all + &row);
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    file("train.csv", 0, 1);
    file("rest.csv", 1, 3);
    for (out, drop) in [("a.bin", "clue"), ("b.bin", "noise")] {
        let train = ["train", "--data", "train.csv", "--target", "left", "--out", out];
        let drops = ["--drop", drop, "--drop", "region"];
        assert_eq!(serin(folder.path(), &[&train[..], &drops].concat()).code, 0);
    }
    let models = ["compare", "a.bin", "b.bin"];
    assert_eq!(compared(folder.path(), models, &[]).code, 0);
    let ended = compared(folder.path(), models, &["--segment", "region"]);
    assert_eq!(ended.code, 3, "{}", ended.stdout);
    assert!(words(&ended.stdout).contains("It is worse where region = south."), "{}", ended.stdout);
    let printed = json(folder.path(), models, &["--segment", "region", "--segment", "region"]);
    let segments = printed["segments"].as_array().unwrap();
    let of = |name: &str| segments.iter().map(|one| one[name].clone()).collect::<Vec<Value>>();
    assert_eq!(of("value"), ["north", "south"]);
    assert_eq!(of("verdict"), ["better", "worse"]);
    assert_eq!(of("rows"), [720, 80]);
    let refused = compared(folder.path(), models, &["--segment", "town"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("unknown column `town`"), "{}", refused.stderr);
}

#[test]
fn rows_that_do_not_fit_the_models_are_refused_with_what_to_do() {
    let folder = two_models();
    let write = |content: String| std::fs::write(folder.path().join("rest.csv"), content).unwrap();
    let target: &[&str] = &["--target", "left"];
    for (content, more, said) in [
        (customers(3, "gone"), target, "target: unknown column `left`"),
        (
            customers(3, "left").replace("age", "years"),
            &[],
            "feature of the model: unknown column `age`",
        ),
        (customers(3, "left").replace("21,", "young,"), &[], "column `age` has `young`"),
        (customers(3, "left").replace(",no\n", ",yes\n"), &[], "both classes"),
    ] {
        write(content);
        let ended = compared(folder.path(), BOTH, more);
        assert_eq!(ended.code, 2, "{said}");
        assert!(ended.stderr.starts_with("serin: --data rest.csv"), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    write(customers(3, "left"));
    std::fs::write(folder.path().join("third.csv"), customers(4, "gone")).unwrap();
    let train = ["train", "--data", "third.csv", "--target", "gone"];
    assert_eq!(serin(folder.path(), &train).code, 0);
    let other = ["compare", "models/good.bin", "models/third.bin"];
    let ended = compared(folder.path(), other, &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("compare models of the same target"), "{}", ended.stderr);
    // With named outcomes they can be compared.
    let ended = compared(folder.path(), other, &["--target", "left"]);
    assert!([0, 1, 3].contains(&ended.code), "{}", ended.stderr);
    let wide: String =
        (0..60).map(|n| format!("{n},{},pro,{},{n}\n", n % 17, ["no", "yes"][n % 2])).collect();
    write(format!("age,noise,plan,left,town\n{wide}"));
    let ended = compared(folder.path(), BOTH, &["--segment", "town"]);
    assert_eq!(ended.code, 2);
    let said = "--segment town: 60 different values; use a column with at most 50";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn models_of_different_kinds_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata");
    for name in ["lgb_binary.txt", "xgb_binary.ubj"] {
        std::fs::copy(testdata.join(name), folder.path().join(name)).unwrap();
    }
    let models = ["compare", "lgb_binary.txt", "xgb_binary.ubj"];
    let cards = [1, 2].map(|place| {
        let ended = serin(folder.path(), &["inspect", models[place], "--json"]);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    });
    // The columns stand in another order than in either model, between others.
    let mut names: Vec<String> = cards
        .iter()
        .flat_map(|card| card["features"].as_array().unwrap().clone())
        .map(|feature| feature["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names.reverse();
    let width = names.len();
    let row = |n: usize| {
        let values: Vec<String> =
            (0..width).map(|i| ((n * 31 + i * 17) % 11).to_string()).collect();
        format!("{},x,{}\n", values.join(","), n % 2)
    };
    let text =
        (0..60).map(row).fold(format!("{},other,y\n", names.join(",")), |all, row| all + &row);
    std::fs::write(folder.path().join("rest.csv"), text).unwrap();
    let ended = compared(folder.path(), models, &["--target", "y", "--json"]);
    assert!([0, 1, 3].contains(&ended.code), "{}", ended.stderr);
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed["models"][0]["kind"], "lightgbm");
    assert_eq!(printed["models"][1]["kind"], "xgboost");
    assert_eq!(printed["models"][1]["positives"], 30);
}

#[test]
fn what_is_printed_fits_eighty_columns() {
    let folder = two_models();
    let data = folder.path().join("rest.csv");
    let text = customers(3, "a_target_with_a_rather_long_name_of_its_own_as_exports_have_it");
    std::fs::write(data, text.replace("basic", "a basic plan with a long name")).unwrap();
    let target = ["--target", "a_target_with_a_rather_long_name_of_its_own_as_exports_have_it"];
    for more in [&[][..], &target, &[&target[..], &["--segment", "plan"]].concat()] {
        let ended = compared(folder.path(), BOTH, more);
        let long: Vec<&str> =
            ended.stdout.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
        assert!(ended.stdout.lines().count() > 10, "{}", ended.stderr);
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}
