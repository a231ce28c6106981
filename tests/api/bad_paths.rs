//! Model paths outside the models folder, or without a model, are refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;
use serin::model::Dataset;
use serin::model::TrainingOptions;
use serin::model::dataset::DatasetOptions;
use serin::model::train;

use crate::harness::Setup;
use crate::harness::TestApp;
use crate::harness::default_models;
use crate::problem::Refused;
use crate::problem::refused;

const PATH: &str = "/admin/deploy-canary";

fn deploy_is_refused(app: &TestApp, model_path: &str, expected: Refused<'_>) {
    let reply = app.deploy_canary_with(&json!({ "model_path": model_path }));
    reply.assert_refused(expected, PATH, model_path);
}

#[test]
fn a_path_outside_the_folder_is_refused_even_if_it_is_a_model() {
    let app = TestApp::spawn();
    let outside = app.models().parent().unwrap().join("model_outside.bin");
    fs::write(&outside, default_models()[1]).unwrap();
    fs::create_dir(app.models().join("archive")).unwrap();
    symlink(&outside, app.models().join("link.bin")).unwrap();
    symlink(app.models().parent().unwrap(), app.models().join("up")).unwrap();
    symlink("/etc/passwd", app.models().join("passwd.bin")).unwrap();
    let before = app.standing();
    for path in [
        "../model_outside.bin",
        "models/../model_outside.bin",
        "models/../../etc/passwd",
        "archive/../../model_outside.bin",
        "./../model_outside.bin",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        outside.to_str().unwrap(),
        app.models().to_str().unwrap(),
        app.models().join("../model_outside.bin").to_str().unwrap(),
        "%2e%2e/model_outside.bin",
        "..%2fmodel_outside.bin",
        "%2e%2e%2fmodel_outside.bin",
        "model_v2%2ebin",
        "..\\model_outside.bin",
        "link.bin",
        "up/model_outside.bin",
        "passwd.bin",
        "",
        "\0",
        "model_v2.bin\0.txt",
    ] {
        let named: &[&str] = &["inside the models folder", "model_v2.bin"];
        deploy_is_refused(&app, path, refused(422, "path_outside", named));
    }
    assert_eq!(app.standing(), before);
    app.deploy_canary().done();
}

#[test]
fn a_path_without_a_file_is_refused_with_the_models_there_are() {
    let app = TestApp::spawn();
    fs::create_dir(app.models().join("archive")).unwrap();
    symlink("loop.bin", app.models().join("loop.bin")).unwrap();
    symlink("gone", app.models().join("dangling.bin")).unwrap();
    let made = Command::new("mkfifo").arg(app.models().join("pipe.bin")).status().unwrap();
    assert!(made.success());
    let before = app.standing();
    let long = "x".repeat(5000);
    for path in [
        "model_v3.bin",
        "models/model_v3.bin",
        "archive/model_v2.bin",
        "model_v2.bin/model_v2.bin",
        "archive",
        "models",
        ".",
        "./",
        " ",
        "MODEL_V2.BIN",
        &long,
    ] {
        let named: &[&str] = &["models folder", "model_v1.bin", "model_v2.bin"];
        deploy_is_refused(&app, path, refused(404, "no_such_model", named));
    }
    for (path, named) in [
        ("loop.bin", "cannot be read"),
        ("dangling.bin", "cannot be read"),
        ("pipe.bin", "not a regular file"),
    ] {
        deploy_is_refused(&app, path, refused(422, "not_a_model", &[path, named]));
    }
    assert_eq!(app.standing(), before);
    fs::rename(app.models(), app.models().with_extension("gone")).unwrap();
    let named = &["models folder", "does not exist"];
    deploy_is_refused(&app, "model_v2.bin", refused(404, "no_such_model", named));
}

#[test]
fn a_file_that_was_replaced_is_listed_anew() {
    let app = Setup::new().model("model.bin", b"no model").spawn();
    let listed = || {
        let all = app.get("/admin/models").done();
        let all = all["models"].as_array().unwrap().clone();
        all.into_iter().find(|model| model["file"] == "model.bin")
    };
    assert!(listed().unwrap()["error"].is_string());
    assert_eq!(listed(), listed());
    fs::write(app.models().join("model.bin"), default_models()[1]).unwrap();
    assert!(listed().unwrap()["card"].is_object());
    fs::remove_file(app.models().join("model.bin")).unwrap();
    assert!(listed().is_none());
}

#[test]
fn a_file_that_is_not_a_valid_model_is_refused() {
    let good = default_models()[1];
    let flipped = |place: usize| {
        let mut bytes = good.to_vec();
        bytes[place] ^= 1;
        bytes
    };
    let doubled = [good, good].concat();
    let damaged: [(&str, Vec<u8>); 9] = [
        ("empty.bin", Vec::new()),
        ("garbage.bin", b"this is not a model".repeat(100)),
        ("zeros.bin", vec![0; 4096]),
        ("short.bin", good[..good.len() - 1].to_vec()),
        ("half.bin", good[..good.len() / 2].to_vec()),
        ("head.bin", good[..8].to_vec()),
        ("first.bin", flipped(0)),
        ("last.bin", flipped(good.len() - 1)),
        ("doubled.bin", doubled),
    ];
    let setup = damaged.iter().fold(Setup::new(), |setup, (name, bytes)| setup.model(name, bytes));
    let app = setup.spawn();
    let before = app.standing();
    for (name, _) in &damaged {
        deploy_is_refused(&app, name, refused(422, "not_a_model", &[name, "cannot be deployed"]));
    }
    for place in (0..good.len()).step_by(good.len() / 40) {
        fs::write(app.models().join("altered.bin"), flipped(place)).unwrap();
        deploy_is_refused(&app, "altered.bin", refused(422, "not_a_model", &["altered.bin"]));
    }
    assert_eq!(app.standing(), before);
    let listed = app.get("/admin/models").done();
    let listed = listed["models"].as_array().unwrap();
    assert_eq!(listed.len(), 12, "the damaged ones are listed too, with the reason");
    for model in listed {
        let is_good = ["model_v1.bin", "model_v2.bin"].map(Into::into).contains(&model["file"]);
        assert_eq!(model["card"].is_object(), is_good, "{model}");
        assert_eq!(model["error"].is_string(), !is_good, "{model}");
    }
}

#[test]
fn a_model_for_which_a_feature_is_of_another_kind_is_refused() {
    let app = TestApp::spawn();
    let before = app.standing();
    let names = "tenure_years,charge_ratio,usage_ratio,late_payment_share,support_calls";
    fs::write(app.models().join("other.bin"), trained(names, "often")).unwrap();
    let named =
        ["model_v1", "`support_calls` is numeric for stable and categorical for it", "same kind"];
    deploy_is_refused(&app, "other.bin", refused(422, "features_differ", &named));
    assert_eq!(app.standing(), before);
    fs::write(app.models().join("other.bin"), trained(names, "0.25")).unwrap();
    app.deploy_canary_with(&json!({ "model_path": "other.bin" })).done();
}

#[test]
fn a_file_with_the_name_of_stable_and_another_ending_is_refused() {
    let app = TestApp::spawn();
    fs::copy(app.models().join("model_v2.bin"), app.models().join("model_v1.lgb")).unwrap();
    let named = ["model_v1.lgb", "would be called model_v1", "\"model_v1.bin\"; rename the file"];
    deploy_is_refused(&app, "model_v1.lgb", refused(422, "name_taken", &named));
    // The same file may be its own canary.
    app.deploy_canary_with(&json!({ "model_path": "model_v1.bin" })).done();
}

#[test]
fn a_pickled_model_is_refused_with_what_to_do_instead() {
    let app = Setup::new().model("forest.bin", b"\x80\x04\x95sklearn".repeat(100)).spawn();
    let named = ["pickle and joblib are never read", "save_model", "skops.io.dump"];
    deploy_is_refused(&app, "forest.bin", refused(422, "not_a_model", &named));
}

/// A model trained on columns with these names; every other row has this word in the last column.
fn trained(header: &str, word: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    let columns = header.split(',').count();
    let mut text = format!("{header},left\n");
    for row in 0..60_u32 {
        for column in 1..columns as u32 {
            text += &format!("{},", (row * column * 7 % 13) as f64 / 13.0);
        }
        let last = if row.is_multiple_of(2) { word } else { "0.5" };
        text += &format!("{last},{}\n", if row.is_multiple_of(3) { "yes" } else { "no" });
    }
    fs::write(&file, text).unwrap();
    let options = DatasetOptions { target: "left".into(), ..DatasetOptions::default() };
    let data = Dataset::from_csv(&file, &options).unwrap();
    train(&data, &TrainingOptions::default()).unwrap().to_bytes().to_vec()
}

#[test]
fn a_path_may_be_a_file_name_or_a_path_inside_the_folder() {
    let app = TestApp::spawn();
    fs::create_dir(app.models().join("archive")).unwrap();
    fs::copy(app.models().join("model_v2.bin"), app.models().join("archive/old.bin")).unwrap();
    symlink("model_v2.bin", app.models().join("latest.bin")).unwrap();
    // As typed in a folder around the models folder.
    let above = app.models().parent().unwrap().file_name().unwrap().to_owned();
    let typed = |path: &str| format!("{}/models/{path}", above.to_str().unwrap());
    for (path, name) in [
        (&*typed("model_v2.bin"), "model_v2"),
        (&*format!("./{}", typed("archive/old.bin")), "archive/old"),
        ("model_v2.bin", "model_v2"),
        ("models/model_v2.bin", "model_v2"),
        ("./model_v2.bin", "model_v2"),
        ("./models/model_v2.bin", "model_v2"),
        ("archive/old.bin", "archive/old"),
        ("models/archive/old.bin", "archive/old"),
        ("latest.bin", "latest"),
        (app.models().join("model_v2.bin").to_str().unwrap(), "model_v2"),
    ] {
        let status = app.deploy_canary_with(&json!({ "model_path": path })).done();
        assert_eq!(status["canary"]["version"], name, "{path}");
        app.rollback_canary().done();
    }
}

#[test]
fn the_end_of_the_path_of_the_folder_leads_nowhere_else() {
    let app = TestApp::spawn();
    let parent = app.models().parent().unwrap().to_owned();
    fs::copy(app.models().join("model_v2.bin"), parent.join("outer.bin")).unwrap();
    let above = parent.file_name().unwrap().to_str().unwrap();
    for (path, status, code) in [
        (format!("{above}/outer.bin"), 404, "no_such_model"),
        (format!("{above}/models/../outer.bin"), 422, "path_outside"),
        (format!("{above}/models"), 404, "no_such_model"),
        (format!("other/{above}/models/model_v2.bin"), 404, "no_such_model"),
    ] {
        deploy_is_refused(&app, &path, refused(status, code, &[]));
    }
}
