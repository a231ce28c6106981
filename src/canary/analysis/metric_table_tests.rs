//! Corrections, weights, critical metrics, and what a table may not contain.

use super::*;
use crate::stats::Margin;

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

fn spread(shift: f64) -> Sample {
    let values: Vec<f64> =
        (0..200).map(|i| (f64::from(i) * 0.618_033_988_75).fract() + shift).collect();
    Sample::of(&values).unwrap()
}

fn metric(name: &str, shift: f64, options: AnalysisOverrides) -> TableMetric {
    let (name, baseline, canary) = (MetricName::new(name).unwrap(), spread(0.0), spread(shift));
    TableMetric { name, baseline, canary, options, weight: None, is_critical: false }
}

/// A metric that may be worse by 0.1.
fn guarded(name: &str, shift: f64) -> TableMetric {
    let given = AnalysisOverrides {
        margin: Some(Margin::absolute(0.1)),
        higher_is_better: Some(false),
        ..AnalysisOverrides::default()
    };
    metric(name, shift, given)
}

fn analyzed(metrics: Vec<TableMetric>, options: TableOptions) -> TableAnalysis {
    analyze_table(metrics, options, random).unwrap()
}

fn decision(metrics: Vec<TableMetric>) -> (Decision, f64) {
    let table = analyzed(metrics, TableOptions::default());
    (table.decision, table.score)
}

#[test]
fn the_score_is_the_weight_that_passes() {
    let (pass, fail) = (|name| guarded(name, 0.0), |name| guarded(name, 0.3));
    assert_eq!(decision(vec![pass("a"), pass("b")]), (Decision::Promote, 100.0));
    // 25 of 100 fail: 75 can still be reached.
    assert_eq!(decision(vec![pass("a"), pass("b"), pass("c"), fail("d")]), (Decision::Wait, 75.0));
    assert_eq!(decision(vec![pass("a"), fail("b")]), (Decision::Rollback, 50.0));
    let heavy = TableMetric { weight: Some(39.0), ..pass("a") };
    assert_eq!(decision(vec![heavy.clone(), fail("b")]), (Decision::Promote, 97.5));
    assert_eq!(
        decision(vec![heavy, TableMetric { is_critical: true, ..fail("b") }]),
        (Decision::Rollback, 0.0)
    );
    // 0.09 worse is neither within the margin of 0.1 nor beyond it.
    assert_eq!(decision(vec![pass("a"), guarded("b", 0.09)]), (Decision::Wait, 50.0));
}

#[test]
fn one_metric_is_the_analysis_of_two_samples() {
    let none = AnalysisOverrides { margin: Some(Margin::absolute(0.1)), ..Default::default() };
    let table = analyzed(vec![metric("a", 0.2, none)], TableOptions::default());
    let options = AnalysisOptions::checked(none).unwrap();
    let alone = super::super::two_samples::analyze(&spread(0.0), &spread(0.2), options, random());
    assert_eq!(table.metrics[0].analysis.stats, alone.stats);
    assert_eq!(table.metrics[0].analysis.verdict, alone.verdict);
}

#[test]
fn a_correction_takes_the_other_metrics_into_account() {
    // Alone this shift has a Mann-Whitney p-value of about 0.02.
    let metrics = || -> Vec<TableMetric> {
        let none = AnalysisOverrides { effect_threshold: Some(0.0), ..Default::default() };
        let equal = (0..9).map(|i| metric(&format!("equal_{i}"), 0.0, none));
        [metric("a", 0.07, none)].into_iter().chain(equal).collect()
    };
    for (correction, verdict) in [
        (Correction::None, MetricVerdict::Pass),
        (Correction::Holm, MetricVerdict::Inconclusive),
        (Correction::BenjaminiHochberg, MetricVerdict::Inconclusive),
    ] {
        let given = TableOptions { correction: Some(correction), ..Default::default() };
        let table = analyzed(metrics(), given);
        let first = &table.metrics[0];
        assert_eq!(first.analysis.verdict, verdict, "{correction:?}: {}", first.analysis.reason);
        let stats = &first.analysis.stats;
        let smaller = stats.mann_whitney_pvalue.unwrap().min(stats.ks_pvalue.unwrap());
        // Ten metrics have twenty p-values.
        let expected = if correction == Correction::None { smaller } else { 20.0 * smaller };
        assert!((first.adjusted_pvalue.unwrap() - expected).abs() < 1e-12, "{correction:?}");
    }
}

#[test]
fn too_few_values_leave_a_metric_waiting() {
    let sample = Sample::of(&[1.0, 2.0]).unwrap();
    let (baseline, canary) = (sample.clone(), sample);
    let few = TableMetric { baseline, canary, ..metric("few", 0.0, Default::default()) };
    let table = analyzed(vec![guarded("a", 0.0), few], TableOptions::default());
    assert_eq!(table.metrics[1].analysis.verdict, MetricVerdict::Waiting);
    assert_eq!((table.decision, table.metrics[1].adjusted_pvalue), (Decision::Wait, None));
    assert!(table.reason.contains("not settled: few"), "{}", table.reason);
}

#[test]
fn impossible_tables_are_refused_with_a_remedy() {
    let refused =
        |metrics, options| analyze_table(metrics, options, random).unwrap_err().to_string();
    let table = |metrics| refused(metrics, TableOptions::default());
    assert!(table(Vec::new()).contains("use 1 to 64"));
    assert!(table(vec![guarded("a", 0.0), guarded("a", 0.0)]).contains("\"a\" appears twice"));
    let many = (0..65).map(|i| guarded(&format!("m{i}"), 0.0)).collect();
    assert!(table(many).contains("65 metrics"));
    for weight in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        let metric = TableMetric { weight: Some(weight), ..guarded("a", 0.0) };
        assert!(table(vec![metric]).contains("weight: "), "{weight}");
    }
    let own = AnalysisOverrides { p_threshold: Some(0.1), ..Default::default() };
    let error = table(vec![metric("a", 0.0, own)]);
    assert!(error.contains("send it next to metrics"), "{error}");
    for given in [
        TableOptions { p_threshold: Some(0.0), ..Default::default() },
        TableOptions { promote_score: Some(101.0), ..Default::default() },
        TableOptions { rollback_score: Some(95.0), ..Default::default() },
        TableOptions { rollback_score: Some(f64::NAN), ..Default::default() },
    ] {
        let error = refused(vec![guarded("a", 0.0)], given);
        assert!(error.contains("is out of range; use "), "{error}");
    }
}
