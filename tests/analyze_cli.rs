//! `serin analyze`: exit codes, output, files.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

#[path = "shared/executable.rs"]
mod executable;

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary in a folder, without this shell's settings, with this standard input.
fn serin(folder: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut command = executable::serin(folder);
    command.arg("analyze").args(arguments);
    let (input_kind, output) = (Stdio::piped(), Stdio::piped());
    let mut child =
        command.stdin(input_kind).stdout(output).stderr(Stdio::piped()).spawn().unwrap();
    // The pipe is closed if the program has ended or reads no input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Sixty values within 0.1 above `from`, one per line.
fn lines(from: f64) -> String {
    (0..60_u32).fold(String::new(), |mut text, i| {
        writeln!(text, "{:.4}", from + 0.1 * (f64::from(i) * 0.618_034).fract()).unwrap();
        text
    })
}

/// A folder with values around 0.85 in `low.txt`, and around 0.9 in `high.txt`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("low.txt"), lines(0.80)).unwrap();
    std::fs::write(folder.path().join("high.txt"), lines(0.85)).unwrap();
    folder
}

#[test]
fn the_exit_code_is_the_decision_even_if_the_reader_of_the_output_is_gone() {
    let folder = folder();
    let mut command = executable::serin(folder.path());
    command.args(["analyze", "high.txt", "low.txt"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"");
}

#[test]
fn the_exit_code_is_the_decision() {
    let folder = folder();
    for (arguments, code, word) in [
        (&["low.txt", "high.txt"][..], 0, "promote"),
        (&["high.txt", "low.txt"], 1, "rollback"),
        (&["low.txt", "low.txt"], 3, "wait"),
        (&["low.txt", "high.txt", "--lower-is-better"], 1, "rollback"),
        (&["high.txt", "low.txt", "--lower-is-better"], 0, "promote"),
        (&["low.txt", "high.txt", "--min-samples", "61"], 3, "wait"),
        (&["low.txt", "high.txt", "--effect-threshold", "5"], 3, "wait"),
        (&["low.txt", "high.txt", "--p-threshold", "1e-60"], 3, "wait"),
    ] {
        let ended = serin(folder.path(), arguments, "");
        assert_eq!((ended.code, ended.stderr.as_str()), (code, ""), "{arguments:?}");
        assert!(ended.stdout.starts_with(word), "{arguments:?}: {}", ended.stdout);
        assert!(!ended.stdout.contains('\u{1b}'), "colors only on a terminal");
        let json = serin(folder.path(), &[arguments, &["--json"]].concat(), "");
        assert_eq!(json.code, code, "{arguments:?}");
        assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap()["decision"], word);
    }
}

#[test]
fn the_table_shows_both_tracks_and_every_test() {
    let folder = folder();
    let ended = serin(folder.path(), &["low.txt", "high.txt"], "");
    let unwrapped = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for named in [
        "the canary is significantly better",
        "higher is better",
        "samples",
        "p95",
        "baseline",
        "canary",
        "Mann-Whitney",
        "Kolmogorov-Smirnov",
        "Welch's t",
        "Cohen's d",
        "95 % interval",
    ] {
        assert!(unwrapped.contains(named), "{named:?} is not in {}", ended.stdout);
    }
    let wait = serin(folder.path(), &["low.txt", "-"], "0.5\n0.6\n");
    assert!(wait.stdout.contains("not enough samples"), "{}", wait.stdout);
    assert!(!wait.stdout.contains("Mann-Whitney"), "no test was made: {}", wait.stdout);
}

#[test]
fn every_form_and_standard_input_give_the_same_numbers() {
    let folder = folder();
    let expected = serin(folder.path(), &["low.txt", "high.txt", "--json"], "").stdout;
    let high = lines(0.85);
    let json = format!("[{}]", high.trim_end().replace('\n', ","));
    let named = format!("score\n{high}");
    for (input, description) in [(&high, "lines"), (&json, "JSON"), (&named, "a named column")] {
        let ended = serin(folder.path(), &["low.txt", "-", "--json"], input);
        assert_eq!(ended.stdout, expected, "{description}: {}", ended.stderr);
    }
    for name in ["low", "high"] {
        let text = std::fs::read_to_string(folder.path().join(format!("{name}.txt"))).unwrap();
        let rows: String = text.lines().map(|line| format!("x,{line}\n")).collect();
        let csv = format!("id,score\n{rows}");
        std::fs::write(folder.path().join(format!("{name}.csv")), csv).unwrap();
    }
    for column in ["score", "2"] {
        let ended =
            serin(folder.path(), &["low.csv", "high.csv", "--column", column, "--json"], "");
        assert_eq!(ended.stdout, expected, "column {column}: {}", ended.stderr);
    }
}

#[test]
fn files_that_cannot_be_compared_are_usage_errors() {
    let folder = folder();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    write("ragged.csv", b"a,b\n1,2\n3\n");
    write("nan.txt", b"0.5\nNaN\n");
    write("empty.txt", b"");
    write("binary.txt", b"0.5\n\xff\xfe\n");
    write("words.txt", b"score\nhigh\n");
    for (arguments, named) in [
        (&["low.txt", "missing.txt"][..], &["cannot read missing.txt", "check the path"][..]),
        (&["low.txt", "."], &["cannot read ."]),
        (&["low.txt", "empty.txt"], &["empty.txt", "no values"]),
        (&["low.txt", "-"], &["standard input", "no values"]),
        (&["low.txt", "nan.txt"], &["nan.txt", "line 2", "NaN"]),
        (&["low.txt", "binary.txt"], &["binary.txt", "line 2", "UTF-8"]),
        (&["words.txt", "low.txt"], &["words.txt", "line 2", "`high`", "0.87"]),
        (&["ragged.csv", "low.txt", "--column", "b"], &["ragged.csv", "line 3", "1 field"]),
        (&["ragged.csv", "low.txt"], &["2 columns", "--column", "`a`"]),
        (&["-", "-"], &["standard input", "once"]),
        (&["low.txt", "high.txt", "--p-threshold", "2"], &["--p-threshold: 2", "less than 1"]),
        (&["low.txt", "high.txt", "--min-samples", "1"], &["--min-samples: 1", "2 or more"]),
        (&["low.txt", "high.txt", "--effect-threshold", "-1"], &["--effect-threshold: -1"]),
        (&["low.txt", "high.txt", "--effect-threshold", "x"], &["--effect-threshold"]),
        (&["low.txt", "high.txt", "--margin", "5 %x"], &["--margin: 5 %x", "5%"]),
        (
            &["low.txt", "high.txt", "--margin", "1", "--effect-threshold", "1"],
            &["--margin and --effect-threshold"],
        ),
        (&["low.txt", "high.txt", "--correction", "holm"], &["--metrics"]),
        (&["low.txt"], &["CANARY"]),
    ] {
        let ended = serin(folder.path(), arguments, "");
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}");
        for name in named {
            assert!(
                ended.stderr.contains(name),
                "{arguments:?}: {name:?} is not in {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn with_a_margin_a_canary_that_is_not_worse_is_promoted() {
    let folder = folder();
    for (arguments, code) in [
        (&["high.txt", "low.txt", "--margin", "20%"][..], 0),
        (&["high.txt", "low.txt", "--margin", "0.2"], 0),
        (&["high.txt", "low.txt", "--margin", "1%"], 1),
        (&["high.txt", "low.txt", "--margin", "0.05"], 3),
        (&["low.txt", "high.txt", "--lower-is-better", "--margin", "1%"], 1),
    ] {
        let ended = serin(folder.path(), arguments, "");
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains("non-inferiority p ="), "{}", ended.stdout);
        assert!(ended.stdout.contains("difference of p95"), "{}", ended.stdout);
        assert!(ended.stdout.contains("PSI"), "{}", ended.stdout);
    }
}

#[test]
fn a_file_of_metrics_compares_columns() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let data = |slower: f64| {
        (0..200_u32).fold("id,latency_ms,converted\n".to_owned(), |mut text, i| {
            let latency = 20.0 + 4.0 * (f64::from(i) * 0.618_034).fract() + slower;
            writeln!(text, "{i},{latency:.4},{}", i % 2).unwrap();
            text
        })
    };
    write("before.csv", &data(0.0));
    write("same.csv", &data(0.0));
    write("slow.csv", &data(3.0));
    write(
        "metrics.csv",
        "metric,better,margin,weight,critical\nlatency_ms,lower,5%,1,\nconverted,,0.2,4,no\n",
    );
    write("critical.csv", "metric,better,margin,critical\nlatency_ms,lower,5%,yes\n");
    for (canary, metrics, code, word, named) in [
        ("same.csv", "metrics.csv", 0, "promote", "score 100 of 100"),
        ("slow.csv", "metrics.csv", 3, "wait", "score 80 of 100"),
        ("slow.csv", "critical.csv", 1, "rollback", "the critical metric latency_ms fails"),
    ] {
        let arguments = ["before.csv", canary, "--metrics", metrics];
        let ended = serin(folder.path(), &arguments, "");
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.starts_with(word), "{}", ended.stdout);
        assert!(ended.stdout.contains(named), "{named:?} is not in {}", ended.stdout);
        let json = serin(folder.path(), &[&arguments[..], &["--json"]].concat(), "");
        let json: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(json["decision"], word);
        assert_eq!(json["metrics"][0]["metric"], "latency_ms");
    }
    for (text, named) in [
        ("better\nlower\n", "line 2: missing field `metric`"),
        ("metric,margn\nconverted,1\n", "did you mean `margin`?"),
        ("metric,weight\nconverted,heavy\n", "weight: \"heavy\" is not a number"),
        ("metric\nlatency\n", "line 2"),
        ("metric,better\nconverted,up\n", "better: \"up\" is not a direction; use higher or lower"),
        ("metric,weight\nconverted,0\n", "weight: 0 is out of range"),
        (
            "metric,critical\nconverted,maybe\n",
            "critical: \"maybe\" is not an answer; use yes or no",
        ),
        ("metric,margin\nconverted,x\n", "margin: x is out of range"),
        ("metric\n", "metrics: 0 metrics; use 1 to 64"),
    ] {
        write("bad.csv", text);
        let ended = serin(folder.path(), &["before.csv", "same.csv", "--metrics", "bad.csv"], "");
        assert_eq!(ended.code, 2, "{text:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(named), "{text:?}: {named:?} is not in {}", ended.stderr);
    }
}

/// The first moment that a request asks for, in seconds since 1970.
fn start_of(head: &str) -> f64 {
    let start = head.split_once("&start=").unwrap().1;
    start.split(['&', ' ']).next().unwrap().parse().unwrap()
}

/// A Prometheus that has sixty values of each track, the canary's of 0.85 to 0.95 and stable's of 0.80 to 0.90, and of each
/// one more that is not a number; its address.
fn prometheus() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut reader, mut head) =
                (BufReader::new(stream.try_clone().unwrap()), String::new());
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            assert!(head.starts_with("GET /api/v1/query_range?query=score%7Bv"), "{head}");
            let is_canary = head.contains("%22b%22");
            let result = match is_canary || head.contains("%22a%22") {
                false => String::new(),
                true => {
                    let values = lines(if is_canary { 0.85 } else { 0.80 });
                    // The last two of 62 moments have no pair of numbers.
                    let last = if is_canary { &["NaN"][..] } else { &["1", "+Inf"] };
                    let values = values.lines().chain(last.iter().copied()).enumerate();
                    let values: Vec<String> = values
                        .map(|(at, value)| {
                            let at = start_of(&head) + 60.0 * at as f64;
                            format!("[{at},\"{value}\"]")
                        })
                        .collect();
                    format!("{{\"metric\":{{}},\"values\":[{}]}}", values.join(","))
                }
            };
            let body = format!(
                "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{result}]}}}}"
            );
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
            write!(stream, "{head}\r\n\r\n{body}").unwrap();
        }
    });
    url
}

#[test]
fn a_query_over_time_is_compared_like_two_files() {
    let (folder, url) = (folder(), prometheus());
    let query = ["--prometheus", &url, "--query", "score{v=\"$track\"}", "--step", "1m"];
    let asked = |more: &[&str]| serin(folder.path(), &[&query[..], more].concat(), "");
    let tracks = ["--baseline", "a", "--canary", "b", "--for", "62m", "--json"];
    let ended = asked(&tracks);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let mut answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    let moments = answer.as_object_mut().unwrap().remove("prometheus").unwrap();
    assert_eq!((&moments["moments"], &moments["step_seconds"]), (&62.into(), &60.0.into()));
    let files = serin(folder.path(), &["low.txt", "high.txt", "--json"], "");
    assert_eq!(answer, serde_json::from_str::<Value>(&files.stdout).unwrap());
    let worse = asked(&["--baseline", "b", "--canary", "a", "--for", "62m"]);
    assert_eq!(worse.code, 1, "{}", worse.stderr);
    let said = worse.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("62 moments, one each 1m, from "), "{}", worse.stdout);
    assert!(said.contains("; 2 are left out, because"), "{}", worse.stdout);
    for (more, said) in [
        (&["--canary", "b"][..], "stable: the query returns no series"),
        (&["--for", "30s"], "no value fits between"),
        (&["--for", "700h"], "--step: 42000 values of one each 1m are more than 10000; use 4m 12s"),
        (&["--for", "soon"], "--for: \"soon\" is not a duration"),
        (&["--from", "2026-11-27T12:00:00Z", "--to", "2026-11-27T11:00:00Z"], "is not before"),
        (&["--canary", "stable"], "--canary: \"stable\" is what stable is called as well"),
        (
            &["--token-env", "SERIN_NO_SUCH_TOKEN"],
            "--token-env: the variable SERIN_NO_SUCH_TOKEN is not",
        ),
    ] {
        let ended = asked(more);
        assert!(ended.code == 2 && ended.stderr.contains(said), "{more:?}: {}", ended.stderr);
    }
    for (given, said) in [
        (
            &["--prometheus", "here", "--query", "up_$track"][..],
            "--prometheus: \"here\" is not a URL",
        ),
        (
            &["--prometheus", "http://a", "--query", "up"],
            "--query: \"up\" does not say which track",
        ),
        (&["--prometheus", "http://a"], "--query"),
        (&["--query", "up_$track"], "--prometheus"),
        (&["low.txt"], "<CANARY>"),
    ] {
        let ended = serin(folder.path(), given, "");
        assert!(ended.code == 2 && ended.stderr.contains(said), "{given:?}: {}", ended.stderr);
    }
}
