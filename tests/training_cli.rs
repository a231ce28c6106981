//! `serin train` and `serin inspect`: exit codes, output, files.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;

use serde_json::Value;

#[path = "shared/ended.rs"]
mod ended;

use ended::serin;

/// Trains on a file of this content.
fn train_on(folder: &Path, content: &str, more: &[&str]) -> ended::Ended {
    std::fs::write(folder.join("rows.csv"), content).unwrap();
    let fixed = "train --data rows.csv --target churn --positive Yes --out model.bin";
    let arguments: Vec<&str> = fixed.split(' ').chain(more.iter().copied()).collect();
    serin(folder, &arguments)
}

/// Rows of a number that tells the classes apart, and further columns.
fn rows(header: &str, further: &str) -> String {
    let row =
        |i: usize| format!("{i},{further}{}\n", if i.is_multiple_of(3) { "Yes" } else { "No" });
    (0..60).map(row).fold(format!("x,{header}churn\n"), |text, row| text + &row)
}

#[test]
fn train_alone_writes_the_two_default_models() {
    let folder = tempfile::tempdir().unwrap();
    let ended = serin(folder.path(), &["train"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(
        ended.stdout.contains("model_v1.bin") && ended.stdout.contains("AUC"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains('\u{1b}'), "no colors but on a terminal");

    let inspected = serin(folder.path(), &["inspect", "models/model_v2.bin"]);
    assert_eq!(inspected.code, 0, "{}", inspected.stderr);
    assert!(inspected.stdout.contains("tenure_years"), "{}", inspected.stdout);
}

#[test]
fn the_same_seed_writes_the_same_bytes_and_json_says_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut cards = Vec::new();
    for models in ["a", "b"] {
        let ended = serin(folder.path(), &["train", "--seed", "7", "--models", models, "--json"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
        cards.push(printed["models"][1]["card"].clone());
    }
    let bytes = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    assert_eq!(bytes("a/model_v1.bin"), bytes("b/model_v1.bin"));
    assert_eq!(bytes("a/model_v2.bin"), bytes("b/model_v2.bin"));
    assert_eq!(cards[0], cards[1]);

    let inspected = serin(folder.path(), &["inspect", "a/model_v2.bin", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&inspected.stdout).unwrap(), cards[0]);
}

#[test]
fn bad_data_ends_with_two_and_says_where_and_what_to_do() {
    let cases = [
        ("", "no rows; the file"),
        ("x,churn\n", "no rows; the file"),
        ("x,churn\n1,Yes\n2\n", "line 3: 1 fields, the header has 2; fix or delete"),
        ("x,churn\n1,Yes\n2,Yes\n", "all 2 rows are of class 1; training needs rows of both"),
        ("x,churn\n1,No\n2,No\n", "never `Yes`; its values are `No`"),
        ("x,Churn\n1,Yes\n2,No\n", "unknown column `churn` (did you mean `Churn`?)"),
        ("x,x,churn\n1,2,Yes\n", "column `x` occurs twice"),
        (
            "x,churn\n1,Yes\n2,No\n?x,No\n3,No\n4,No\n5,No\n6,No\n7,No\n8,No\n9,No\n",
            "line 4: column `x` has `?x`",
        ),
        ("x,churn\n1,Yes\n2,No\n3,No\n", "rows do not contain both classes; use more rows"),
    ];
    for (content, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let ended = train_on(folder.path(), content, &[]);
        assert_eq!(ended.code, 2, "{content:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("serin: train rows.csv: "), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{content:?}: {} / {expected}", ended.stderr);
        assert_eq!(ended.stdout, "");
        assert!(!folder.path().join("model.bin").exists());
    }
}

#[test]
fn a_constant_column_is_a_warning_and_only_constant_columns_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let ended = train_on(folder.path(), &rows("flat,word,", "5,same,"), &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let words = ended.stdout.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(words.contains("without effect: `flat`, `word`"), "{}", ended.stdout);

    let ended = train_on(folder.path(), &rows("flat,", "5,"), &["--drop", "x"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("every column is constant"), "{}", ended.stderr);
}

#[test]
fn without_out_the_model_is_named_after_its_data() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("churn.2026.csv"), rows("", "")).unwrap();
    let arguments = "train --data churn.2026.csv --target churn --positive Yes --models made";
    let ended = serin(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(folder.path().join("made/churn.2026.bin").exists());
}

#[test]
fn bad_options_end_with_two_and_name_the_allowed_range() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["--l2", "0"], "l2: 0 is out of range; use a number above 0 and up to 1e9"),
        (&["--l2", "nan"], "l2: NaN"),
        (&["--threshold", "1.5"], "threshold: 1.5 is out of range; use 0 to 1"),
        (
            &["--test-fraction", "1"],
            "test fraction: 1 is out of range; use a number above 0 and below 1",
        ),
        (&["--holdout-every", "1"], "holdout every: 1 is out of range; use a whole number from 2"),
        (&["--holdout-every", "5", "--test-fraction", "0.1"], "cannot be used with"),
        (&["--drop", "idd"], "drop: unknown column `idd`"),
        (&["--drop", "churn"], "drop: `churn` is the target"),
    ];
    for (options, expected) in cases {
        let ended = train_on(folder.path(), &rows("id,", "1,"), options);
        assert_eq!(ended.code, 2, "{options:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{options:?}: {}", ended.stderr);
    }
    let ended = serin(folder.path(), &["train", "--data", "rows.csv"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--target"), "{}", ended.stderr);
    // Options and output are checked first: the data does not exist.
    for (option, expected) in [
        (["--l2", "1e12"], "l2: 1e12 is out of range"),
        (["--out", "."], "--out: . cannot be written: it is a folder; name a file in it"),
        (["--out", "rows.csv/model.bin"], "--out: rows.csv/model.bin cannot be written: failed to"),
        (["--out", "a/b/c.bin/"], "absent.csv: cannot be read"),
        (["--out", "model.bin"], "absent.csv: cannot be read"),
    ] {
        let fixed = ["train", "--data", "absent.csv", "--target", "churn"];
        let ended = serin(folder.path(), &[&fixed[..], &option].concat());
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains(expected), "{option:?}: {}", ended.stderr);
    }
    let ended = serin(folder.path(), &["train", "--target", "churn"]);
    assert_eq!(ended.code, 2);
}

#[test]
fn a_damaged_model_is_refused_with_two() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(train_on(folder.path(), &rows("", ""), &[]).code, 0);
    let good = std::fs::read(folder.path().join("model.bin")).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let cases = [
        (flipped, "digest: "),
        (good[..good.len() - 1].to_vec(), "digest: "),
        ([&good[..], b"x"].concat(), "digest: "),
        (b"x,churn\n1,Yes\n".to_vec(), "magic: "),
        (Vec::new(), "the file is truncated"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(folder.path().join("damaged.bin"), bytes).unwrap();
        let ended = serin(folder.path(), &["inspect", "damaged.bin"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.starts_with("serin: inspect damaged.bin: "), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{} / {expected}", ended.stderr);
    }
    let ended = serin(folder.path(), &["inspect", "absent.bin"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("cannot be read"), "{}", ended.stderr);
}

#[test]
fn columns_whose_names_have_commas_are_dropped_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = rows("\"a,b\",c,", "1,2,");
    for (options, expected) in [
        (&["--drop", "a,b", "--drop", "c"][..], ""),
        (&["--drop", "c,x"], "unknown column `c,x` (repeat --drop for each column)"),
    ] {
        let ended = train_on(folder.path(), &data, options);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert_eq!(ended.code, if expected.is_empty() { 0 } else { 2 }, "{}", ended.stderr);
    }
}

#[test]
fn a_rare_class_is_neither_none_nor_all_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..20_000).map(|i| format!("{},{}\n", i % 7, u8::from(i % 4_000 == 0)));
    std::fs::write(folder.path().join("rare.csv"), format!("x,y\n{}", rows.collect::<String>()))
        .unwrap();
    let ended = serin(folder.path(), &["train", "--data", "rare.csv", "--target", "y"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.contains("99.98 % at threshold 0.5  (base rate 0.03 %)"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_model_goes_through_links_and_pipes_and_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("v7.bin"), "old").unwrap();
    std::os::unix::fs::symlink("v7.bin", path("current.bin")).unwrap();
    assert_eq!(train_on(folder.path(), &rows("", ""), &[]).code, 0);
    let expected = std::fs::read(path("model.bin")).unwrap();

    let arguments = "train --data rows.csv --target churn --out current.bin";
    let ended = serin(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(std::fs::symlink_metadata(path("current.bin")).unwrap().is_symlink());
    assert_eq!(std::fs::read(path("v7.bin")).unwrap(), expected);

    let arguments = "train --data rows.csv --target churn --out -";
    let output = ended::command(folder.path()).args(arguments.split(' ')).output().unwrap();
    assert_eq!(output.stdout, expected);
    assert!(String::from_utf8(output.stderr).unwrap().contains("AUC"));
    assert!(!path("-").exists());
}
