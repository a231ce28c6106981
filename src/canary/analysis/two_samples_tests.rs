//! Every decision, every degenerate pair, and scipy's numbers.

use super::*;
use crate::canary::analysis::options::AnalysisOverrides;
use crate::canary::analysis::statistics::DriftLevel;

/// SplitMix64, so that the tests need no generator.
fn random() -> impl FnMut() -> u64 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn options(given: AnalysisOverrides) -> AnalysisOptions {
    AnalysisOptions::checked(given).unwrap()
}

fn analyzed(baseline: &[f64], canary: &[f64], given: AnalysisOverrides) -> Analysis {
    let (baseline, canary) = (Sample::of(baseline).unwrap(), Sample::of(canary).unwrap());
    analyze(&baseline, &canary, options(given), random())
}

/// Values that spread from 0 to 1, moved by `shift`.
fn spread(count: u32, shift: f64) -> Vec<f64> {
    (0..count).map(|i| (f64::from(i) * 0.618_033_988_75).fract() + shift).collect()
}

const LOWER: AnalysisOverrides = AnalysisOverrides {
    p_threshold: None,
    effect_threshold: None,
    min_samples: None,
    higher_is_better: Some(false),
    margin: None,
};

#[test]
fn the_direction_says_whether_larger_values_are_promoted() {
    let (low, high) = (spread(50, 0.0), spread(50, 0.3));
    let higher = AnalysisOverrides::default();
    for (baseline, canary, given, expected) in [
        (&low, &high, higher, Decision::Promote),
        (&high, &low, higher, Decision::Rollback),
        (&low, &high, LOWER, Decision::Rollback),
        (&high, &low, LOWER, Decision::Promote),
    ] {
        let analysis = analyzed(baseline, canary, given);
        assert_eq!(analysis.decision, expected, "{}", analysis.reason);
        let direction = if given == LOWER { "lower is better" } else { "higher is better" };
        assert!(analysis.reason.contains(direction), "{}", analysis.reason);
        assert_eq!(analysis.sample_counts, SampleCounts { baseline: 50, canary: 50 });
    }
}

#[test]
fn the_numbers_are_those_of_scipy() {
    let baseline: Vec<f64> = (0..40).map(|i| f64::from(82 + i % 7) / 100.0).collect();
    let canary: Vec<f64> = (0..30).map(|i| f64::from(85 + i % 8) / 100.0).collect();
    let stats = analyzed(&baseline, &canary, AnalysisOverrides::default()).stats;
    let close = |found: Option<f64>, expected: f64| {
        let found = found.unwrap();
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} is not {expected}");
    };
    // scipy.stats.mannwhitneyu(c, b), ks_2samp(c, b), ttest_ind(c, b, equal_var=False)
    close(stats.mann_whitney_pvalue, 2.566_940_409_573_835e-7);
    close(stats.ks_pvalue, 0.000_396_638_193_846_748_65);
    close(stats.welch_pvalue, 1.387_036_763_362_760_8e-8);
    close(stats.cohens_d, 1.623_404_541_728_237_2);
    close(stats.baseline_mean, 0.84875);
    close(stats.canary_mean, 0.883);
    // scipy.stats.bootstrap(method="percentile", n_resamples=300_000); ours has 10,000.
    let [low, high] = stats.bootstrap_ci_95.unwrap();
    assert!((low - 0.02425).abs() < 0.0005 && (high - 0.04425).abs() < 0.0005, "{low} to {high}");
}

#[test]
fn a_significant_difference_that_is_too_small_waits() {
    let given = AnalysisOverrides { effect_threshold: Some(2.0), ..AnalysisOverrides::default() };
    let analysis = analyzed(&spread(200, 0.0), &spread(200, 0.2), given);
    assert_eq!(analysis.decision, Decision::Wait);
    assert!(analysis.reason.contains("too small to matter"), "{}", analysis.reason);
    assert!(analysis.reason.contains("effect_threshold 2"), "{}", analysis.reason);
}

#[test]
fn no_significant_difference_waits() {
    let analysis = analyzed(&spread(40, 0.0), &spread(40, 0.01), AnalysisOverrides::default());
    assert_eq!(analysis.decision, Decision::Wait);
    assert!(analysis.reason.contains("no significant difference"), "{}", analysis.reason);
}

#[test]
fn too_few_values_wait_without_a_test() {
    for (baseline, canary) in [(0, 0), (0, 100), (100, 0), (29, 30), (30, 29), (1, 1)] {
        let analysis =
            analyzed(&spread(baseline, 0.0), &spread(canary, 5.0), AnalysisOverrides::default());
        assert_eq!(analysis.decision, Decision::Wait);
        assert!(analysis.reason.starts_with("not enough samples"), "{}", analysis.reason);
        let AnalysisStats { baseline_mean, canary_mean, .. } = analysis.stats;
        assert_eq!(baseline_mean.is_some(), baseline > 0);
        let nothing_but_means =
            AnalysisStats { baseline_mean, canary_mean, ..AnalysisStats::default() };
        assert_eq!(analysis.stats, nothing_but_means);
    }
    let given = AnalysisOverrides { min_samples: Some(2), ..AnalysisOverrides::default() };
    assert!(analyzed(&[1.0, 2.0], &[3.0, 4.0], given).stats.ks_pvalue.is_some());
}

#[test]
fn constant_tracks_are_decided_by_their_values() {
    let ones = [0.1; 40];
    let equal = analyzed(&ones, &ones, AnalysisOverrides::default());
    assert_eq!(equal.decision, Decision::Wait);
    assert!(equal.reason.contains("all values are equal"), "{}", equal.reason);
    assert_eq!(equal.stats.mann_whitney_pvalue, Some(1.0));
    assert_eq!(equal.stats.bootstrap_ci_95, Some([0.0, 0.0]));
    assert_eq!(equal.stats.cohens_d, None);

    let better = analyzed(&ones, &[0.2; 40], AnalysisOverrides::default());
    assert_eq!(better.decision, Decision::Promote, "{}", better.reason);
    assert_eq!(better.stats.cohens_d, None);
    assert_eq!(analyzed(&ones, &[0.2; 40], LOWER).decision, Decision::Rollback);

    let one_varies = analyzed(&ones, &spread(40, 1.0), AnalysisOverrides::default());
    assert_eq!(one_varies.decision, Decision::Promote, "{}", one_varies.reason);
    assert!(one_varies.stats.cohens_d.is_some());
}

#[test]
fn a_difference_of_spread_alone_never_decides() {
    let narrow: Vec<f64> = (0..200).map(|i| f64::from(i - 100) + 0.5).collect();
    let wide: Vec<f64> = narrow.iter().map(|value| value * 8.0).collect();
    for effect_threshold in [0.0, 0.2] {
        let given = AnalysisOverrides {
            effect_threshold: Some(effect_threshold),
            ..AnalysisOverrides::default()
        };
        let analysis = analyzed(&narrow, &wide, given);
        assert!(analysis.stats.ks_pvalue.unwrap() < 1e-6);
        assert_eq!(analysis.decision, Decision::Wait, "{}", analysis.reason);
    }
}

#[test]
fn extreme_values_give_numbers_or_none() {
    let huge: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 1e144 } else { -1e144 }).collect();
    let tiny: Vec<f64> = (0..40).map(|i| f64::from(i) * 1e-145).collect();
    for (baseline, canary) in [(&huge, &tiny), (&tiny, &huge), (&huge, &huge), (&tiny, &tiny)] {
        let stats = analyzed(baseline, canary, AnalysisOverrides::default()).stats;
        let ends = stats.bootstrap_ci_95.into_iter().flatten();
        let numbers = [stats.cohens_d, stats.welch_pvalue, stats.ks_pvalue, stats.baseline_mean];
        assert!(numbers.into_iter().flatten().chain(ends).all(f64::is_finite), "{stats:?}");
    }
}

#[test]
fn the_same_values_give_the_same_answer_in_any_order() {
    let (baseline, canary) = (spread(2000, 0.0), spread(1500, 0.05));
    let first = analyzed(&baseline, &canary, AnalysisOverrides::default());
    let reversed: Vec<f64> = baseline.into_iter().rev().collect();
    assert_eq!(analyzed(&reversed, &canary, AnalysisOverrides::default()), first);
}

#[test]
fn a_drawn_sample_counts_what_was_measured() {
    let baseline = Sample::drawn(&spread(100, 0.0), 5000).unwrap();
    let canary = Sample::of(&spread(100, 0.0)).unwrap();
    let analysis = analyze(&baseline, &canary, AnalysisOptions::default(), random());
    assert_eq!(analysis.sample_counts, SampleCounts { baseline: 5000, canary: 100 });
    assert_eq!(analysis.judged_counts, SampleCounts { baseline: 100, canary: 100 });
}

fn with_margin(margin: Margin, higher_is_better: bool) -> AnalysisOverrides {
    AnalysisOverrides {
        margin: Some(margin),
        higher_is_better: Some(higher_is_better),
        ..AnalysisOverrides::default()
    }
}

/// `ones` ones among `of` values.
fn rate(ones: u32, of: u32) -> Vec<f64> {
    (0..of).map(|i| f64::from(u8::from(i < ones))).collect()
}

#[test]
fn with_a_margin_the_non_inferiority_test_decides() {
    // scipy: ttest_ind([12, 15, 11, 14, 13], numpy.add([10, 11, 9, 12, 10, 11], 5),
    //                  equal_var=False, alternative="less")
    let (baseline, canary) = ([10.0, 11.0, 9.0, 12.0, 10.0, 11.0], [12.0, 15.0, 11.0, 14.0, 13.0]);
    let given =
        AnalysisOverrides { min_samples: Some(5), ..with_margin(Margin::absolute(5.0), false) };
    let analysis = analyzed(&baseline, &canary, given);
    let test = analysis.stats.margin.unwrap();
    assert!((test.non_inferiority_pvalue - 0.010075457825288667).abs() < 1e-12);
    assert!((test.harm - 2.5).abs() < 1e-12 && test.interval[1] < 5.0, "{test:?}");
    assert_eq!((analysis.verdict, analysis.decision), (MetricVerdict::Pass, Decision::Promote));
    for (margin, higher_is_better, verdict) in [
        (Margin::absolute(0.5), false, MetricVerdict::Fail),
        (Margin::absolute(2.0), false, MetricVerdict::Inconclusive),
        (Margin::relative(0.01), false, MetricVerdict::Fail),
        (Margin::relative(0.6), false, MetricVerdict::Pass),
        (Margin::absolute(0.0), true, MetricVerdict::Pass),
    ] {
        let given =
            AnalysisOverrides { min_samples: Some(5), ..with_margin(margin, higher_is_better) };
        let analysis = analyzed(&baseline, &canary, given);
        assert_eq!(analysis.verdict, verdict, "{}", analysis.reason);
        let test = analysis.stats.margin.unwrap();
        let [low, high] = test.interval;
        assert_eq!(verdict == MetricVerdict::Fail, low > test.margin, "{}", analysis.reason);
        assert_eq!(verdict == MetricVerdict::Pass, high < test.margin, "{}", analysis.reason);
    }
}

#[test]
fn a_share_of_a_negative_mean_is_not_a_margin() {
    let analysis =
        analyzed(&spread(40, -5.0), &spread(40, -5.0), with_margin(Margin::relative(0.1), true));
    assert_eq!(analysis.verdict, MetricVerdict::Inconclusive);
    assert!(analysis.reason.contains("use a margin in the unit"), "{}", analysis.reason);
}

#[test]
fn zeros_and_ones_are_rates() {
    let (baseline, canary) = (rate(10, 450), rate(10, 50));
    let worse = analyzed(&baseline, &canary, LOWER);
    let rates = worse.stats.rates.unwrap();
    // scipy.stats.fisher_exact([[10, 40], [10, 440]]).pvalue
    assert!((rates.fisher_pvalue / 3.555901173321133e-06 - 1.0).abs() < 1e-9, "{rates:?}");
    assert!((rates.difference - (0.2 - 10.0 / 450.0)).abs() < 1e-15);
    assert!(rates.ci_95[0] > 0.0 && rates.ci_95[1] < 0.35, "{rates:?}");
    assert_eq!(worse.verdict, MetricVerdict::Fail, "{}", worse.reason);
    assert!(worse.reason.contains("Fisher p ="), "{}", worse.reason);
    assert_eq!((worse.stats.quantiles, worse.stats.drift), (None, None));
    assert_eq!(
        analyzed(&baseline, &canary, AnalysisOverrides::default()).decision,
        Decision::Promote
    );

    let margin = |margin, higher| analyzed(&baseline, &canary, with_margin(margin, higher)).verdict;
    assert_eq!(margin(Margin::absolute(0.05), false), MetricVerdict::Fail);
    assert_eq!(margin(Margin::absolute(0.4), false), MetricVerdict::Pass);
    assert_eq!(margin(Margin::absolute(0.2), false), MetricVerdict::Inconclusive);
    assert_eq!(margin(Margin::absolute(0.0), true), MetricVerdict::Pass);
    let none = analyzed(&rate(0, 400), &rate(0, 400), with_margin(Margin::absolute(0.02), false));
    assert_eq!(none.verdict, MetricVerdict::Pass, "{}", none.reason);
}

#[test]
fn quantiles_have_intervals_where_there_are_enough_values() {
    let (baseline, canary) = (spread(400, 0.0), spread(100, 0.5));
    let quantiles =
        analyzed(&baseline, &canary, AnalysisOverrides::default()).stats.quantiles.unwrap();
    for quantile in [quantiles.p50, quantiles.p95] {
        let [low, high] = quantile.ci_95.unwrap();
        assert!(low < 0.5 && 0.5 < high && low > 0.2 && high < 0.8, "{quantile:?}");
        assert!((quantile.difference - 0.5).abs() < 0.02, "{quantile:?}");
    }
    assert_eq!(quantiles.p99.ci_95, None, "100 values have no upper end for p99");
}

#[test]
fn drift_says_what_its_value_means() {
    let level = |n: u32, shift: f64| {
        let stats =
            analyzed(&spread(n, 0.0), &spread(n, shift), AnalysisOverrides::default()).stats;
        let drift = stats.drift.unwrap();
        assert!((drift.wasserstein - shift).abs() < 0.02, "{drift:?}");
        drift.level
    };
    assert_eq!(level(40, 0.05), DriftLevel::Chance);
    assert_eq!(level(5000, 0.0), DriftLevel::Chance);
    assert_eq!(level(5000, 0.02), DriftLevel::Small);
    assert_eq!(level(5000, 0.08), DriftLevel::Moderate);
    assert_eq!(level(5000, 0.3), DriftLevel::Large);
}
