//! Metrics of queries: one average of each track at a time.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::verdict::Verdict;
use crate::canary::observed::increment::Increment;
use crate::canary::observed::increment::Observation;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::health::HealthPolicy;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::MetricName;
use crate::canary::traffic::weight::Weight;

fn policy(more: &str) -> JudgePolicy {
    let text = format!(
        "served_elsewhere = true\n[[metrics]]\nname = \"cost\"\nsource = \"prometheus\"\nrole = \"guardrail\"\n\
         query = \"cost{{track='$track'}}\"\nharm = \"higher\"\n{more}"
    );
    let given = toml::from_str(&text).unwrap();
    JudgePolicy::new(&HealthPolicy::default(), &given).unwrap().of_threads(false)
}

fn bell(random: &mut StdRng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Two averages around a level: what both share varies by `common`, what is a track's own by `own` of the level, and
/// `lasts` of it stays from one observation to the next.
#[derive(Clone, Copy)]
struct Tracks {
    common: f64,
    own: f64,
    lasts: f64,
    worse: f64,
}

/// The observation with the first verdict, and the verdict.
fn first_verdict(seed: u64, policy: &JudgePolicy, tracks: Tracks, most: u32) -> (u32, Verdict) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut monitors = Monitors::new(policy, &TrackSamples::default());
    let (mut own, mut common) = ([0.0_f64; 2], 0.0_f64);
    for number in 1..=most {
        let fresh = (1.0 - tracks.lasts * tracks.lasts).sqrt();
        common = 0.9 * common + 0.436 * tracks.common * bell(&mut random);
        own.iter_mut().for_each(|it| {
            *it = tracks.lasts * *it + fresh * tracks.own * bell(&mut random);
        });
        let value = |own: f64, worse: f64| 100.0 * (1.0 + common + own) * (1.0 + worse);
        let (stable, canary) = (value(own[0], 0.0), value(own[1], tracks.worse));
        let metric = MetricName::new("cost").unwrap();
        let queried = vec![Observation { metric, stable, canary }];
        let weight = Weight::from_percent(50.0).unwrap();
        monitors.tick(&Increment { weight, queried, millis: 15_000, ..Increment::default() });
        let verdict = SequentialEvidence::new(policy, &monitors).conclusion.verdict;
        if verdict != Verdict::Hold {
            return (number, verdict);
        }
    }
    (most, Verdict::Hold)
}

fn run(policy: &JudgePolicy, tracks: Tracks, runs: u64, most: u32) -> [Vec<u32>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    for seed in 0..runs {
        match first_verdict(seed, policy, tracks, most) {
            (number, Verdict::Promote) => found[0].push(number),
            (number, Verdict::Rollback) => found[1].push(number),
            (_, Verdict::Hold) => {}
        }
    }
    found.iter_mut().for_each(|one| one.sort_unstable());
    found
}

fn middle(ascending: &[u32]) -> u32 {
    ascending.get(ascending.len() / 2).copied().unwrap_or(0)
}

#[test]
fn equal_averages_pass_and_worse_ones_fail_whatever_load_they_share() {
    let policy = policy("");
    for common in [0.0, 0.2] {
        let tracks = Tracks { common, own: 0.1, lasts: 0.0, worse: 0.0 };
        let [promoted, rolled_back] = run(&policy, tracks, 200, 240);
        assert!(promoted.len() >= 190 && rolled_back.len() <= 4, "{common}: {rolled_back:?}");
        assert!(middle(&promoted) < 60, "{common}: {}", middle(&promoted));
        let [promoted, rolled_back] = run(&policy, Tracks { worse: 0.2, ..tracks }, 100, 240);
        assert_eq!((promoted.len(), rolled_back.len()), (0, 100), "{common}");
        assert!(middle(&rolled_back) < 40, "{common}: {}", middle(&rolled_back));
    }
}

#[test]
fn noise_of_a_track_that_lasts_is_seldom_taken_for_harm() {
    let policy = policy("");
    for lasts in [0.5, 0.8, 0.95] {
        let tracks = Tracks { common: 0.2, own: 0.1, lasts, worse: 0.0 };
        let [_, rolled_back] = run(&policy, tracks, 200, 240);
        assert!(rolled_back.len() <= 10, "{lasts}: {rolled_back:?}");
    }
}

/// The table of docs/measurements.md: `cargo test --lib averages_tests::table -- --ignored --nocapture`.
#[test]
#[ignore = "simulates 11,200 rollouts for the table in docs/measurements.md"]
fn table() {
    let policy = policy("");
    for (common, own, lasts) in [
        (0.0, 0.02, 0.0),
        (0.0, 0.1, 0.0),
        (0.0, 0.3, 0.0),
        (0.2, 0.1, 0.0),
        (0.0, 0.1, 0.5),
        (0.0, 0.1, 0.8),
        (0.0, 0.1, 0.95),
    ] {
        for worse in [0.0, 0.1, 0.2, 0.5] {
            let runs = if worse == 0.0 { 1000 } else { 200 };
            let [promoted, rolled_back] =
                run(&policy, Tracks { common, own, lasts, worse }, runs, 240);
            eprintln!(
                "common {common}, own {own}, lasts {lasts}, worse {worse}: of {runs} {} promoted (median {}), \
                 {} rolled back (median {})",
                promoted.len(),
                middle(&promoted),
                rolled_back.len(),
                middle(&rolled_back)
            );
        }
    }
}
