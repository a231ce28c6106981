//! `serin train` and `serin inspect` of a target with more than two classes: page, JSON, refusals.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;

use serde_json::Value;

#[path = "shared/ended.rs"]
mod ended;

use ended::Ended;
use ended::serin;

const TIERS: [&str; 3] = ["basic", "gold", "silver"];

/// Six hundred customers whose spending and channel make a tier likely.
fn tiers(seed: usize) -> String {
    let row = |i: usize| {
        let drawn = (i * 7_919 + seed * 104_729) % 1_000;
        let (age, channel) = (20 + drawn % 50, ["web", "shop", "phone"][i % 3]);
        let spent = drawn / 10 + if channel == "shop" { 20 } else { 0 };
        let chance = (i * 31 + seed * 17) % 60;
        let tier = match spent + chance {
            0..60 => "basic",
            60..100 => "silver",
            _ => "gold",
        };
        format!("{age},{spent},{channel},{tier}\n")
    };
    (0..600).map(row).fold("age,spent,channel,tier\n".to_owned(), |text, row| text + &row)
}

/// Trains on a file of this content with `--target tier`.
fn train_on(folder: &Path, content: &str, more: &[&str]) -> Ended {
    std::fs::write(folder.join("tiers.csv"), content).unwrap();
    let fixed = "train --data tiers.csv --target tier --out tiers.bin";
    let arguments: Vec<&str> = fixed.split(' ').chain(more.iter().copied()).collect();
    serin(folder, &arguments)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}

#[track_caller]
fn fits(page: &str) {
    for line in page.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn all_classes_are_learned_and_the_page_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let ended = train_on(folder.path(), &tiers(1), &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    fits(&ended.stdout);
    let words = one_line(&ended.stdout);
    for said in [
        "multinomial logistic regression",
        "tier, 3 classes: basic, gold, silver; multinomial, from 480 of 600 rows",
        "the shares of the classes alone: ",
        "(always `",
        "class rows recall precision AUC against the rest",
        "occurred, by predicted basic gold silver",
    ] {
        assert!(words.contains(said), "{said}: {}", ended.stdout);
    }
    assert!(!words.contains("threshold") && !words.contains("base rate"), "{}", ended.stdout);

    let inspected = serin(folder.path(), &["inspect", "tiers.bin"]);
    assert_eq!(inspected.code, 0, "{}", inspected.stderr);
    fits(&inspected.stdout);
    assert!(inspected.stdout.starts_with(ended.stdout.trim_end()), "{}", inspected.stdout);
    let words = one_line(&inspected.stdout);
    assert!(words.contains("Terms of each class"), "{words}");
    assert!(words.contains("gold: (intercept) "), "{words}");
}

#[test]
fn the_figures_are_in_json_and_better_than_the_shares() {
    let folder = tempfile::tempdir().unwrap();
    let ended = train_on(folder.path(), &tiers(1), &["--json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let card = &printed["models"][0]["card"];
    assert_eq!(card["kind"], "multinomial_regression");
    assert_eq!(card["output"], "probabilities");
    assert_eq!(card["classes"], serde_json::json!(TIERS));
    assert_eq!(card["training"]["positive"], Value::Null);
    let holdout = &card["holdout"];
    let number = |name: &str| holdout[name].as_f64().unwrap();
    assert!(number("log_loss") < 0.8 * number("baseline_log_loss"), "{holdout}");
    assert!(number("brier") < 0.8 * number("baseline_brier"), "{holdout}");
    assert!(number("accuracy") > number("baseline_accuracy") + 0.1, "{holdout}");
    let classes = holdout["classes"].as_array().unwrap();
    let rows: u64 = classes.iter().map(|class| class["rows"].as_u64().unwrap()).sum();
    assert_eq!((rows, &holdout["rows"]), (120, &serde_json::json!(120)));
    for (class, row) in classes.iter().zip(holdout["confusion"].as_array().unwrap()) {
        let counted: u64 = row.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(class["rows"], counted, "{holdout}");
        assert!(class["auc"].as_f64().unwrap() > 0.7, "{class}");
    }
    let inspected = serin(folder.path(), &["inspect", "tiers.bin", "--json"]);
    assert_eq!(&serde_json::from_str::<Value>(&inspected.stdout).unwrap(), card);

    let first = std::fs::read(folder.path().join("tiers.bin")).unwrap();
    assert_eq!(train_on(folder.path(), &tiers(1), &[]).code, 0);
    assert_eq!(std::fs::read(folder.path().join("tiers.bin")).unwrap(), first, "the same bytes");
}

#[test]
fn one_class_against_the_others_is_learned_with_positive() {
    let folder = tempfile::tempdir().unwrap();
    let ended = train_on(folder.path(), &tiers(1), &["--positive", "gold", "--threshold", "0.3"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let words = one_line(&ended.stdout);
    assert!(words.contains("tier = gold, from 480 of 600 rows"), "{words}");
    assert!(words.contains("at threshold 0.3"), "{words}");
    assert!(words.contains("`basic`, `silver` all count as 0"), "{words}");
}

#[test]
fn what_many_classes_do_not_have_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let with = |more: &str| tiers(1) + more;
    let hundred: String = (0..202).map(|n| format!("30,{n},web,c{}\n", n / 2)).collect();
    let numbers: String = (0..60).map(|n| format!("30,{n},web,{n}\n")).collect();
    let header = "age,spent,channel,tier\n";
    let cases: [(String, &[&str], &str); 9] = [
        (
            tiers(1),
            &["--threshold", "0.3"],
            "--threshold 0.3: the target has 3 classes, and the label is the most probable one; leave",
        ),
        (with("30,20,web,platinum\n"), &[], "class `platinum`: 1 rows in the data, none of them"),
        (
            tiers(1).replace(",gold\n", ",silver\n") + "30,20,web,gold\n",
            &["--holdout-every", "5"],
            "class `gold`: 1 rows in the data, none of them among the holdout rows; use more rows",
        ),
        (format!("{header}{hundred}"), &[], "101 different values; serin learns up to 100 classes"),
        (
            format!("{header}{numbers}"),
            &[],
            "60 different numbers; serin learns classes and not quantities (regression): import",
        ),
        (with("30,20,web,\n"), &[], "line 602: the target `tier` is blank, in 1 rows; use --skip"),
        (with("30,20,web,\"a\u{1}b\"\n"), &[], "`a\\u{1}b` cannot be the name of a class"),
        (tiers(1), &["--positive", "platinum"], "never `platinum`; its values are `basic`"),
        (tiers(1), &["--drop", "tier"], "drop: `tier` is the target"),
    ];
    for (content, options, expected) in cases {
        let ended = train_on(folder.path(), &content, options);
        assert_eq!(ended.code, 2, "{expected}: {}", ended.stdout);
        assert!(one_line(&ended.stderr).contains(expected), "{expected}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
        assert!(!folder.path().join("tiers.bin").exists());
    }
    let skipped = train_on(folder.path(), &with("30,20,web,\n"), &["--skip-unlabeled"]);
    assert_eq!(skipped.code, 0, "{}", skipped.stderr);
    assert!(one_line(&skipped.stdout).contains("1 of 601 rows have none"), "{}", skipped.stdout);
}

#[test]
fn a_class_of_few_rows_gets_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let content = tiers(1) + &"30,20,web,platinum\n".repeat(4);
    let ended = train_on(folder.path(), &content, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    fits(&ended.stdout);
    let words = one_line(&ended.stdout);
    assert!(words.contains("classes of fewer than 10 training rows"), "{words}");
    assert!(words.contains("their figures are chance: `platinum` (3)"), "{words}");
}

#[test]
fn a_column_that_tells_a_class_alone_gets_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let line = |line: &str| match line.rsplit_once(',') {
        Some((_, "tier")) => format!("{line},invoice\n"),
        Some((_, "gold")) => format!("{line},gold card\n"),
        _ => format!("{line},plain\n"),
    };
    let content: String = tiers(1).lines().map(line).collect();
    std::fs::write(folder.path().join("leak.csv"), content).unwrap();
    let ended = serin(folder.path(), &["train", "--data", "leak.csv", "--target", "tier"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let words = one_line(&ended.stdout);
    assert!(
        words.contains("column `invoice`: alone it predicts the class `gold` (AUC 1.0000)"),
        "{words}"
    );
}

#[test]
fn a_hundred_classes_fit_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let long = |n: usize| format!("a class with a name of more than fifty characters, no. {n:02}");
    let rows = (0..1_000).map(|n| format!("{},{},web,\"{}\"\n", n % 7, n % 100, long(n % 100)));
    let content = rows.fold("age,spent,channel,tier\n".to_owned(), |text, row| text + &row);
    let ended = train_on(folder.path(), &content, &["--drop", "channel"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    fits(&ended.stdout);
    let words = one_line(&ended.stdout);
    assert!(words.contains("100 classes: a class") && words.contains("and 80 more"), "{words}");
    assert!(!words.contains("occurred, by predicted"), "{words}");
    fits(&serin(folder.path(), &["inspect", "tiers.bin"]).stdout);
}

#[test]
fn two_models_are_shown_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(train_on(folder.path(), &tiers(1), &[]).code, 0);
    std::fs::write(folder.path().join("next.csv"), tiers(2)).unwrap();
    let next = ["train", "--data", "next.csv", "--target", "tier", "--out", "next.bin"];
    assert_eq!(serin(folder.path(), &next).code, 0);
    let both = ["tiers.bin", "next.bin"];
    let ended = serin(folder.path(), &[&["inspect"][..], &both].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let words = one_line(&ended.stdout);
    for said in ["target tier tier", "answers 3 classes 3 classes", "accuracy", "different data"] {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(!words.contains("AUC") && !words.contains("base rate"), "{words}");
}

#[test]
fn trained_models_know_the_column_of_the_outcomes() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(train_on(folder.path(), &tiers(1), &[]).code, 0);
    std::fs::write(folder.path().join("rest.csv"), tiers(2)).unwrap();
    let measured = serin(folder.path(), &["inspect", "tiers.bin", "--data", "rest.csv", "--json"]);
    assert_eq!(measured.code, 0, "{}", measured.stderr);
    let printed: Value = serde_json::from_str(&measured.stdout).unwrap();
    assert_eq!(printed["rows"], 600);
    assert!(printed["accuracy"].as_f64().unwrap() > 0.5, "{printed}");
    let poor = ["train", "--data", "rest.csv", "--target", "tier", "--drop", "spent"];
    let poor = serin(folder.path(), &[&poor[..], &["--out", "poor.bin"]].concat());
    assert_eq!(poor.code, 0, "{}", poor.stderr);
    let compared = ["compare", "tiers.bin", "poor.bin", "--data", "rest.csv"];
    let compared = serin(folder.path(), &compared);
    assert_eq!(compared.code, 1, "{}{}", compared.stdout, compared.stderr);
    fits(&compared.stdout);
    assert!(
        one_line(&compared.stdout).contains("its log-loss is higher by"),
        "{}",
        compared.stdout
    );
}
