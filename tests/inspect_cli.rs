//! `serin inspect`: cards, models on the same rows, and what training kept.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use serde_json::Value;

#[path = "shared/customers.rs"]
mod customers;
#[path = "shared/ended.rs"]
mod ended;

use customers::customers;
use customers::two_models;
use ended::serin;

const BOTH: [&str; 3] = ["inspect", "models/good.bin", "models/poor.bin"];

#[test]
fn the_flag_for_one_model_points_to_compare_for_two() {
    let folder = two_models();
    let ended = serin(folder.path(), &[&BOTH[..], &["--data", "rest.csv"]].concat());
    assert_eq!(ended.code, 2);
    let command = "serin compare models/good.bin models/poor.bin --data rest.csv";
    assert!(ended.stderr.contains(command), "{}", ended.stderr);
    let alone = serin(folder.path(), &["inspect", "models/good.bin", "--data", "rest.csv"]);
    assert_eq!(alone.code, 0, "{}", alone.stderr);
    assert!(alone.stdout.contains("rest.csv: 600 rows"), "{}", alone.stdout);
    assert!(!alone.stdout.contains("difference"), "{}", alone.stdout);
}

#[test]
fn two_cards_are_shown_with_what_differs() {
    let folder = two_models();
    let ended = serin(folder.path(), &BOTH);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for said in [
        "Features only in models/good.bin: `age`.",
        "Features only in models/poor.bin: `noise`.",
        "were measured on different data",
        "good.csv",
        "poor.csv",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
    let json = serin(folder.path(), &[&BOTH[..], &["--json"]].concat());
    let printed: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(printed["models"][1]["training"]["source"], "poor.csv");
    assert_eq!(printed["differences"].as_array().unwrap().len(), 3, "{printed}");
    let ended = serin(folder.path(), &["inspect", "models/good.bin", "models/good.bin"]);
    assert!(ended.stdout.contains("Both files hold the same model."), "{}", ended.stdout);
}

#[test]
fn rows_are_inspected_with_the_markers_of_missing_values_they_were_trained_with() {
    let folder = two_models();
    let with = |name: &str, marker: &str| {
        let lines = customers(3, "left");
        let mark = |(n, line): (usize, &str)| match line.split_once(',') {
            Some((_, rest)) if n % 5 == 1 => format!("{marker},{rest}\n"),
            _ => format!("{line}\n"),
        };
        let text: String = lines.lines().enumerate().map(mark).collect();
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    with("blank.csv", "");
    with("marked.csv", "-999");
    let quality = |data: &str, more: &[&str]| -> Value {
        let all = [&["inspect", "models/good.bin", "--json", "--data", data], more].concat();
        let ended = serin(folder.path(), &all);
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
        printed["log_loss"].clone()
    };
    let blank = quality("blank.csv", &[]);
    assert_eq!(quality("marked.csv", &["--missing", "-999"]), blank);
    assert_ne!(quality("marked.csv", &[]), blank);
}

#[test]
fn a_model_keeps_the_markers_of_missing_values_it_was_trained_with() {
    let folder = tempfile::tempdir().unwrap();
    let text = customers(3, "left");
    let marked = |lines: &str| {
        let mark = |(n, line): (usize, &str)| match (n % 5, line.split_once(',')) {
            (1, Some((_, rest))) => format!("{},{rest}\n", ["-999", "-999.0"][n % 2]),
            _ => format!("{line}\n"),
        };
        lines.lines().enumerate().map(mark).collect::<String>()
    };
    std::fs::write(folder.path().join("marked.csv"), marked(&text)).unwrap();
    let train = |more: &[&str]| {
        let fixed = ["train", "--data", "marked.csv", "--target", "left", "--out", "model.bin"];
        serin(folder.path(), &[&fixed[..], more].concat())
    };
    // Without the flag the report proposes it, and with it it is silent.
    let hinted = train(&[]).stdout;
    let hinted = hinted.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(hinted.contains("column `age`: -999 in 120 rows, far from the rest"), "{hinted}");
    assert!(hinted.contains("use --missing -999"), "{hinted}");
    let silent = train(&["--missing", "-999"]);
    assert_eq!(silent.code, 0, "{}", silent.stderr);
    assert!(!silent.stdout.contains("warning"), "{}", silent.stdout);

    let shown = serin(folder.path(), &["inspect", "model.bin"]).stdout;
    let words = shown.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(words.contains("missing values: blanks, the usual ones such as"), "{shown}");
    assert!(words.contains("also `-999`"), "{shown}");
    let quality = |more: &[&str]| -> Value {
        let fixed = ["inspect", "model.bin", "--json", "--data", "marked.csv"];
        let ended = serin(folder.path(), &[&fixed[..], more].concat());
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
        printed["log_loss"].clone()
    };
    let alone = quality(&[]);
    assert_eq!(quality(&["--missing", "-999"]), alone);
    assert_eq!(quality(&["--missing", "unknown"]), alone);
    assert!(alone.as_f64().unwrap() < 0.69, "{alone}");
}

#[test]
fn models_of_other_targets_are_not_recommended_for_a_comparison() {
    let folder = two_models();
    std::fs::write(folder.path().join("third.csv"), customers(4, "gone")).unwrap();
    let train = ["train", "--data", "third.csv", "--target", "gone"];
    assert_eq!(serin(folder.path(), &train).code, 0);
    let inspected = serin(folder.path(), &["inspect", "models/good.bin", "models/third.bin"]);
    let words = inspected.stdout.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(words.contains("predict different targets and cannot be compared"), "{words}");
    assert!(words.contains("models/third.bin predicts `gone` = `yes`"), "{words}");
    assert!(!words.contains("serin compare"), "{words}");
}

#[test]
fn an_auc_below_one_half_gets_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    // Every third row is held out, and there the labels are the other way round.
    let row = |n: usize| {
        let is_left = (n % 7 > 3) != (n % 3 == 2);
        format!("{},{}\n", n % 7, if is_left { "yes" } else { "no" })
    };
    let text = (0..210).map(row).fold("x,left\n".to_owned(), |text, row| text + &row);
    std::fs::write(folder.path().join("rows.csv"), text).unwrap();
    let train = "train --data rows.csv --target left --holdout-every 3 --out model.bin";
    let trained = serin(folder.path(), &train.split(' ').collect::<Vec<_>>());
    assert_eq!(trained.code, 0, "{}", trained.stderr);
    for arguments in [
        &["inspect", "model.bin"][..],
        &["inspect", "model.bin", "model.bin"],
        &["inspect", "model.bin", "--data", "inverted.csv"],
    ] {
        let row = |n: usize| format!("{},{}\n", n % 7, if n % 7 > 3 { "no" } else { "yes" });
        let text = (0..210).map(row).fold("x,left\n".to_owned(), |text, row| text + &row);
        std::fs::write(folder.path().join("inverted.csv"), text).unwrap();
        for shown in [&trained.stdout, &serin(folder.path(), arguments).stdout] {
            let words = shown.split_whitespace().collect::<Vec<&str>>().join(" ");
            assert!(words.contains("worse than chance (AUC 0."), "{shown}");
            assert!(words.contains("labels"), "{shown}");
        }
    }
    let good = two_models();
    let shown = serin(good.path(), &BOTH).stdout;
    assert!(!shown.contains("worse than chance"), "{shown}");
}

#[test]
fn what_is_printed_fits_eighty_columns() {
    let folder = tempfile::tempdir().unwrap();
    let long = "a_target_with_a_rather_long_name_of_its_own_as_exports_have_it";
    let folders = "exports/of/the/last/month";
    std::fs::create_dir_all(folder.path().join(folders)).unwrap();
    let mut models = Vec::new();
    for name in ["a_first_model_of_customers", "a_second_model_of_customers"] {
        let data = format!("{folders}/{name}.csv");
        let text = customers(name.len(), long).replace("basic", "a basic plan with a long name");
        let text = text.replace(",pro,", ",NA,").replace("plus", "a plus plan with a long name");
        std::fs::write(folder.path().join(&data), text).unwrap();
        let arguments = ["train", "--data", &data, "--target", long, "--models", folders];
        let ended = serin(folder.path(), &arguments);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        fits(&ended.stdout);
        models.push(format!("{folders}/{name}.bin"));
    }
    let data = format!("{folders}/a_first_model_of_customers.csv");
    for arguments in [
        vec!["inspect", &models[0]],
        vec!["inspect", &models[0], &models[1]],
        vec!["inspect", &models[0], "--data", &data],
        vec!["compare", &models[0], &models[1], "--data", &data],
    ] {
        let ended = serin(folder.path(), &arguments);
        assert_eq!(ended.stderr, "");
        fits(&ended.stdout);
    }
}

#[track_caller]
fn fits(text: &str) {
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn rows_without_an_answer_are_counted_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let model = r#"{"format": "serin.model/v1", "model": "logistic_regression", "intercept": 0.1,
        "features": [{"name": "x", "kind": "number", "coefficient": 0.7}]}"#;
    std::fs::write(folder.path().join("model.json"), model).unwrap();
    let import = "import model.json --target left --positive yes --out model.bin";
    let imported = serin(folder.path(), &import.split(' ').collect::<Vec<_>>());
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let row = |n: usize| {
        let x = if n.is_multiple_of(3) { String::new() } else { (n % 7).to_string() };
        format!("{x},{}\n", if n % 7 > 3 { "yes" } else { "no" })
    };
    let text = (0..90).map(row).fold("x,left\n".to_owned(), |text, row| text + &row);
    std::fs::write(folder.path().join("rest.csv"), text).unwrap();
    let arguments = ["inspect", "model.bin", "--data", "rest.csv"];
    let ended = serin(folder.path(), &arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let words = ended.stdout.split_whitespace().collect::<Vec<&str>>().join(" ");
    for said in [
        "rest.csv: 60 rows, base rate",
        "model.bin has no answer for 30 of the rows (row 1: it answers NaN)",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(!words.contains("log-loss NaN"), "{words}");
    let printed = serin(folder.path(), &[&arguments[..], &["--json"]].concat()).stdout;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&printed["failures"], &printed["rows"]), (&30.into(), &60.into()));
    assert!(printed["log_loss"].as_f64().is_some(), "{printed}");
}
