//! Durations and lists as the report writes them.

use super::words::duration;
use super::words::list;

#[test]
fn durations_and_lists_read_as_people_say_them() {
    let said = [0.2, 89.0, 360.0, 7800.0, 7200.0, 200_000.0].map(duration);
    assert_eq!(said, ["1 s", "89 s", "6 min", "2 h 10 min", "2 h", "2 days"]);
    let items = ["a", "b", "c"].map(str::to_owned);
    let said = [list(&items[..0]), list(&items[..1]), list(&items[..2]), list(&items)];
    assert_eq!(said, ["", "a", "a and b", "a, b and c"]);
}
