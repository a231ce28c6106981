//! `serin compare` and `serin inspect --data` of regressions and of many classes.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;

use serde_json::Value;

#[path = "shared/ended.rs"]
mod ended;

use ended::Ended;
use ended::serin;

const SCORES: [&str; 2] = ["sk_boosting_regression", "sk_ridge"];
const CLASSES: [&str; 2] = ["sk_boosting_classes", "sk_logistic_classes"];

/// The golden models and sixty rows of their data: what A answers, changed in some rows, is the outcome.
fn golden(folder: &Path, models: [&str; 2], outcome: impl Fn(usize, &[f64]) -> String) {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds/testdata");
    let json = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(testdata.join(name)).unwrap()).unwrap()
    };
    for model in models {
        let file = format!("{model}.skops");
        std::fs::copy(testdata.join(&file), folder.join(&file)).unwrap();
    }
    let answers = &json(&format!("{}.case.json", models[0]))["answers"];
    let data = &json("rows.json")["complete"];
    let texts = |values: &Value| -> Vec<String> {
        let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        values.as_array().unwrap().iter().map(text).collect()
    };
    let mut csv = format!("{},half,outcome\n", texts(&data["columns"]).join(","));
    for row in 0..60 {
        let answer: Vec<f64> =
            answers[row].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect();
        let half = if row < 30 { "first" } else { "second" };
        let values = texts(&data["rows"][row]).join(",");
        csv += &format!("{values},{half},{}\n", outcome(row, &answer));
    }
    std::fs::write(folder.join("rest.csv"), csv).unwrap();
}

fn number_of(row: usize, answer: &[f64]) -> String {
    (answer[0] + ((row * 31) % 7) as f64 - 3.0).to_string()
}

fn class_of(row: usize, answer: &[f64]) -> String {
    let largest = (0..3).fold(0, |at, other| if answer[other] > answer[at] { other } else { at });
    (if row.is_multiple_of(4) { row % 3 } else { largest }).to_string()
}

fn compared(folder: &Path, models: [&str; 2], more: &[&str]) -> Ended {
    let files = models.map(|model| format!("{model}.skops"));
    let fixed = ["compare", &files[0], &files[1], "--data", "rest.csv"];
    serin(folder, &[&fixed[..], more].concat())
}

fn json(folder: &Path, models: [&str; 2], more: &[&str]) -> Value {
    let ended = compared(folder, models, &[&["--json"], more].concat());
    assert!(!ended.stdout.is_empty(), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn near(found: &Value, expected: f64) {
    let number = found.as_f64().unwrap();
    assert!((number - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found} {expected}");
}

/// Difference, standard error, interval and p-value.
fn is_difference(found: &Value, expected: [f64; 5]) {
    near(&found["difference"], expected[0]);
    near(&found["standard_error"], expected[1]);
    near(&found["interval"][0], expected[2]);
    near(&found["interval"][1], expected[3]);
    near(&found["p_value"], expected[4]);
}

fn fits(text: &str) {
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:#?}");
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}

#[test]
fn figures_of_scores_are_those_of_scikit_learn_and_scipy() {
    let folder = tempfile::tempdir().unwrap();
    golden(folder.path(), SCORES, number_of);
    let printed = json(folder.path(), SCORES, &["--target", "outcome"]);
    // By sklearn.metrics 1.9 of the originals' answers: root_mean_squared_error, mean_absolute_error, mean of the errors,
    // r2_score.
    let expected = [
        [
            2.012_461_179_749_811,
            1.716_666_666_666_666_6,
            0.016_666_666_666_666_43,
            0.625_052_482_415_011,
        ],
        [
            6.675_744_303_895_031,
            5.470_792_518_138_443,
            1.051_243_614_345_472_9,
            -3.125_863_418_715_912_4,
        ],
    ];
    for (model, expected) in expected.iter().enumerate() {
        for (key, value) in ["rmse", "mae", "bias", "r2"].into_iter().zip(expected) {
            near(&printed["models"][model][key], *value);
        }
    }
    // By scipy 1.17: ttest_rel of the absolute errors, of the errors, and of the squared errors over the variance of the
    // outcomes; sem and t of the linear part of the roots.
    let found = &printed["differences"];
    is_difference(
        &found["rmse"],
        [
            4.663_283_124_145_22,
            0.561_604_395_021_672_8,
            3.539_515_325_392_795_6,
            5.787_050_922_897_645,
            1.681_366_475_338_381_4e-11,
        ],
    );
    is_difference(
        &found["mae"],
        [
            3.754_125_851_471_776_4,
            0.534_749_575_011_562,
            2.684_094_423_438_976,
            4.824_157_279_504_577,
            2.499_135_191_171_274_5e-9,
        ],
    );
    is_difference(
        &found["bias"],
        [
            1.034_576_947_678_806_7,
            0.832_920_495_669_028_6,
            -0.632_093_114_469_908,
            2.701_247_009_827_521_4,
            0.219_111_588_172_468_4,
        ],
    );
    is_difference(
        &found["r2"],
        [
            -3.750_915_901_130_923,
            0.679_109_619_936_542_8,
            -5.109_811_111_839_225,
            -2.392_020_690_422_621_3,
            7.869_660_835_800_172e-7,
        ],
    );
    assert_eq!(printed["decision"], "rollback");
    assert_eq!(printed["target"], serde_json::json!({"column": "outcome"}));
    for absent in [&printed["flips"], &printed["models"][0]["threshold"]] {
        assert_eq!(*absent, Value::Null, "{printed}");
    }
    let rows = printed["most_different"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    let size = |row: &Value| row["difference"].as_f64().unwrap().abs();
    assert!(rows.windows(2).all(|pair| size(&pair[0]) >= size(&pair[1])), "{rows:?}");
    near(&printed["scores"]["largest"], size(&rows[0]));
    assert!(rows[0]["outcome"].is_number() && rows[0].get("labels").is_none(), "{}", rows[0]);
}

#[test]
fn figures_of_many_classes_are_those_of_scikit_learn_and_scipy() {
    let folder = tempfile::tempdir().unwrap();
    golden(folder.path(), CLASSES, class_of);
    let printed = json(folder.path(), CLASSES, &["--target", "outcome"]);
    // By sklearn.metrics 1.9 of the originals' answers: log_loss, brier_score_loss, accuracy_score.
    let expected = [
        [1.001_696_028_891_926_3, 0.601_074_809_006_447_6, 0.85],
        [1.025_029_102_306_042_3, 0.616_291_782_648_587_9, 0.5],
    ];
    for (model, expected) in expected.iter().enumerate() {
        for (key, value) in ["log_loss", "brier", "accuracy"].into_iter().zip(expected) {
            near(&printed["models"][model][key], *value);
        }
    }
    // By scipy 1.17: ttest_rel of the losses of the rows.
    let found = &printed["differences"];
    is_difference(
        &found["log_loss"],
        [
            0.023_333_073_414_116_282,
            0.053_609_411_874_203_66,
            -0.083_939_111_968_195_5,
            0.130_605_258_796_428_06,
            0.664_974_769_793_288,
        ],
    );
    is_difference(
        &found["brier"],
        [
            0.015_216_973_642_140_254,
            0.028_689_690_081_111_65,
            -0.042_190_963_608_948_96,
            0.072_624_910_893_229_46,
            0.597_826_273_222_395_7,
        ],
    );
    is_difference(
        &found["accuracy"],
        [
            -0.35,
            0.074_504_009_674_829_7,
            -0.499_082_179_008_377_7,
            -0.200_917_820_991_622_23,
            1.617_446_394_714_856_3e-5,
        ],
    );
    // By numpy, and the exact mcnemar of statsmodels.
    let flips = &printed["flips"];
    let expected = serde_json::json!({"rows": 29, "to_right": 3, "to_wrong": 24, "changes": [
        {"from": "1", "to": "0", "rows": 14}, {"from": "1", "to": "2", "rows": 7},
        {"from": "0", "to": "1", "rows": 6}, {"from": "0", "to": "2", "rows": 2}]});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(flips[key], *value, "{key}");
    }
    near(&flips["mcnemar_p_value"], 4.923_343_658_447_265_6e-5);
    let row = &printed["most_different"][0];
    assert_eq!((&row["row"], &row["class"]), (&17.into(), &"0".into()), "{row}");
    assert!((row["difference"].as_f64().unwrap().abs() - 0.370_301_53).abs() < 1e-8, "{row}");
    assert!((printed["scores"]["median"].as_f64().unwrap() - 0.115).abs() < 1e-2);
    // The log-loss decides, and here the rows do not show a difference.
    assert_eq!(printed["decision"], "wait");
}

#[test]
fn a_page_of_scores_has_their_unit_and_one_of_classes_their_names() {
    let folder = tempfile::tempdir().unwrap();
    golden(folder.path(), SCORES, number_of);
    let more = ["--target", "outcome", "--segment", "half"];
    let worse = compared(folder.path(), SCORES, &more);
    assert_eq!(worse.code, 1, "{}", worse.stderr);
    fits(&worse.stdout);
    for said in [
        "sk_ridge.skops is worse: its RMSE is higher by 3.53952 to 5.78705 (95 % interval).",
        "rest.csv: 60 rows, outcomes in `outcome`,",
        "RMSE 2.01246 6.67574 +4.66328 +3.53952 to +5.78705",
        "R2 0.625052 -3.12586 -3.75092",
        "Scores: B minus A is +1.03458 on average",
        "row A B B - A outcome",
        "rows score B - A RMSE B - A B is",
        "half = second 30",
    ] {
        assert!(words(&worse.stdout).contains(said), "{said}: {}", worse.stdout);
    }
    assert!(!worse.stdout.contains("Labels"), "{}", worse.stdout);
    let better = compared(folder.path(), [SCORES[1], SCORES[0]], &more);
    assert_eq!(better.code, 0, "{}{}", better.stdout, better.stderr);
    let said = "sk_boosting_regression.skops is better: its RMSE is lower by 3.53952 to 5.78705";
    assert!(words(&better.stdout).contains(said), "{}", better.stdout);

    golden(folder.path(), CLASSES, class_of);
    let classes = compared(folder.path(), CLASSES, &more);
    assert_eq!(classes.code, 3, "{}", classes.stderr);
    fits(&classes.stdout);
    for said in [
        "Within noise: the log-loss of sk_logistic_classes.skops minus",
        "Labels: 29 of 60 rows flip",
        "14 from 1 to 0, 7 from 1 to 2, 6 from 0 to 1, 2 from 0 to 2. B is right in 3 of them, A in 24 (McNemar p =",
        "row class A B B - A labels outcome",
        "rows flips log-loss B - A B is",
    ] {
        assert!(words(&classes.stdout).contains(said), "{said}: {}", classes.stdout);
    }
}

#[test]
fn without_a_target_differences_and_flips_are_shown_and_decide_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (models, said, absent) in [
        (SCORES, "Scores: B minus A is", "RMSE"),
        (CLASSES, "Labels: 29 of 60 rows flip", "log-loss"),
    ] {
        golden(folder.path(), models, class_of_any);
        let ended = compared(folder.path(), models, &[]);
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        for said in ["without outcomes", "name their column with --target", said] {
            assert!(words(&ended.stdout).contains(said), "{said}: {}", ended.stdout);
        }
        assert!(!ended.stdout.contains(absent), "{}", ended.stdout);
        let printed = json(folder.path(), models, &[]);
        assert_eq!(printed["differences"], Value::Null);
        assert_eq!(printed["most_different"][0]["outcome"], Value::Null);
        // Rows without an outcome enter what needs none.
        let all = std::fs::read_to_string(folder.path().join("rest.csv")).unwrap();
        let some: Vec<String> = all
            .lines()
            .enumerate()
            .map(|(n, line)| match line.rsplit_once(',') {
                Some((values, _)) if n > 40 => format!("{values},"),
                _ => line.to_owned(),
            })
            .collect();
        std::fs::write(folder.path().join("rest.csv"), some.join("\n") + "\n").unwrap();
        let some = json(folder.path(), models, &["--target", "outcome"]);
        assert_eq!((&some["rows"], &some["models"][0]["rows"]), (&60.into(), &40.into()));
        assert_eq!(some["scores"], printed["scores"]);
    }
}

fn class_of_any(row: usize, _: &[f64]) -> String {
    (row % 3).to_string()
}

#[test]
fn outcomes_and_flags_that_do_not_fit_the_output_are_refused_with_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let is_refused = |models: [&str; 2], more: &[&str], said: &str| {
        let ended = compared(folder.path(), models, more);
        assert_eq!(ended.code, 2, "{}", ended.stdout);
        assert!(words(&ended.stderr).contains(said), "{said}: {}", ended.stderr);
    };
    let target = ["--target", "outcome"];
    let positive = ["--target", "outcome", "--positive", "1"];
    golden(folder.path(), SCORES, |row, _| if row == 6 { "gold".into() } else { "1.5".into() });
    is_refused(SCORES, &target, "column `outcome` has `gold`");
    is_refused(SCORES, &target, "the models answer a score, so `outcome` has numbers");
    let said = "--positive 1: only a model of two classes has a positive value, and sk_boosting_regression.skops answers \
                a score; leave out --positive";
    is_refused(SCORES, &positive, said);
    is_refused(SCORES, &["--target", "prize"], "target: unknown column `prize`");
    is_refused([SCORES[0], "../nothing"], &[], "cannot be read");

    golden(folder.path(), CLASSES, |row, _| if row >= 58 { "gold".into() } else { "1".into() });
    let said = "row 59: the target `outcome` is `gold`, in 2 rows, and the models have no such class; their classes are \
                `0`, `1`, `2`; correct it, or leave it blank if it is missing";
    is_refused(CLASSES, &target, said);
    is_refused(
        CLASSES,
        &positive,
        "--positive 1: only a model of two classes has a positive value",
    );
    golden(folder.path(), CLASSES, |_, _| String::new());
    is_refused(CLASSES, &target, "target `outcome`: every row is blank");
    golden(folder.path(), SCORES, |_, _| "1e80".into());
    is_refused(SCORES, &target, "away from its outcome, which is too large to square");
    golden(folder.path(), CLASSES, class_of);
    let said = "sk_boosting_classes.skops answers probabilities of the classes `0`, `1`, `2` and sk_ridge.skops answers a \
                score; compare models with the same output";
    is_refused([CLASSES[0], SCORES[1]], &target, said);
}

#[test]
fn classes_are_named_as_numbers_of_any_form_or_blank() {
    let folder = tempfile::tempdir().unwrap();
    golden(folder.path(), CLASSES, class_of);
    let plain = json(folder.path(), CLASSES, &["--target", "outcome"]);
    golden(folder.path(), CLASSES, |row, answer| class_of(row, answer) + ".0");
    let decimal = json(folder.path(), CLASSES, &["--target", "outcome"]);
    assert_eq!(plain["differences"], decimal["differences"]);
}

#[test]
fn inspect_measures_scores_and_many_classes() {
    let folder = tempfile::tempdir().unwrap();
    let inspected = |model: &str, more: &[&str]| {
        let file = format!("{model}.skops");
        serin(folder.path(), &[&["inspect", &file, "--data", "rest.csv"], more].concat())
    };
    for (models, outcome, keys, shown) in [
        (
            SCORES,
            number_of as fn(usize, &[f64]) -> String,
            &["rows", "mean_outcome", "rmse", "mae", "bias", "r2"][..],
            "RMSE 2.01246 MAE 1.71667 bias 0.0166667 R2 0.625052",
        ),
        (
            CLASSES,
            class_of,
            &["rows", "log_loss", "brier", "accuracy"],
            "log-loss 1.00170 Brier 0.60107 accuracy 0.85000",
        ),
    ] {
        golden(folder.path(), models, outcome);
        let compared = json(folder.path(), models, &["--target", "outcome"]);
        let ended = inspected(models[0], &["--target", "outcome", "--json"]);
        let printed: Value = serde_json::from_str(&ended.stdout).expect(&ended.stderr);
        for key in keys {
            assert_eq!(printed[key], compared["models"][0][key], "{key}: {printed}");
            assert!(printed[key].is_number(), "{key}: {printed}");
        }
        let text = inspected(models[0], &["--target", "outcome"]);
        assert!(words(&text.stdout).contains(shown), "{}", text.stdout);
        fits(&text.stdout);
        let unnamed = inspected(models[0], &[]);
        assert_eq!(unnamed.code, 2);
        let said = "name the column of the outcomes with --target";
        assert!(unnamed.stderr.contains(said), "{}", unnamed.stderr);
        let positive = inspected(models[0], &["--target", "outcome", "--positive", "1"]);
        assert_eq!(positive.code, 2);
        assert!(positive.stderr.contains("leave out --positive"), "{}", positive.stderr);
    }
}
