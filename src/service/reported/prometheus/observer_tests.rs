//! Moments at which Prometheus is asked.

use super::*;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_781_000 + second).unwrap()
}

#[test]
fn moments_are_whole_intervals_after_the_begin() {
    let interval = Duration::from_secs(15);
    for (now, passed) in [(-100, 0), (0, 0), (14, 0), (15, 1), (29, 1), (30, 2), (3600, 240)] {
        assert_eq!(moments(second(0), second(now), interval), passed, "{now}");
        assert!(now < 0 || moment(second(0), passed, interval) <= second(now), "{now}");
    }
    assert_eq!(moment(second(0), 2, interval), second(30));
    assert_eq!(moment(second(0), u64::MAX, Duration::MAX), Timestamp::MAX);
}
