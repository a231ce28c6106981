//! The health check at one look on equal canaries: how often it says harm, by the sizes of the samples.

use std::f64::consts::LN_2;
use std::f64::consts::TAU;

use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serin::canary::Judgement;
use serin::canary::Samples;
use serin::canary::judge::health_check::Inputs;
use serin::canary::judge::verdict::Reason;
use serin::canary::policy::Mode;
use serin::canary::policy::health::HealthPolicy;

use super::program::tell;

/// Latencies of the canary and of stable.
const SIZES: [(u32, u32); 8] =
    [(20, 180), (20, 20), (180, 20), (100, 900), (900, 100), (500, 500), (20, 1980), (1980, 20)];

/// One latency, in seconds.
type Draw = fn(&mut Xoshiro256PlusPlus) -> f64;

const LATENCIES: [(&str, Draw); 5] = [
    ("normal, cv 0.3", |random| (0.050 * (1.0 + 0.3 * normal(random))).max(0.0005)),
    ("lognormal, sd = mean", |random| 0.035 * (LN_2.sqrt() * normal(random)).exp()),
    ("lognormal, sigma 1.5", |random| 0.016 * (1.5 * normal(random)).exp()),
    ("Pareto, alpha 2.5", |random| 0.030 * (1.0 - random.random::<f64>()).powf(-0.4)),
    ("90 % at 2 ms, 10 % at 80 ms", |random| {
        let middle = if random.random::<f64>() < 0.9 { 0.002 } else { 0.080 };
        middle * (0.1 * normal(random)).exp()
    }),
];

fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    let (u, v) = (1.0 - random.random::<f64>(), random.random::<f64>());
    (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
}

/// Prints the shares of looks that call the canary slower, by Welch's test alone and by the rule, and those that find a
/// canary that takes twice as long. Whether the rule keeps alpha/2 in each.
pub fn tell_health(part: &str, looks: u32, first_seed: u32) -> bool {
    let policy = HealthPolicy::default();
    tell(&format!(
        "\n### Health check, one look: called slower, {looks} looks each\n\nEqual canaries by Welch's test alone -> by \
         the rule; and in brackets the rule's for a canary that takes twice as long.\n"
    ));
    let sizes = SIZES.map(|(canary, stable)| format!(" {canary} / {stable} |")).concat();
    tell(&format!("| canary / stable |{sizes}\n|---|{}", "---|".repeat(SIZES.len())));
    let level = policy.alpha / 2.0;
    let bound = level + 3.0 * (level * (1.0 - level) / f64::from(looks)).sqrt();
    let mut is_kept = true;
    for ((name, draw), seed) in LATENCIES.into_iter().zip(u64::from(first_seed)..) {
        if !name.contains(part) {
            continue;
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed << 32);
        let mut row = format!("| {name} |");
        for size in SIZES {
            let [mut by_welch, mut by_rule, mut twice] = [0_u32; 3];
            for _ in 0..looks {
                let (welch, rule) = is_slower(&policy, &observed(draw, size, 1.0, &mut random));
                by_welch += u32::from(welch);
                by_rule += u32::from(rule);
                twice += u32::from(is_slower(&policy, &observed(draw, size, 2.0, &mut random)).1);
            }
            let [by_welch, by_rule, twice] =
                [by_welch, by_rule, twice].map(|count| f64::from(count) / f64::from(looks));
            is_kept &= by_rule <= bound;
            row.push_str(&format!(
                " {:.1} -> **{:.1} %** ({:.0}) |",
                100.0 * by_welch,
                100.0 * by_rule,
                100.0 * twice
            ));
        }
        tell(&row);
    }
    is_kept
}

/// Samples of both tracks; the canary takes `factor` times as long.
fn observed(
    draw: Draw,
    (canary, stable): (u32, u32),
    factor: f64,
    random: &mut Xoshiro256PlusPlus,
) -> Samples {
    let mut samples = Samples::default();
    (0..canary).for_each(|_| samples.canary.record(factor * draw(random), &[]));
    (0..stable).for_each(|_| samples.stable.record(draw(random), &[]));
    samples
}

/// Whether Welch's test alone calls the canary slower, and whether the health check does.
fn is_slower(policy: &HealthPolicy, samples: &Samples) -> (bool, bool) {
    let look = |inputs| {
        let judgement = Judgement::new(1, 1, "digest", *policy, inputs, Mode::Manual, None);
        judgement.reasons.contains(&Reason::IsSlower)
    };
    (look(Inputs::from(samples)), look(Inputs::new(policy, Mode::Manual, samples)))
}
