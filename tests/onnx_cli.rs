//! ONNX models from the command line, with and without ONNX Runtime.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::tempdir;

#[path = "shared/executable.rs"]
mod executable;
#[path = "shared/onnxruntime.rs"]
mod onnxruntime;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds").join(name)
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap()
}

/// Serin in this folder, with the library.
fn serin(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = executable::serin(folder);
    command.env("SERIN_ONNXRUNTIME", onnxruntime::library()).args(arguments).output().unwrap()
}

/// Serin in this folder, without any.
fn without(folder: &Path, arguments: &[&str]) -> Output {
    executable::serin(folder).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap()
}

/// Words of a message that was wrapped at the width of the output.
fn unwrapped(output: &Output) -> String {
    text(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Copies a golden file and its rows with the original's answers, as `NAME.onnx` and expected.csv.
fn prepare(folder: &Path, name: &str) {
    let case = json_of(&format!("onnx/testdata/{name}.case.json"));
    let rows = &json_of("testdata/rows.json")[case["rows"].as_str().unwrap()];
    let all: Vec<&str> =
        rows["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let names: Vec<&str> =
        case["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut csv = format!("{},expected\n", names.join(","));
    let answers = case["answers"].as_array().unwrap();
    for (row, answer) in rows["rows"].as_array().unwrap().iter().zip(answers) {
        for name in &names {
            match &row[all.iter().position(|other| other == name).unwrap()] {
                Value::Null => csv.push(','),
                Value::String(word) => write!(csv, "{word},").unwrap(),
                number => write!(csv, "{number},").unwrap(),
            }
        }
        writeln!(csv, "{}", answer[0]).unwrap();
    }
    fs::write(folder.join("expected.csv"), csv).unwrap();
    let file = format!("onnx/testdata/{name}.onnx");
    fs::copy(golden(&file), folder.join(format!("{name}.onnx"))).unwrap();
}

/// Imports a golden file as models/m.bin.
fn import(folder: &Path, name: &str) -> Output {
    prepare(folder, name);
    fs::create_dir_all(folder.join("models")).unwrap();
    let file = format!("{name}.onnx");
    let arguments = ["import", &file, "--expect", "expected.csv", "--out", "models/m.bin"];
    let named = [&arguments[..], &["--schema-from", "expected.csv"]].concat();
    serin(folder, &named)
}

#[test]
fn an_import_is_compared_with_the_original_and_inspected_with_and_without_the_library() {
    for name in ["pipeline", "pipeline_tensor", "catboost", "network", "logistic_words"] {
        let folder = tempdir().unwrap();
        let imported = import(folder.path(), name);
        let shown = text(&imported);
        assert_eq!(imported.status.code(), Some(0), "{name}: {shown}");
        for said in ["ONNX, ", "run by", "ONNX Runtime 1.", "74 rows of expected.csv"] {
            assert!(shown.contains(said), "{name}: {said}: {shown}");
        }
        let inspected = text(&serin(folder.path(), &["inspect", "models/m.bin"]));
        assert!(inspected.starts_with(shown.trim_end()), "{inspected}\n{shown}");
        assert!(inspected.contains("balance: numeric"), "{inspected}");
        let card = serin(folder.path(), &["inspect", "models/m.bin", "--json"]);
        let card: Value = serde_json::from_slice(&card.stdout).unwrap();
        assert!(
            card["import"]["library"].as_str().unwrap().starts_with("ONNX Runtime 1."),
            "{card}"
        );
        // The card of a model is known where it cannot run.
        let known = without(folder.path(), &["inspect", "models/m.bin"]);
        assert_eq!(known.status.code(), Some(0));
        let known = unwrapped(&known);
        assert!(known.contains("74 rows of expected.csv"), "{known}");
        assert!(known.contains("without --onnxruntime it cannot run here"), "{known}");
    }
}

#[test]
fn a_model_folder_of_mlflow_with_an_onnx_file_is_imported_with_the_names_of_its_signature() {
    let mlflow = golden("../importing/testdata");
    for (name, last) in [("onnx_catboost", "tickets"), ("onnx_columns", "contract")] {
        let folder = tempdir().unwrap();
        let [model, csv] = [name.to_owned(), format!("{name}.csv")].map(|file| mlflow.join(file));
        let (model, csv) = (model.to_str().unwrap(), csv.to_str().unwrap());
        let import = ["import", model, "--expect", csv, "--out", "m.bin", "--json"];
        let imported = serin(folder.path(), &import);
        assert_eq!(imported.status.code(), Some(0), "{name}: {}", text(&imported));
        let card: Value = serde_json::from_slice(&imported.stdout).unwrap();
        assert_eq!(card["import"]["parity"]["rows"], 40, "{card}");
        let names: Vec<&str> = card["features"]
            .as_array()
            .unwrap()
            .iter()
            .map(|feature| feature["name"].as_str().unwrap())
            .collect();
        assert_eq!(names[..2], ["tenure months", "monthly"], "{name}");
        assert_eq!(*names.last().unwrap(), last, "{name}");
    }
}

#[test]
fn trees_that_differ_next_to_a_threshold_are_refused_with_the_reason() {
    let folder = tempdir().unwrap();
    let refused = import(folder.path(), "forest");
    let message = unwrapped(&refused);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    for said in [
        "parity: ",
        "of 74 rows differ",
        "thresholds of trees in single precision",
        "import the library's own file",
    ] {
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(!folder.path().join("models/m.bin").exists());
}

#[test]
fn without_a_library_or_with_another_file_the_error_says_what_to_do() {
    let folder = tempdir().unwrap();
    prepare(folder.path(), "network");
    fs::write(folder.path().join("text.so"), "no library").unwrap();
    let import = ["import", "network.onnx", "--out", "m.bin"];
    let capi = onnxruntime::library().parent().unwrap().to_owned();
    for (library, said) in [
        (
            None,
            "an ONNX model needs ONNX Runtime 1.23 or newer: pip install onnxruntime, and give --onnxruntime",
        ),
        (Some("none.so"), "--onnxruntime: none.so: No such file"),
        (Some("text.so"), "--onnxruntime: text.so: not a usable ONNX Runtime 1.23 or newer"),
        (capi.to_str(), "it is a folder, name the library itself: "),
    ] {
        let flag = library.map(|library| ["--onnxruntime", library]);
        let arguments: Vec<&str> = import.into_iter().chain(flag.into_iter().flatten()).collect();
        let refused = without(folder.path(), &arguments);
        let message = unwrapped(&refused);
        assert_eq!(refused.status.code(), Some(2), "{message}");
        assert!(message.contains(said), "{said}: {message}");
        assert!(!folder.path().join("m.bin").exists());
    }
}

/// A server of the folder, with this library or none.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, library: Option<&Path>) -> Result<Server, String> {
        Server::of(folder, "m.bin", library)
    }

    fn of(folder: &Path, stable: &str, library: Option<&Path>) -> Result<Server, String> {
        let _ = fs::remove_file(folder.join("port"));
        let mut command = executable::serin(folder);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--port-file",
            "port",
            "--stable",
            stable,
        ]);
        library.map(|library| command.arg("--onnxruntime").arg(library));
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        for _ in 0..3000 {
            if let Ok(address) = fs::read_to_string(folder.join("port")) {
                return Ok(Server { child, address });
            }
            if child.try_wait().unwrap().is_some() {
                let output = child.wait_with_output().unwrap();
                return Err(unwrapped(&output));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        Err("the server did not start".to_owned())
    }

    fn predict(&self, body: &str) -> Value {
        self.post("/predict", body)
    }

    fn post(&self, path: &str, body: &str) -> Value {
        let url = format!("http://{}{path}", self.address);
        let answer = ureq::post(&url).content_type("application/json").send(body).unwrap();
        answer.into_body().read_json().unwrap()
    }

    fn status(&self) -> Value {
        let url = format!("http://{}/admin/status", self.address);
        ureq::get(&url).call().unwrap().into_body().read_json().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_answers_with_the_library_and_does_not_start_without_it() {
    let folder = tempdir().unwrap();
    assert_eq!(import(folder.path(), "pipeline").status.code(), Some(0));
    let library = onnxruntime::library();
    let refused = Server::start(folder.path(), None).map(drop).unwrap_err();
    assert!(refused.contains("an ONNX model needs ONNX Runtime"), "{refused}");
    let case = json_of("onnx/testdata/pipeline.case.json");
    let rows = &json_of("testdata/rows.json")["words"]["rows"];
    {
        let server = Server::start(folder.path(), Some(&library)).unwrap();
        let instances: Vec<Value> = rows.as_array().unwrap().iter().map(first_nine).collect();
        for (instance, expected) in instances.iter().zip(case["answers"].as_array().unwrap()) {
            let answer = server.predict(&format!("{{\"features\":{instance}}}"));
            let given = answer["probability"].as_f64().unwrap();
            assert!((given - expected[0].as_f64().unwrap()).abs() < 1e-5, "{answer} {expected}");
        }
        let many: Value = (0..5).flat_map(|_| instances.clone()).collect();
        let answer = server.predict(&format!("{{\"instances\":{many}}}"));
        assert_eq!(answer["predictions"].as_array().unwrap().len(), 370, "{answer}");
        let status = without(
            folder.path(),
            &["status", "--json", "--url", &format!("http://{}", server.address)],
        );
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let named = status["stable"]["library"].as_str().unwrap();
        assert!(named.starts_with("ONNX Runtime 1."), "{status}");
        let status = without(
            folder.path(),
            &["status", "--verbose", "--url", &format!("http://{}", server.address)],
        );
        assert!(unwrapped(&status).contains(&format!("{named} computes the stable model")));
    }
    // Its store knows the model now.
    let refused = Server::start(folder.path(), None).map(drop).unwrap_err();
    assert!(
        refused.contains("the model m of the store cannot run: an ONNX model needs ONNX Runtime"),
        "{refused}"
    );
    assert!(Server::start(folder.path(), Some(&library)).is_ok());
}

const CUSTOMER: &str = r#"{"features": {"tenure": 12, "monthly": 70.35, "total": 800, "senior": 0, "tickets": 2,
    "balance": 10}}"#;

/// A server whose stable model is of LightGBM, and an ONNX model to deploy as `m.bin`.
fn with_lightgbm(folder: &Path) -> Server {
    assert_eq!(import(folder, "catboost").status.code(), Some(0));
    fs::copy(golden("testdata/lgb_binary.txt"), folder.join("models/lgb.txt")).unwrap();
    Server::of(folder, "lgb.txt", Some(&onnxruntime::library())).unwrap()
}

const DEPLOY: &str =
    r#"{"model_path": "m.bin", "traffic_percent": 50, "policy": {"expect_shift": true}}"#;

#[test]
fn a_deployment_compares_the_answers_and_the_journal_names_the_library() {
    let folder = tempdir().unwrap();
    let server = with_lightgbm(folder.path());
    let deployed = server.post("/admin/deploy-canary", DEPLOY);
    let compared = &server.status()["on_kept_rows"];
    // Every third of 74 rows is kept.
    assert_eq!((&compared["rows"], &compared["not_asked"]), (&25.into(), &0.into()), "{compared}");
    assert!(compared["largest"]["difference"].is_f64(), "{compared}");
    assert!(deployed["notes"].to_string().contains(compared["message"].as_str().unwrap()));
    let url = format!("http://{}", server.address);
    let history =
        |more: &[&str]| without(folder.path(), &[&["history", "--url", &url], more].concat());
    let shown = text(&history(&[]));
    assert!(shown.contains("in ONNX Runtime 1."), "{shown}");
    let entries = history(&["--json"]);
    let entries: Value = serde_json::from_slice(&entries.stdout).unwrap();
    let library = server.status()["canary_library"].clone();
    assert!(library.as_str().unwrap().starts_with("ONNX Runtime 1."), "{library}");
    assert_eq!(entries["entries"][1]["library"], library, "{entries}");
    assert!(entries["entries"][0].get("library").is_none(), "{entries}");
    // What the command prints.
    let checked = without(folder.path(), &["check", "--url", &url]);
    let message = compared["message"].as_str().unwrap();
    assert!(unwrapped(&checked).contains(message), "{}", text(&checked));
    // Another run of serin reads the journal.
    drop(server);
    let server = Server::of(folder.path(), "lgb.txt", Some(&onnxruntime::library())).unwrap();
    assert_eq!(server.status()["on_kept_rows"], *compared);
}

#[test]
fn a_canary_that_cannot_run_after_a_restart_is_rolled_back_and_stable_answers() {
    let folder = tempdir().unwrap();
    let library = onnxruntime::library();
    let deployed = |server: &Server| {
        server.post("/admin/deploy-canary", DEPLOY);
        server.status()["canary"].clone()
    };
    {
        let server = with_lightgbm(folder.path());
        assert_eq!(deployed(&server)["version"], "m");
    }
    {
        let server = Server::of(folder.path(), "lgb.txt", Some(&library)).unwrap();
        assert_eq!(server.status()["canary"]["version"], "m", "it can run");
    }
    let server = Server::of(folder.path(), "lgb.txt", None).unwrap();
    let status = server.status();
    assert!(status["canary"].is_null(), "{status}");
    assert_eq!(status["last_rollout"]["outcome"], "rolled_back", "{status}");
    let said = status["last_rollout"].to_string();
    assert!(said.contains("or cannot run there"), "{said}");
    assert_eq!(status["quarantine"], serde_json::json!({}), "{status}");
    assert_eq!(server.predict(CUSTOMER)["model_version"], "lgb");
    drop(server);
    // With the library it can be deployed again.
    let server = Server::of(folder.path(), "lgb.txt", Some(&library)).unwrap();
    assert_eq!(deployed(&server)["version"], "m");
}

#[test]
fn a_previous_version_that_cannot_run_after_a_restart_stops_no_server() {
    let folder = tempdir().unwrap();
    assert_eq!(import(folder.path(), "network").status.code(), Some(0));
    fs::copy(golden("testdata/lgb_binary.txt"), folder.path().join("models/lgb.txt")).unwrap();
    let library = onnxruntime::library();
    let deploy = DEPLOY.replace("m.bin", "lgb.txt");
    let deploy =
        deploy.replace("\"policy\"", "\"post_promotion\": {\"monitor\": \"1h\"}, \"policy\"");
    {
        let server = Server::start(folder.path(), Some(&library)).unwrap();
        server.post("/admin/deploy-canary", &deploy);
        server.post("/admin/promote-canary", r#"{"force": true, "reason": "tested"}"#);
        let status = server.status();
        assert_eq!(status["post_promotion"]["previous"], "m", "{status}");
    }
    let server = Server::start(folder.path(), None).unwrap();
    assert_eq!(server.predict(CUSTOMER)["model_version"], "lgb");
    let url = format!("http://{}/admin/revert", server.address);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let reply = agent.post(&url).content_type("application/json").send("{}").unwrap();
    let refused: Value = reply.into_body().read_json().unwrap();
    assert!(refused.to_string().contains("previous_lost"), "{refused}");
    drop(server);
    // Not lost for good: with the library it can be reverted to.
    let server = Server::start(folder.path(), Some(&library)).unwrap();
    server.post("/admin/revert", "{}");
    assert_eq!(server.status()["stable"]["version"], "m");
}

fn first_nine(row: &Value) -> Value {
    Value::from(row.as_array().unwrap()[..9].to_vec())
}
