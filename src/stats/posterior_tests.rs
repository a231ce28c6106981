//! Posteriors against scipy.

use super::*;

fn close(found: f64, expected: f64, what: &str) {
    let is_close = (found - expected).abs() < 1e-9 * expected.abs() + 1e-14;
    assert!(is_close, "{what}: {found:e}, not {expected:e}");
}

#[test]
fn rates_agree_with_scipy() {
    // scipy.integrate.quad of scipy.stats.beta (the fifth by mpmath with 25 digits), prior (0.5, 49.5):
    // S.pdf(x) * C.sf(x + margin) and S.cdf(x) * C.sf(x)
    let prior = Beta { failures: 0.5, answers: 49.5 };
    for ([canary, of, stable, of_stable], margin, above, excess) in [
        ([0, 20, 0, 180], 0.0, 0.68006946463367, 0.00587865395685867),
        ([2, 20, 1, 180], 0.0, 0.952876934767138, 0.0294296895081063),
        ([26, 150, 0, 1350], 0.0, 0.999999999999997, 0.132142857142857),
        ([30, 1000, 90, 9000], 0.01, 0.967614569849461, 0.0190476202419397),
        ([0, 100_000, 0, 900_000], 0.0, 0.795125438378279, 4.592663530083812e-06),
        ([5, 50, 50, 10_000_000], 0.0, 0.999999999999999, 0.0549949500252499),
        ([500, 1000, 100, 1000], 0.01, 1.0, 0.380952380952381),
        ([20, 20, 180, 180], 0.0, 2.57971439931335e-14, 2.0722547476167e-16),
    ] {
        let what = format!("{canary} of {of}, {stable} of {of_stable}");
        let (canary, stable) = (prior.updated(canary, of), prior.updated(stable, of_stable));
        let found = Beta::read(canary, stable, margin).unwrap();
        close(found.above_margin, above, &what);
        close(found.expected_excess, excess, &what);
    }
}

#[test]
fn equal_rates_are_even_odds_and_sides_change_places() {
    let one = Beta { failures: 3.5, answers: 96.5 };
    let other = Beta { failures: 12.5, answers: 187.5 };
    close(Beta::read(one, one, 0.0).unwrap().above_margin, 0.5, "equal");
    let [there, back] = [(one, other), (other, one)]
        .map(|(canary, stable)| Beta::read(canary, stable, 0.0).unwrap());
    close(there.above_margin + back.above_margin, 1.0, "both");
    // E max(0, D) - E max(0, -D) = E D
    let mean = |beta: Beta| beta.failures / (beta.failures + beta.answers);
    close(there.expected_excess - back.expected_excess, mean(one) - mean(other), "mean");
}

#[test]
fn normal_effects_agree_with_scipy() {
    // scipy.stats.norm.sf(margin, mean, sd), mean * norm.cdf(z) + sd * norm.pdf(z)
    for (std_dev, estimate, error, margin, expected) in [
        (
            0.01,
            0.002,
            0.001,
            0.0025,
            [0.00198019801980198, 0.000995037190209989, 0.300697833666556, 0.00198887393710046],
        ),
        (
            0.01,
            -0.02,
            0.05,
            0.0,
            [-0.000769230769230769, 0.0098058067569092, 0.468736461181238, 0.00353936612728165],
        ),
    ] {
        let found = Normal { mean: 0.0, std_dev }.updated(estimate, error).unwrap();
        let read = found.read(margin);
        let all = [found.mean, found.std_dev, read.above_margin, read.expected_excess];
        all.into_iter().zip(expected).for_each(|(found, expected)| {
            close(found, expected, "normal");
        });
        assert_eq!(found.negated().negated(), found);
    }
}

#[test]
fn impossible_numbers_have_no_posterior() {
    let prior = Normal { mean: 0.0, std_dev: 1.0 };
    for (estimate, error) in [(1.0, 0.0), (f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
        assert_eq!(prior.updated(estimate, error), None, "{estimate} {error}");
    }
    assert_eq!(Normal { mean: 0.0, std_dev: 0.0 }.updated(1.0, 1.0), None);
    let fine = Beta { failures: 0.5, answers: 0.5 };
    let odd = Beta { failures: 0.1, answers: f64::NAN };
    assert_eq!(Beta::read(odd, fine, 0.0), None);
    assert_eq!(Beta::read(fine, fine, f64::NAN), None);
}

#[test]
fn the_spread_of_effects_is_what_their_standard_errors_leave() {
    let of = |estimates: &[f64], standard_error: f64| {
        let effects =
            estimates.iter().map(|estimate| Effect { estimate: *estimate, standard_error });
        spread_of_effects(&effects.collect::<Vec<_>>(), 0.2).unwrap()
    };
    let shrunk = |tau: f64, n: f64| ((4.0 * 0.2_f64.ln() + n * tau.ln()) / (4.0 + n)).exp();
    close(of(&[], 0.1), 0.2, "none");
    // Noise alone: the least spread.
    close(of(&[0.05, -0.05, 0.05], 0.06), shrunk(0.02, 3.0), "noise");
    close(of(&[0.1, -0.1, 0.1, 0.1], 0.06), shrunk(0.08, 4.0), "some");
    // One broken version counts as three deviations: 0.36 of 5 times tau^2 + 0.0001.
    close(of(&[0.0, 0.0, 0.0, 0.0, 40.0], 0.01), shrunk(0.0719_f64.sqrt(), 5.0), "broken");
    close(of(&[9.0; 6], 0.01), shrunk(0.4, 6.0), "wide");
    let bad = [Effect { estimate: f64::NAN, standard_error: 0.1 }];
    assert_eq!(spread_of_effects(&bad, 0.2), None);
    assert_eq!(spread_of_effects(&[], 0.0), None);
}
