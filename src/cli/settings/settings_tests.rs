//! Settings are read as they are written, and mistakes are named with their place.

use std::path::Path;

use clap::Args as _;
use clap::Command;
use clap::FromArgMatches as _;

use super::flags::Flags;
use super::layers::Layers;
use super::*;

/// The layers of these arguments over a file with this text.
fn layers(arguments: &[&str], text: &str) -> Layers {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serin.toml");
    std::fs::write(&path, text).unwrap();
    let command = Flags::augment_args(Command::new("serin").no_binary_name(true));
    let flags = Flags::from_arg_matches(&command.get_matches_from(arguments)).unwrap();
    Layers::new(flags, Some(&path)).unwrap()
}

fn file(text: &str) -> anyhow::Result<Settings> {
    layers(&[], text).settings()
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let text = "workers = 3\nbake = \"10m\"\n[plan]\nlook = \"2s\"\n";
    let arguments = [
        "--workers",
        "2",
        "--admin-token",
        "correct-horse-battery",
        "--seed",
        "18446744073709551615",
    ];
    let layers = layers(&arguments, text);
    let settings = layers.settings().unwrap();
    assert_eq!(settings.workers, 2);
    assert_eq!(settings.bake, Duration::from_secs(600));
    assert_eq!(settings.listen, "127.0.0.1:8000");
    assert_eq!(settings.admin_token.unwrap().reveal(), "correct-horse-battery");
    assert_eq!(settings.seed, Some(u64::MAX));
    assert_eq!(layers.origin("workers"), "--workers");
    assert!(layers.origin("bake").ends_with("serin.toml"));
    assert!(layers.origin("plan.look").ends_with("serin.toml"));
    assert_eq!(layers.origin("plan.deadline"), "default");
}

#[test]
fn what_is_wrong_is_named() {
    for (text, named) in [
        ("wrokers = 3", "unknown field `wrokers` (did you mean `workers`?)"),
        ("mode = \"manuel\"", "did you mean `manual`?"),
        ("[plan]\ntemplate = \"carefull\"", "did you mean `careful`?"),
        ("listen = \"127.0.0.1:99999\"", "listen: \"127.0.0.1:99999\" is not an address"),
        ("workers = 0", "workers: 0 is out of range; use 1 to 1024"),
        ("workers = \"two\"", "\"two\" is not a whole number"),
        ("bake = \"soon\"", "bake: \"soon\" is not a duration; use 0s to 720h"),
        ("canary_deadline = \"-1s\"", "canary_deadline: "),
        ("stable_deadline = \"0s\"", "stable_deadline: \"0s\" is out of range; use 1ms to 720h"),
        ("alpha = 1.5", "alpha: 1.5 is out of range"),
        ("alpha = nan", "alpha: not a finite number"),
        ("min_samples = 1", "min_samples: 1 is out of range; use 2 or more"),
        ("relative_margin = -1.0", "relative_margin: -1 is out of range; use 0 or more"),
        ("traffic_percent = 101.0", "traffic_percent: 101 is out of range"),
        ("store = \"redis://here\"", "redis://here"),
        ("admin_token = \"\"", "admin_token: "),
        ("body_limit = 1", "body_limit: 1 is out of range"),
        ("[feedback]\nexpires = \"0s\"", "feedback.expires: \"0s\" is out of range"),
        ("[feedback]\nexpiry = \"1h\"", "feedback.expiry: "),
        (
            "[post_promotion]\nmonitor = \"1h\"\n[[metrics]]\nname = \"log_loss\"\nrole = \"advisory\"",
            "nothing to judge by",
        ),
        ("[post_promotion]\naction = \"undo\"", "undo"),
        ("[post_promotion]\naction = \"revert\"", "needs time"),
        (
            "recent_requests = { capacity = 100001 }",
            "recent_requests.capacity: 100001 is out of range",
        ),
        ("shadow = { redacted = [] }", "redacted"),
        ("rollback_score = 99.0", "rollback_score: 99 is out of range"),
        ("segment_harm = \"promote\"", "`hold` or `roll_back`"),
        ("[segments]\nregion = []", "segments.region: 0 values; use 1 to 16"),
        ("[segments]\nregion = \"north\"", "a list of values"),
        ("[breaker]\nprobe_every = \"1ms\"", "breaker.probe_every: \"1ms\" is out of range"),
        ("sticky_header = \"x user\"", "x user"),
        ("[breaker]\nfailure = 3", "did you mean `failures`?"),
        ("[[metrics]]\nname = \"latency\"\nmarign = 1", "metrics[0].marign: "),
        ("[[metrics]]\nname = \"revenue\"", "metrics.revenue: harm is missing"),
        ("[[metrics]]\nname = \"auc\"", "judged by log_loss and brier"),
        (
            "[[metrics]]\nname = \"a\"\nharm = \"lower\"\nsource = \"prometheus\"",
            "metrics.a.query: missing; set what Prometheus is asked",
        ),
        (
            "[[metrics]]\nname = \"a\"\nharm = \"lower\"\nsource = \"prometheus\"\nquery = \"up\"",
            "metrics.a.query: \"up\" does not say which track it asks for",
        ),
        (
            "[[metrics]]\nname = \"latency\"\nquery = \"up\"",
            "metrics.latency.query: only metrics with",
        ),
        (
            "[[metrics]]\nname = \"a\"\ninterval = \"1ms\"",
            "metrics[0].interval: \"1ms\" is out of range; use 1s to 1h",
        ),
        ("[prometheus]\nulr = \"http://a\"", "prometheus.ulr: "),
        ("served_elsewhere = true", "metrics: none is a guardrail"),
        ("[[metrics]]\nname = \"latency\"\nrole = \"boss\"", "guardrail"),
    ] {
        let error = format!("{:#}", file(text).unwrap_err());
        assert!(error.contains(named) && error.contains("serin.toml"), "{text}: {error}");
    }
    let error = layers(&["--bake", "soon"], "").settings().unwrap_err().to_string();
    assert!(error.starts_with("--bake: \"soon\" is not a duration"), "{error}");
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let text = "wrokers = 2\nalpha = 7.0\n[plan]\nmim_samples = 5\nlook = \"1ms\"\n\
                [[metrics]]\nname = \"latency\"\nmarign = 1\n[[notify]]\nformat = \"slack\"\n";
    let found = layers(&[], text).mistakes();
    for (place, field) in [
        ("line 1, column 1", "wrokers: "),
        ("line 2, column 1", "alpha: 7 is out of range"),
        ("line 4, column 1", "plan.mim_samples: "),
        ("line 5, column 1", "plan.look: "),
        ("line 8, column 1", "metrics[0].marign: "),
        ("line ", "notify[0]: missing field `url`"),
    ] {
        let hit = |one: &String| one.contains(place) && one.contains(field);
        assert!(found.iter().any(hit), "{place}: {field}\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), 6, "{}", found.join("\n"));
    let broken = layers(&[], "workers = 2\nalpha = = 3").mistakes();
    assert!(broken.len() == 1 && broken[0].contains("line 2"), "{broken:?}");
    let contradiction = layers(&[], "promote_score = 50.0\nrollback_score = 60.0").mistakes();
    assert_eq!(contradiction.len(), 1, "{contradiction:?}");
    let secret = "[[notify]]\nurl = \"https://a/\"\nsecret_env = \"NOT_SET_ANYWHERE\"";
    assert_eq!(layers(&[], secret).mistakes(), Vec::<String>::new());
}

#[test]
fn segments_are_declared_in_the_file() {
    let text = "segment_harm = \"roll_back\"\n[segments]\nregion = [\"north\", \"south\"]\n\
                device = { max = 8 }";
    let segments = file(text).unwrap().policy().unwrap().judge.segments;
    assert_eq!((segments.count(), segments.harm), (12, SegmentHarm::RollBack));
}

#[test]
fn settings_are_written_as_they_are_read() {
    let text = "seed = 7\nmode = \"automatic\"\nabsolute_margin_ms = 0.3\nbake = \"90s\"\n\
                [plan]\ntemplate = \"careful\"\nlook = \"1500ms\"\n\
                triggers = { p99_ceiling = \"20ms\" }\n[recent_requests]\ncapacity = 9\n\
                [[metrics]]\nname = \"revenue\"\nharm = \"lower\"\nrole = \"guardrail\"";
    let settings = file(text).unwrap();
    let written = serde_json::to_value(&settings).unwrap();
    let again: Settings = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(again.policy().unwrap(), settings.policy().unwrap());
    assert_eq!(serde_json::to_value(&again).unwrap(), written);
}

#[test]
fn no_secret_is_printed() {
    let settings = file("admin_token = \"hidden-and-never-shown\"").unwrap();
    let printed = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
    assert!(!printed.contains("hidden"), "{printed}");
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    assert!(Layers::new(Flags::default(), Some(Path::new("no/such/serin.toml"))).is_err());
}

#[test]
fn a_query_needs_a_prometheus_that_can_be_asked() {
    let metric = "[[metrics]]\nname = \"a\"\nharm = \"lower\"\nsource = \"prometheus\"\nquery = \"up_$track\"\n";
    for (text, said) in [
        (metric.to_owned(), "metrics.a.query: no Prometheus is configured; set its url"),
        (format!("{metric}[prometheus]\nurl = \"here\""), "prometheus.url: "),
    ] {
        let found = layers(&[], &text).mistakes();
        assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
        assert!(found[0].contains("serin.toml, line "), "{found:?}");
    }
    let text =
        format!("{metric}[prometheus]\nurl = \"http://prometheus:9090\"\ntoken_env = \"NONE\"");
    let settings = file(&text).unwrap();
    let error = settings.service_with(|_| None).unwrap_err().to_string();
    assert!(
        error.starts_with("prometheus.token_env: http://prometheus:9090 is another"),
        "{error}"
    );
}
