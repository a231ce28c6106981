//! Shards, restored recorders and visits of keys.

use super::*;

#[test]
fn nothing_that_many_threads_record_is_lost() {
    let recorder = Recorder::new(3);
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let recorder = &recorder;
            scope.spawn(move || {
                for n in 0..1000_u32 {
                    let group = Group::of(1 + n as usize % 2, None, None);
                    let latency = f64::from(n) * 1e-6;
                    recorder.record((Track::Stable, group), KeyUse::First, latency, &[0.5]);
                    if n % 10 == thread % 10 {
                        recorder.record_failure(Track::Canary, KeyUse::Repeated, Failure::Error);
                    }
                    recorder.next_request();
                }
            });
        }
    });
    let Taken { observed, groups } = recorder.take();
    let counts = groups.iter().map(|it| it.stable.iter().map(|one| one.1).sum::<u64>());
    assert_eq!(counts.collect::<Vec<_>>(), [4000], "the others are of the default group");
    assert!(recorder.take().groups.is_empty());
    assert_eq!((observed.first.canary.requests, observed.requests()), (0, 8800));
    let samples = observed.all();
    assert_eq!(samples.stable.requests, 8000);
    assert_eq!(samples.stable.latency.count(), 8000);
    assert_eq!(samples.canary.failures.error, 800);
    assert_eq!(recorder.routed(), 8000);
}

#[test]
fn a_restored_recorder_goes_on() {
    let first = Recorder::new(2);
    first.record((Track::Canary, Group::default()), KeyUse::First, 0.001, &[0.2]);
    first.record((Track::Canary, Group::default()), KeyUse::Repeated, 0.002, &[0.3]);
    first.next_request();
    let second = Recorder::restored(4, first.observed(), first.routed()).unwrap();
    second.record((Track::Canary, Group::default()), KeyUse::First, 0.003, &[0.4]);
    assert_eq!(second.observed().first.canary.requests, 2);
    assert_eq!(second.observed().all().canary.requests, 3);
    assert_eq!(second.next_request(), 1);
}

#[test]
fn visits_of_keys_wait_until_they_are_taken() {
    let recorder = Recorder::new(3);
    recorder.record_visit(Track::Canary, None, KeyCell::record_failure);
    assert!(recorder.waiting_visits() == [0, 0] && recorder.take_visits().is_empty());
    std::thread::scope(|scope| {
        for cell in 0..6 {
            let recorder = &recorder;
            scope.spawn(move || {
                let track = if cell == 5 { Track::Canary } else { Track::Stable };
                recorder.record_visit(track, Some(cell), |it| it.record(0.001, Some(0.5)));
                recorder.record_visit(track, Some(cell), KeyCell::record_failure);
            });
        }
    });
    assert_eq!(recorder.waiting_visits(), [10, 2]);
    let taken = recorder.take_visits();
    assert_eq!((taken.stable.len(), taken.canary.len()), (5, 1));
    assert_eq!((taken.canary[0].cell, taken.canary[0].visits), (5, 2));
    assert!(recorder.waiting_visits() == [0, 0] && recorder.take_visits().is_empty());
}
