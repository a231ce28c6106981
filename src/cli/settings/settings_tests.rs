//! Are settings read as they are written, and refused by name?

use super::*;

fn file(text: &str) -> anyhow::Result<Settings> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serin.toml");
    std::fs::write(&path, text).unwrap();
    Settings::new(&Given::default(), Some(&path))
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serin.toml");
    std::fs::write(&path, "workers = 3\nbake = \"10m\"\n").unwrap();
    let flags = Given { workers: Some(2), ..Given::default() };
    let settings = Settings::new(&flags, Some(&path)).unwrap();
    assert_eq!(settings.service.workers, 2);
    assert_eq!(settings.service.policy.bake, Duration::from_secs(600));
    assert_eq!(settings.listen, "127.0.0.1:8000");
}

#[test]
fn what_is_wrong_is_named() {
    for (text, named) in [
        ("wrokers = 3", "unknown field `wrokers` (did you mean `workers`?)"),
        ("mode = \"manuel\"", "did you mean `manual`?"),
        ("[plan]\ntemplate = \"carefull\"", "did you mean `careful`?"),
        ("listen = \"127.0.0.1:99999\"", "no address; give --listen HOST:PORT"),
        ("listen = \"here\"", "listen = \"here\""),
        ("workers = 0", "workers = 0"),
        ("workers = \"two\"", "workers"),
        ("bake = \"soon\"", "bake = \"soon\""),
        ("canary_deadline = \"-1s\"", "canary_deadline"),
        ("stable_deadline = \"0s\"", "stable_deadline = \"0s\""),
        ("alpha = 1.5", "alpha = 1.5"),
        ("min_samples = 1", "min_samples = 1"),
        ("relative_margin = -1.0", "relative_margin = -1"),
        ("traffic_percent = 101.0", "101"),
        ("store = \"redis://here\"", "redis://here"),
        ("admin_token = \"\"", "admin_token"),
        ("body_limit = 1", "body_limit = 1"),
        ("[feedback]\nexpires = \"0s\"", "expires = \"0s\""),
        ("[feedback]\nexpiry = \"1h\"", "expiry"),
        ("[post_promotion]\nwatch = \"1h\"", "nothing to judge by"),
        ("[post_promotion]\naction = \"undo\"", "undo"),
        ("[post_promotion]\naction = \"revert\"", "needs a watch"),
        ("ring = { capacity = 100001 }", "ring.capacity = 100001"),
        ("shadow = { redacted = [] }", "redacted"),
        ("rollback_score = 99.0", "rollback_score = 99"),
        ("segment_harm = \"promote\"", "give hold or roll_back"),
        ("[segments]\nregion = []", "segments.region has 0 values"),
        ("[segments]\nregion = \"north\"", "a list of values"),
        ("[breaker]\nprobe_every = \"1ms\"", "breaker.probe_every = \"1ms\""),
        ("[breaker]\nprobe_every = \"soon\"", "breaker.probe_every = \"soon\""),
        ("sticky_header = \"x user\"", "sticky_header: \"x user\""),
        ("[breaker]\nfailure = 3", "failure"),
        ("[[metrics]]\nname = \"latency\"\nmarign = 1", "marign"),
        ("[[metrics]]\nname = \"revenue\"", "metric revenue has no harm"),
        ("[[metrics]]\nname = \"auc\"", "judged as log_loss and brier"),
        ("[[metrics]]\nname = \"latency\"\nrole = \"boss\"", "guardrail"),
    ] {
        let error = format!("{:#}", file(text).unwrap_err());
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn segments_are_declared_in_the_file() {
    let text = "segment_harm = \"roll_back\"\n[segments]\nregion = [\"north\", \"south\"]\n\
                device = { most = 8 }";
    let segments = file(text).unwrap().service.policy.judge.segments;
    assert_eq!((segments.count(), segments.harm), (12, SegmentHarm::RollBack));
}

#[test]
fn what_is_shown_is_a_file_that_comes_to_the_same() {
    for text in [
        "",
        "seed = 7\nmode = \"automatic\"\nabsolute_margin_ms = 0.3\nbake = \"90s\"\n\
         [plan]\ntemplate = \"careful\"\nlook = \"1500ms\"\ntriggers = { p99_ceiling = \"20ms\" }\n\
         [[metrics]]\nname = \"revenue\"\nharm = \"lower\"\nrole = \"guardrail\"",
        "segment_harm = \"roll_back\"\nsticky_header = \"x-user\"\nallow_injection = true\n\
         [segments]\nregion = [\"north\", 7]\ndevice = { most = 3 }\n\
         [shadow]\nredact = [\"x\"]\n[ring]\ncapacity = 9\n[breaker]\nprobe_every = \"250ms\"\n[feedback]\nexpires = \"2h\"\n\
         [post_promotion]\nwatch = \"1h\"\naction = \"revert\"\n\
         [[metrics]]\nname = \"log_loss\"\nrole = \"guardrail\"",
    ] {
        let settings = file(text).unwrap();
        let shown = toml::to_string(&settings.shown().0).unwrap();
        let again = file(&shown).unwrap();
        assert_eq!(again.service.policy, settings.service.policy, "{shown}");
        assert_eq!(again.service.kept, settings.service.kept, "{shown}");
        assert_eq!(toml::to_string(&again.shown().0).unwrap(), shown);
    }
}

#[test]
fn no_secret_is_shown() {
    let text = "admin_token = \"hidden\"\n[[notify]]\nurl = \"https://a.example/hidden\"";
    let (shown, redacted) = file(text).unwrap().shown();
    let shown = toml::to_string(&shown).unwrap();
    assert!(!shown.contains("hidden") && shown.contains("https://a.example/..."), "{shown}");
    assert_eq!(redacted, ["admin_token", "notify[0].url"]);
    // Two on one host stay two, so that what is shown can be read.
    let text =
        "[[notify]]\nurl = \"https://a.example/x\"\n[[notify]]\nurl = \"https://a.example/y\"";
    let shown = toml::to_string(&file(text).unwrap().shown().0).unwrap();
    assert_eq!(file(&shown).unwrap().service.notify.len(), 2, "{shown}");
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let missing = Path::new("no/such/serin.toml");
    assert!(Settings::new(&Given::default(), Some(missing)).is_err());
}
