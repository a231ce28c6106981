//! Which models the page lists, and which it offers.

use serde_json::json;

use super::*;
use crate::service::status::report::tests::rollout;
use crate::service::status::report::tests::status;

fn card(digest: &str) -> BriefCard {
    BriefCard { kind: "logistic_regression", digest: digest.to_owned(), auc: Some(0.8123) }
}

fn file(file: &str, content: Content) -> Brief {
    let version = file.trim_end_matches(".bin").to_owned();
    Brief { file: file.to_owned(), version, content }
}

fn folder() -> Newest {
    let model = |name: &str, digest: &str| file(name, Content::Model(card(digest)));
    Newest {
        files: vec![
            model("model_v3.bin", "d3"),
            model("models/model_v1.bin", "d0"),
            model("bad.bin", "d4"),
            file("notes.bin", Content::Other("<b>no magic</b>".to_owned())),
            file("large.bin", Content::Unread),
        ],
        others: vec!["old.bin".to_owned(), "models/model_v1.bin".to_owned()],
    }
}

fn parts(status: &Status, percent: Option<f64>) -> (Models, String) {
    let stable = card("d0");
    let stable = Serving { version: &status.stable.version, card: Some(&stable) };
    let canary = status.canary.as_ref().map(|version| Serving { version, card: None });
    let models = Models::new(status, (stable, canary), &folder(), Deploy { percent });
    let html = models.render().unwrap();
    (models, html)
}

#[test]
fn what_serves_comes_first_and_the_rest_can_be_deployed() {
    let status = status(json!({
        "quarantine": { "d4": { "version": "bad", "reason": "fails <often>" } },
    }));
    let (models, html) = parts(&status, Some(10.0));
    let shown: Vec<_> =
        models.rows.iter().map(|row| (&*row.version, row.role, row.file.is_some())).collect();
    assert_eq!(
        shown,
        [
            ("model_v1", Role::Stable, false),
            ("model_v3", Role::None, true),
            ("bad", Role::Quarantined, false),
            ("notes", Role::None, false),
            ("large", Role::None, false),
        ]
    );
    // The file of stable is shown, although it is not among the newest.
    assert_eq!(models.others, 1);
    assert_eq!(models.rows[0].auc.as_deref(), Some("0.812"));
    for expected in [
        "<form data-act action=\"admin/deploy-canary\" method=\"post\">",
        "name=\"model_path\" value=\"model_v3.bin\"",
        "name=\"traffic_percent\" value=\"10\"",
        "fails &#60;often&#62;",
        "&#60;b&#62;no magic&#60;/b&#62;",
        "not a model",
        "being read",
        "1 more: <code>serin models</code>",
    ] {
        assert!(html.contains(expected), "{expected} is not in {html}");
    }
    assert_eq!(html.matches("<form").count(), 1);
}

#[test]
fn the_plan_sets_the_share() {
    let (_, html) = parts(&status(json!({})), None);
    assert!(
        !html.contains("traffic_percent") && html.contains("the plan sets the shares"),
        "{html}"
    );
}

#[test]
fn nothing_is_deployed_beside_a_canary() {
    let (models, html) = parts(&rollout("pass", Some(0.0), json!({})), Some(10.0));
    let roles: Vec<Role> = models.rows.iter().map(|row| row.role).take(2).collect();
    assert_eq!(roles, [Role::Canary, Role::Stable]);
    assert!(!html.contains("<form"), "{html}");
}

#[test]
fn names_of_files_are_escaped() {
    let hostile = "\"><img src=x>.bin";
    let status = status(json!({}));
    let newest = Newest { files: vec![file(hostile, Content::Model(card("d9")))], others: vec![] };
    let stable = Serving { version: &status.stable.version, card: None };
    let models = Models::new(&status, (stable, None), &newest, Deploy { percent: Some(10.0) });
    let html = models.render().unwrap();
    assert!(!html.contains("<img") && html.contains("&#34;&#62;&#60;img src=x&#62;.bin"), "{html}");
}

#[test]
fn a_folder_without_another_model_says_how_to_make_one() {
    let status = status(json!({}));
    let stable = Serving { version: &status.stable.version, card: None };
    let deploy = Deploy { percent: Some(10.0) };
    let html = Models::new(&status, (stable, None), &Newest::default(), deploy).render().unwrap();
    assert!(html.contains("has no other model") && html.contains("model_v1"), "{html}");
}
