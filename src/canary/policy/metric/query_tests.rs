//! Queries: intervals, names of tracks, and what is refused.

use super::*;

const RATE: &str = "sum(rate(errors_total{track=\"$track\"}[1m]))";

fn new(query: &str, interval: Option<u64>) -> Result<Query, String> {
    let interval = interval.map(Duration::from_secs);
    Query::new(query, interval, TrackNames::default()).map_err(|error| error.to_string())
}

fn named(stable: &str, canary: &str) -> TrackNames {
    TrackNames { stable: stable.to_owned(), canary: canary.to_owned() }
}

#[test]
fn a_query_is_asked_once_in_its_range() {
    for (query, seconds) in [
        (RATE, 60),
        ("errors{track=\"$track\"}", 15),
        ("rate(a{t=\"$track\"}[1m]) / rate(b{t=\"$track\"}[5m])", 300),
        ("rate(a{t=\"$track\"}[ 90 ])", 90),
        ("rate(a{t=\"$track\"}[1h])", 3600),
        ("rate(a{t=\"$track\"}[1m30s])", 90),
        ("rate(a{t=\"$track\"}[100ms])", 1),
        // The outer range reaches back to the begin of the inner one.
        ("max_over_time(rate(a{t=\"$track\"}[1m])[5m:])", 360),
        // Brackets in texts and comments are none.
        ("rate(a{t=\"$track\", path=~\"/[a-z]\\\"[5h]\"}[2m]) # [9h]", 120),
        ("rate(a{t=`$track[5h]\\`}[2m])", 120),
    ] {
        let found = new(query, None).unwrap();
        assert_eq!(found.interval, Duration::from_secs(seconds), "{query}");
    }
    assert_eq!(new(RATE, Some(120)).unwrap().interval, Duration::from_secs(120));
}

#[test]
fn each_track_has_its_own_query() {
    let query =
        Query::new(" up{v=\"$track\", job=\"api-$track\"} ", None, named("v1", "v2")).unwrap();
    assert_eq!(query.of(Track::Stable), "up{v=\"v1\", job=\"api-v1\"}");
    assert_eq!(query.of(Track::Canary), "up{v=\"v2\", job=\"api-v2\"}");
    assert_eq!(new(RATE, None).unwrap().of(Track::Canary), RATE.replace("$track", "canary"));
}

#[test]
fn what_cannot_be_asked_is_named_with_a_remedy() {
    let long = format!("up{{a=\"{}\", t=\"$track\"}}", "x".repeat(5000));
    for (query, interval, said) in [
        ("up", None, "query: \"up\" does not say which track it asks for; put $track where"),
        (long.as_str(), None, "query: 5020 bytes; use at most 4096, or a recording rule"),
        (RATE, Some(15), "interval: \"15s\" is shorter than the range of the query"),
        (RATE, Some(15), "use \"1m\" or more, or a shorter range"),
        (
            "rate(a{t=\"$track\"}[$__rate_interval])",
            None,
            "query: the range [$__rate_interval] is not a duration; use a fixed one such as [1m]",
        ),
        ("rate(a{t=\"$track\"}[5x])", None, "the range [5x] is not a duration"),
        ("rate(a{t=\"$track\"}[])", None, "the range [] is not a duration"),
        ("rate(a{t=\"$track\"}[1d])", None, "query: its range of 24h is longer than 1h"),
    ] {
        let error = new(query, interval).unwrap_err();
        assert!(error.contains(said), "{query}: {error}");
    }
    for (names, said) in [
        (named("", "v2"), "tracks.stable: \"\" is not a label value; use 1 to 128 characters"),
        (named("v1", "v\"2"), "tracks.canary: \"v\\\"2\" is not a label value"),
        (named("v1", "v\n2"), "without quotes and backslashes"),
        (named("v1", "v1"), "tracks.canary: \"v1\" is what stable is called as well"),
    ] {
        let error = Query::new(RATE, None, names).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn names_may_be_given_in_part_and_stable_may_be_called_baseline() {
    let read = |text: &str| serde_json::from_str::<TrackNames>(text).unwrap();
    assert_eq!(read("{\"baseline\": \"v1\", \"canary\": \"v2\"}"), named("v1", "v2"));
    assert_eq!(read("{\"canary\": \"v2\"}"), named("stable", "v2"));
    let query = new(RATE, None).unwrap();
    let text = serde_json::to_string(&query).unwrap();
    assert!(!text.contains("tracks"), "{text}");
    assert_eq!(serde_json::from_str::<Query>(&text).unwrap(), query);
}
