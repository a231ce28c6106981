//! Difference of the means of two tracks whose visits come from keys.
//!
//! ```text
//! group k: n visits, y = mean of their values          a track's mean: m = sum h y,  h = w / sum w
//! w  = n / (s^2 + n t^2)        s^2, t^2: variance within and between groups, of both tracks together
//! V  = the larger of   sum h^2 / (1 - h) (y - m)^2     unbiased where w is right, valid where it is not (CR2)
//!                      sum h^2 (s^2 / n + t^2)
//! df = 1 / ( sum h^2 + (sum D)^2 - sum D^2 ),          D = h^2 / (1 - h)
//! T  = (m_c - m_s - margin) / sqrt(V_c + V_s)          Welch's t
//! ```
//!
//! Groups are the cells of the track with more keys. Of the other track neighboring cells are joined until theirs hold as
//! many keys on average. The weights count visits where keys are alike and groups where keys differ; if the groups of one
//! track held more keys, its mean would be one over visits and the other's one over users, which differ where users who
//! come often are not like the others. Where fewer than [`MIN_CLUSTERS`] groups would be left, visits are the weights.
//!
//! The second variance matters where the track with fewer keys has drawn none of a few unusual ones, so that its own
//! groups do not show how much keys differ.
//!
//! Assumes that keys are drawn independently of each other, that a key's visits do not depend on its track, and that the
//! means of the cells are nearly normal. `t^2` by the method of moments: Cochran (1954), Biometrics 10(1),
//! doi:10.2307/3001666. `V` and `df`: Bell and McCaffrey (2002), Survey Methodology 28(2); Imbens and Kolesár (2016),
//! Review of Economics and Statistics 98(4), doi:10.1162/REST_a_00552.

use super::MIN_CLUSTERS;
use crate::stats::distributions::student_t::student_t_tail;
use crate::stats::fixed_horizon::margin::Margin;

/// The values of all visits of the keys in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClusterValues {
    /// How many there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
}

/// The mean of each track with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterMeans {
    canary: Estimate,
    stable: Estimate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Estimate {
    mean: f64,
    variance: f64,
    df: f64,
}

impl ClusterMeans {
    /// Compares the cells of two tracks, of whose keys this share is the canary's; `None` with fewer than
    /// [`MIN_CLUSTERS`] visited cells on either.
    pub fn new(
        share: f64,
        canary: &[ClusterValues],
        stable: &[ClusterValues],
    ) -> Option<ClusterMeans> {
        let groups = |cells: usize, own: f64, other: f64| {
            (cells as f64 * (own / other).min(1.0)).round() as usize
        };
        let of_canary = groups(canary.len(), share, 1.0 - share);
        let of_stable = groups(stable.len(), 1.0 - share, share);
        let by_visits = of_canary.min(of_stable) < MIN_CLUSTERS;
        let visited = |cells: &[ClusterValues], groups: usize| -> Vec<ClusterValues> {
            let joined = joined(cells, if by_visits { cells.len() } else { groups });
            joined.into_iter().filter(|group| group.count > 0).collect()
        };
        let (canary, stable) = (visited(canary, of_canary), visited(stable, of_stable));
        if canary.len().min(stable.len()) < MIN_CLUSTERS {
            return None;
        }
        let (within, between) = variances(&[&canary, &stable]);
        let weight = |group: &ClusterValues| {
            let count = group.count as f64;
            let spread = within + count * between;
            if by_visits || spread <= 0.0 { count } else { count / spread }
        };
        let estimate = |groups: &[ClusterValues]| Estimate::new(groups, weight, within, between);
        Some(ClusterMeans { canary: estimate(&canary), stable: estimate(&stable) })
    }

    /// The canary's mean less stable's.
    pub fn difference(&self) -> f64 {
        self.canary.mean - self.stable.mean
    }

    /// The p-value against "the canary's mean exceeds stable's by `margin` at most".
    pub fn p_above(&self, margin: f64) -> f64 {
        self.p_of(self.difference() - margin)
    }

    /// The p-value against "the canary's mean exceeds stable's by `margin` at least".
    pub fn p_below(&self, margin: f64) -> f64 {
        self.p_of(margin - self.difference())
    }

    fn p_of(&self, excess: f64) -> f64 {
        let variance = self.canary.variance + self.stable.variance;
        if variance <= 0.0 {
            // Nothing varies, so the values decide.
            return if excess > 0.0 { 0.0 } else { 1.0 };
        }
        let part = |one: &Estimate| one.variance * one.variance / one.df;
        let df = variance * variance / (part(&self.canary) + part(&self.stable));
        student_t_tail(excess / variance.sqrt(), df.max(1.0))
    }
}

impl Estimate {
    fn new(
        cells: &[ClusterValues],
        weight: impl Fn(&ClusterValues) -> f64,
        within: f64,
        between: f64,
    ) -> Estimate {
        let all: f64 = cells.iter().map(&weight).sum();
        let shares = || cells.iter().map(|cell| weight(cell) / all);
        let mean: f64 = cells.iter().zip(shares()).map(|(cell, share)| share * cell.mean()).sum();
        let leverages = || shares().map(|share| share * share / (1.0 - share));
        let own: f64 =
            cells.iter().zip(leverages()).map(|(cell, it)| it * (cell.mean() - mean).powi(2)).sum();
        let of_cell = |cell: &ClusterValues| within / cell.count as f64 + between;
        let of_both: f64 =
            cells.iter().zip(shares()).map(|(cell, share)| share * share * of_cell(cell)).sum();
        Estimate { mean, variance: own.max(of_both), df: degrees_of_freedom(shares()) }
    }
}

/// The degrees of freedom of a variance of values with these shares of the weight.
pub(super) fn degrees_of_freedom(shares: impl Iterator<Item = f64>) -> f64 {
    let (mut squares, mut sum, mut sum_of_squares) = (0.0, 0.0, 0.0);
    for share in shares {
        let leverage = share * share / (1.0 - share);
        squares += share * share;
        sum += leverage;
        sum_of_squares += leverage * leverage;
    }
    1.0 / (squares + sum * sum - sum_of_squares)
}

impl ClusterValues {
    /// The same visits, each worth `(value - absolute) / (1 + relative)`: less what a margin grants.
    pub fn granted(&self, margin: Margin) -> ClusterValues {
        let (count, absolute, factor) = (self.count as f64, margin.absolute, 1.0 + margin.relative);
        let squares = self.squares - 2.0 * absolute * self.sum + count * absolute * absolute;
        ClusterValues {
            count: self.count,
            sum: (self.sum - count * absolute) / factor,
            squares: squares / (factor * factor),
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// Joins neighboring cells into this many groups of about equal size.
fn joined(cells: &[ClusterValues], groups: usize) -> Vec<ClusterValues> {
    let mut joined = vec![ClusterValues::default(); groups];
    for (place, cell) in cells.iter().enumerate() {
        if let Some(group) = joined.get_mut(place * groups / cells.len().max(1)) {
            group.count = group.count.saturating_add(cell.count);
            group.sum += cell.sum;
            group.squares += cell.squares;
        }
    }
    joined
}

/// The variance of values within cells, and of the means between them.
fn variances(tracks: &[&[ClusterValues]; 2]) -> (f64, f64) {
    let cells = || tracks.iter().flat_map(|cells| cells.iter());
    let spread = |cell: &ClusterValues| (cell.squares - cell.sum * cell.mean()).max(0.0);
    let free = cells().map(|cell| cell.count - 1).sum::<u64>().max(1);
    let within = cells().map(spread).sum::<f64>() / free as f64;
    let (mut excess, mut divisor) = (0.0, 0.0);
    for cells in tracks {
        let count: f64 = cells.iter().map(|cell| cell.count as f64).sum();
        let mean = cells.iter().map(|cell| cell.sum).sum::<f64>() / count;
        let squares: f64 = cells.iter().map(|cell| (cell.count as f64).powi(2)).sum();
        let around = |cell: &ClusterValues| cell.count as f64 * (cell.mean() - mean).powi(2);
        excess += cells.iter().map(around).sum::<f64>() - (cells.len() as f64 - 1.0) * within;
        divisor += count - squares / count;
    }
    (within, (excess / divisor).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(values: &[f64]) -> ClusterValues {
        let (sum, squares) = (values.iter().sum(), values.iter().map(|it| it * it).sum());
        ClusterValues { count: values.len() as u64, sum, squares }
    }

    /// scipy.stats.ttest_ind([1, 2, 3, 4, 5] * 2, [0, 1, 2, 3, 4] * 2, equal_var=False, alternative="greater")
    #[test]
    fn with_one_visit_of_each_key_and_equal_variances_it_is_welch() {
        let canary: Vec<_> = (0..10).map(|n| cell(&[f64::from(n % 5) + 1.0])).collect();
        let stable: Vec<_> = (0..10).map(|n| cell(&[f64::from(n % 5)])).collect();
        let means = ClusterMeans::new(0.5, &canary, &stable).unwrap();
        assert!((means.difference() - 1.0).abs() < 1e-12);
        assert!((means.canary.df - 9.0).abs() < 1e-9 && (means.stable.df - 9.0).abs() < 1e-9);
        assert!((means.p_above(0.0) + means.p_below(0.0) - 1.0).abs() < 1e-12);
        assert!(
            (means.p_above(0.0) - 0.075_475_226_092_133_74).abs() < 1e-9,
            "{}",
            means.p_above(0.0)
        );
    }

    #[test]
    fn a_track_that_has_drawn_no_unusual_key_takes_over_how_much_keys_differ() {
        let usual = |n: u32| cell(&[f64::from(n % 7) * 0.01; 100]);
        let canary: Vec<_> = (0..20).map(usual).collect();
        let mut stable: Vec<_> = (0..200).map(usual).collect();
        (0..10).for_each(|place| stable[20 * place] = cell(&[1.0; 100]));
        let means = ClusterMeans::new(0.5, &canary, &stable).unwrap();
        assert!(means.difference() < -0.04 && means.p_below(0.0) > 0.1, "{means:?}");
        assert!(means.canary.variance > 5.0 * means.stable.variance, "{means:?}");
    }

    #[test]
    fn keys_weigh_alike_on_both_tracks_however_many_share_a_cell() {
        // Who comes often is faster. At 10 % a cell has one of the canary's keys or nine of stable's.
        let key = |n: usize| if n.is_multiple_of(3) { cell(&[1.0; 90]) } else { cell(&[2.0; 10]) };
        let sum = |keys: std::ops::Range<usize>| joined(&keys.map(key).collect::<Vec<_>>(), 1)[0];
        let canary: Vec<_> = (0..180).map(|n| sum(n..n + 1)).collect();
        let stable: Vec<_> = (0..180).map(|n| sum(9 * n..9 * n + 9)).collect();
        let difference =
            |share: f64| ClusterMeans::new(share, &canary, &stable).unwrap().difference();
        assert!(difference(0.1).abs() < 0.01, "{}", difference(0.1));
        assert!(difference(0.5) > 0.2, "not joined: {}", difference(0.5));
        // 180 / 99 are too few groups: visits are the weights.
        assert!(difference(0.01).abs() < 0.01, "{}", difference(0.01));
    }

    #[test]
    fn a_key_that_differs_counts_once_however_often_it_comes() {
        let quiet = |n: u32| cell(&[f64::from(n % 7) * 0.01, f64::from(n % 5) * 0.01]);
        let stable: Vec<_> = (0..100).map(quiet).collect();
        let mut canary: Vec<_> = (0..20).map(quiet).collect();
        canary[3] = cell(&[1.0; 500]);
        let means = ClusterMeans::new(0.5, &canary, &stable).unwrap();
        assert!(means.p_above(0.0) > 0.02, "{}", means.p_above(0.0));
    }

    #[test]
    fn few_cells_and_equal_values_have_an_answer() {
        let cells = [cell(&[1.0]); 8];
        assert_eq!(ClusterMeans::new(0.5, &cells[..7], &cells), None);
        let means = ClusterMeans::new(0.5, &cells, &cells).unwrap();
        assert_eq!((means.p_above(0.0), means.p_below(0.1)), (1.0, 0.0));
    }
}
