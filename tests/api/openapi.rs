//! `/openapi.json` and `/docs`: the document fits the routes and the model, and its examples are answered.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::access::ADMIN_ROUTES;
use crate::client::Client;
use crate::harness::Setup;
use crate::harness::TestApp;
use crate::problem::refused;
use crate::raw;

const TOKEN: &str = "correct-horse-battery-staple";

fn with_token() -> TestApp {
    Setup::new()
        .given(|settings| settings.admin_token = Some(TOKEN.to_owned().try_into().unwrap()))
        .spawn()
}

fn document(app: &TestApp) -> Value {
    app.get("/openapi.json").done()
}

/// Each operation with its method and path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(move |(method, it)| (format!("{} {path}", method.to_uppercase()), it))
    });
    operations.collect()
}

/// Every `$ref` in a part.
fn references(part: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_copy_in_docs_is_the_document_of_a_server_with_the_demo_models() {
    let copy: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let served = document(&with_token());
    let differs = operations(&served)
        .into_iter()
        .find(|(name, operation)| operations(&copy).get(name) != Some(operation));
    assert!(
        copy == served,
        "docs/openapi.json is not what the server answers ({:?}); write it anew as CONTRIBUTING.md says",
        differs.map(|(name, _)| name)
    );
}

#[test]
fn the_document_lists_the_routes_and_every_part_that_it_refers_to() {
    let app = TestApp::spawn();
    let document = document(&app);
    let operations = operations(&document);
    let listed = app.get("/").done();
    let mut listed: BTreeSet<&str> =
        listed["routes"].as_array().unwrap().iter().map(|route| route.as_str().unwrap()).collect();
    assert!(listed.remove("GET /docs"));
    assert_eq!(listed, operations.keys().map(String::as_str).collect());
    for route in ADMIN_ROUTES {
        assert!(operations.contains_key(route), "{route} is not documented");
    }
    let ids: BTreeSet<&str> =
        operations.values().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "an operationId occurs twice");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference} is nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(found.contains(&reference), "nothing refers to {name}");
    }
    let text = document.to_string();
    for leftover in ["```", "super::", "[`"] {
        assert!(!text.contains(leftover), "{leftover} is not for readers of JSON");
    }
}

#[test]
fn the_examples_are_answered_and_name_the_features_of_the_model() {
    let app = TestApp::spawn();
    let document = document(&app);
    let names: Vec<String> = {
        let inputs = app.get("/v2/models/model").done()["inputs"].clone();
        inputs
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let features = &document["components"]["schemas"]["Features"]["oneOf"];
    assert_eq!(features[0]["required"], json!(names));
    let mut answered = Vec::new();
    for (route, operation) in operations(&document) {
        let example = operation.pointer("/requestBody/content/application~1json/example");
        let is_prediction =
            ["predict", "/infer", "/invocations"].iter().any(|it| route.ends_with(it));
        let (Some(example), true) = (example, is_prediction) else { continue };
        let mut path = route.strip_prefix("POST ").unwrap().to_owned();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "path" {
                let value = parameter["example"].as_str().unwrap();
                path = path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), value);
            }
        }
        app.post(&path, example).done();
        answered.push(route);
    }
    assert_eq!(answered.len(), 5, "{answered:?}");
}

#[test]
fn routes_that_need_the_token_say_so() {
    let open = TestApp::spawn();
    let none = document(&open);
    assert!(none["components"].get("securitySchemes").is_none());
    assert!(operations(&none).values().all(|operation| operation.get("security").is_none()));
    let app = with_token();
    let stranger = Client::new(app.address, None);
    let document = stranger.get("/openapi.json").done();
    for (route, operation) in operations(&document) {
        let is_admin = ["/admin/", "/v2/repository/"].iter().any(|root| route.contains(root));
        let is_other =
            ["POST /record", "POST /feedback", "POST /reset", "GET /verdict"].contains(&&*route);
        assert_eq!(operation.get("security").is_some(), is_admin || is_other, "{route}");
        if operation.get("security").is_some() {
            let path = route.split(' ').nth(1).unwrap().replace("{version}", "model_v2");
            let reply = if route.starts_with("GET") {
                stranger.get(&path)
            } else {
                stranger.post(&path, &json!({}))
            };
            assert_eq!(reply.status, 401, "{route}");
        }
    }
}

#[test]
fn the_page_and_its_files_are_in_the_binary_and_load_nothing_else() {
    let app = TestApp::spawn();
    let page = raw::request(app.address, "GET /docs/", &[], b"");
    assert_eq!(page.status, 200, "{}", page.text);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    for file in
        ["swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "swagger-ui.css", "index.css"]
    {
        let reply = raw::request(app.address, &format!("GET /docs/{file}"), &[], b"");
        assert_eq!(reply.status, 200, "{file}");
    }
    let start = raw::request(app.address, "GET /docs/swagger-initializer.js", &[], b"");
    assert!(start.text.contains("../openapi.json"), "{}", start.text);
    let moved = raw::request(app.address, "GET /docs", &[], b"");
    assert_eq!((moved.status, &moved.headers["location"]), (308, &"docs/".parse().unwrap()));
    for path in ["/docs/none.js", "/docs/../Cargo.toml", "/docs/%2e%2e/Cargo.toml"] {
        let reply = raw::request(app.address, &format!("GET {path}"), &[], b"");
        reply.assert_refused(refused(404, "no_such_route", &["/docs/"]), path, path);
    }
}
