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
    assert_eq!(ended.code, 3, "{}", ended.stderr);
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
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    // By lightgbm 4.7 and xgboost 3.2 on the same rows. XGBoost's are in single precision.
    let near = |found: &Value, expected: f64| {
        assert!((found.as_f64().unwrap() - expected).abs() < 1e-7, "{expected}: {printed}");
    };
    let row = &printed["most_different"][0];
    assert_eq!(row["row"], 10);
    near(&row["scores"][0], 0.502_431_250_381_495_6);
    near(&row["scores"][1], 0.471_961_289_644_241_33);
    near(&printed["models"][0]["log_loss"], 0.718_533_005_888_762_9);
    near(&printed["models"][1]["log_loss"], 0.730_785_690_678_154_8);
    near(&printed["differences"]["log_loss"]["standard_error"], 0.006_321_280_168_464_963);
    assert_eq!(printed["models"][0]["kind"], "lightgbm");
    assert_eq!(printed["models"][1]["kind"], "xgboost");
    assert_eq!(printed["models"][1]["positives"], 30);
}

/// Writes two models as coefficients: A answers every row with about one half; B knows `x`, and has no answer without.
fn with_and_without_imputation(folder: &Path) {
    let write = |name: &str, coefficient: f64, missing: &str| {
        let text = format!(
            r#"{{"format": "serin.model/v1", "model": "logistic_regression", "intercept": 0.1, "features":
            [{{"name": "x", "kind": "number", "coefficient": {coefficient}{missing}}}]}}"#
        );
        std::fs::write(folder.join(name), text).unwrap();
    };
    write("a.json", 0.0, r#", "missing": 0"#);
    write("b.json", 0.7, "");
}

/// 400 rows with outcomes that `x` says; the first rows have no `x`.
fn rows_without_x(folder: &Path, blank: usize) {
    let row = |n: usize| {
        let x = if n < blank { String::new() } else { ((n % 7) as i32 - 3).to_string() };
        let y = u8::from(if n.is_multiple_of(10) { n % 7 < 3 } else { n % 7 > 3 });
        format!("{x},{y},{}\n", if n.is_multiple_of(2) { "even" } else { "odd" })
    };
    let text = (0..400).map(row).fold("x,y,half\n".to_owned(), |all, row| all + &row);
    std::fs::write(folder.join("rest.csv"), text).unwrap();
}

#[test]
fn a_model_without_an_answer_for_some_rows_is_not_better() {
    let folder = tempfile::tempdir().unwrap();
    with_and_without_imputation(folder.path());
    let models = ["compare", "a.json", "b.json"];
    let more = ["--target", "y", "--positive", "1", "--segment", "half"];
    rows_without_x(folder.path(), 0);
    let all = compared(folder.path(), models, &more);
    assert_eq!(all.code, 0, "{}{}", all.stdout, all.stderr);
    assert!(!all.stdout.contains("no answer"), "{}", all.stdout);

    // So few rows may be chance.
    rows_without_x(folder.path(), 3);
    let few = compared(folder.path(), models, &more);
    assert_eq!(few.code, 3, "{}{}", few.stdout, few.stderr);
    let said = "b.json has no answer for 3 of the rows that a.json answers. In the other rows: b.json is better";
    assert!(words(&few.stdout).contains(said), "{}", few.stdout);

    rows_without_x(folder.path(), 200);
    let half = compared(folder.path(), models, &more);
    assert_eq!(half.code, 1, "{}{}", half.stdout, half.stderr);
    for said in [
        "b.json is worse: b.json has no answer for 200 of the rows that a.json answers.",
        "rest.csv: 400 rows, 200 answered by both models, base rate",
        "B has no answer for 200 of the rows (row 1: it answers NaN); a server would count failures.",
        "of 200 rows flip",
    ] {
        assert!(words(&half.stdout).contains(said), "{said}: {}", half.stdout);
    }
    assert!(!half.stdout.contains("A has no answer"), "{}", half.stdout);
    let long: Vec<&str> = half.stdout.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:#?}");
    // Every figure is of the rows that both answer.
    let printed = json(folder.path(), models, &more);
    assert_eq!((&printed["rows"], &printed["compared"]), (&400.into(), &200.into()));
    let of = |name: &str| [0, 1].map(|model| printed["models"][model][name].clone());
    assert_eq!(of("failures"), [0, 200]);
    assert_eq!(of("first_failure"), [Value::Null, "row 1: it answers NaN".into()]);
    assert_eq!(of("rows"), [200, 200]);
    let sizes: Vec<&Value> =
        printed["segments"].as_array().unwrap().iter().map(|it| &it["rows"]).collect();
    assert_eq!(sizes, [100, 100]);
    let rest = std::fs::read_to_string(folder.path().join("rest.csv")).unwrap();
    let answered: String = rest
        .lines()
        .filter(|line| !line.starts_with(','))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(folder.path().join("rest.csv"), answered).unwrap();
    let alone = json(folder.path(), models, &more);
    assert_eq!(alone["decision"], "promote");
    for name in ["differences", "scores", "flips", "segments"] {
        assert_eq!(alone[name], printed[name], "{name}");
    }

    // The baseline may lack answers: B is better where both have them.
    rows_without_x(folder.path(), 200);
    let swapped = compared(folder.path(), ["compare", "b.json", "a.json"], &more);
    assert_eq!(swapped.code, 1, "{}", swapped.stdout);
    assert!(words(&swapped.stdout).contains("a.json is worse: its log-loss"), "{}", swapped.stdout);
    rows_without_x(folder.path(), 400);
    let none = compared(folder.path(), models, &more);
    assert_eq!(none.code, 2);
    let said = "b.json: the model answers none of the 400 rows; row 1: it answers NaN";
    assert!(none.stderr.contains(said), "{}", none.stderr);
}

#[test]
fn models_of_opposite_values_are_refused_also_with_flags() {
    let folder = two_models();
    let train = ["train", "--data", "good.csv", "--target", "left", "--positive", "no"];
    assert_eq!(serin(folder.path(), &[&train[..], &["--out", "no.bin"]].concat()).code, 0);
    let opposite = ["compare", "models/good.bin", "no.bin"];
    let flags: [&[&str]; 4] = [
        &[],
        &["--target", "left"],
        &["--target", "left", "--positive", "yes"],
        &["--target", "plan", "--positive", "pro"],
    ];
    for more in flags {
        let ended = compared(folder.path(), opposite, more);
        assert_eq!(ended.code, 2, "{more:?}: {}", ended.stdout);
        let said = "models/good.bin predicts `left` = `yes` and no.bin predicts `left` = `no`; compare models of the \
                    same value";
        assert!(ended.stderr.contains(said), "{more:?}: {}", ended.stderr);
    }
    let ended = compared(folder.path(), BOTH, &["--target", "left", "--positive", "no"]);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    let said = "--positive no: models/good.bin predicts `left` = `yes`; leave out --positive";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    // Under another name the outcomes count as the models say.
    std::fs::write(folder.path().join("rest.csv"), customers(3, "note")).unwrap();
    let same = ["compare", "no.bin", "no.bin"];
    let printed = json(folder.path(), same, &["--target", "note"]);
    assert_eq!(printed["target"]["positive"], "no");
    assert!(printed["models"][0]["auc"].as_f64().unwrap() > 0.5, "{printed}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_with_what_to_do() {
    let folder = two_models();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for command in [&BOTH[..], &["inspect", "models/good.bin"]] {
        let ended = serin(folder.path(), &[command, &["--data", "pipe"]].concat());
        assert_eq!(ended.code, 2);
        let said = "--data pipe: a pipe can be read only once";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(ended.stderr.contains("write them to a file"), "{}", ended.stderr);
    }
}

#[test]
fn help_says_what_else_decides() {
    let folder = tempfile::tempdir().unwrap();
    let help = words(&serin(folder.path(), &["compare", "--help"]).stdout);
    for said in ["worse in a segment of --segment", "has no answer for rows that A answers"] {
        assert!(help.contains(said), "{said}: {help}");
    }
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
