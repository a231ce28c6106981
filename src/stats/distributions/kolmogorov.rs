//! How likely is so large a distance between a distribution and n values drawn from it?
//!
//! The asymptotic two-sample Kolmogorov-Smirnov p-value is this probability for an equivalent n. As
//! in scipy's `kstwo`, every region has its method:
//!
//! ```text
//! P(D_n >= d),   t = n d
//! t <= 1/2, t <= 1, t >= n - 1       closed forms (Ruben and Gambino)
//! d >= 1/2                           2 P(D+_n >= d), exact
//! n d^2 > 4, or 2.2 for n > 140      2 P(D+_n >= d), the two sides hardly ever at once (Miller)
//! n <= 140, or n d^1.5 <= 1.4        Durbin's matrix, exact (Marsaglia, Tsang and Wang)
//! else                               the limit and three corrections (Pelz and Good)
//! ```
//!
//! Simard and L'Ecuyer (2011), "Computing the two-sided Kolmogorov-Smirnov distribution", Journal
//! of Statistical Software 39(11), doi:10.18637/jss.v039.i11; Marsaglia, Tsang and Wang (2003),
//! Journal of Statistical Software 8(18), doi:10.18637/jss.v008.i18; Pelz and Good (1976), Journal
//! of the Royal Statistical Society B 38(2), doi:10.1111/j.2517-6161.1976.tb01579.x.

use std::f64::consts::PI;

use super::binomial::ln_binomial;

/// P(D_n >= d) for a whole number n >= 1.
pub(crate) fn kolmogorov_tail(n: f64, d: f64) -> f64 {
    /// Up to this n every two-sided probability is exact.
    const SMALL: f64 = 140.0;
    /// Beyond it the matrix would only refine probabilities of 0.9999 and more.
    const MAX_MATRIX: f64 = 2000.0;
    let t = n * d;
    if t <= 0.5 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    if t <= 1.0 {
        let ways: f64 = (1..=n as u64).map(|i| (i as f64 / n * (2.0 * t - 1.0)).ln()).sum();
        return 1.0 - ways.exp();
    }
    if t >= n - 1.0 {
        return 2.0 * (1.0 - d).powf(n);
    }
    let scaled = t * d;
    let far = if n <= SMALL { 4.0 } else { 2.2 };
    if d >= 0.5 || scaled > far {
        return (2.0 * one_sided_tail(n, d)).min(1.0);
    }
    let by_matrix = n <= SMALL || (n <= MAX_MATRIX && n * d.powf(1.5) <= 1.4);
    let below = if by_matrix { durbin_matrix(n, d) } else { pelz_good(n, d) };
    (1.0 - below).clamp(0.0, 1.0)
}

/// P(D+_n >= d) by the Birnbaum-Tingey sum, whose terms are binomial probabilities:
///
/// ```text
/// sum for j = 0 .. n(1-d) of  d/p_j * P(X = j),   X binomial, n trials of p_j = d + j/n
/// ```
///
/// For large n the sum is as smooth as its integral, and every h-th term, times h, gives the same.
/// Birnbaum and Tingey (1951), The Annals of Mathematical Statistics 22(4),
/// doi:10.1214/aoms/1177729550.
fn one_sided_tail(n: f64, d: f64) -> f64 {
    /// Fewer terms lose digits of probabilities near 1e-300.
    const MAX_TERMS: f64 = 2000.0;
    let last = n * (1.0 - d);
    let step = (last / MAX_TERMS).max(1.0);
    let mut sum = 0.0;
    let mut j = 0.0;
    while j <= last {
        let p = d + j / n;
        let q = (last - j) / n;
        sum += d / p * ln_binomial(j, n, p, q).exp();
        j += step;
    }
    step * sum
}

/// P(D_n < d): an element of the n-th power of a matrix with 2k - 1 rows, where d = (k - h) / n.
fn durbin_matrix(n: f64, d: f64) -> f64 {
    let t = n * d;
    let k = t.ceil();
    let h = k - t;
    let size = 2 * k as usize - 1;
    let mut inverse_factorials = vec![1.0; size + 1];
    for i in 1..=size {
        inverse_factorials[i] = inverse_factorials[i - 1] / i as f64;
    }
    let mut matrix = Matrix { size, cells: vec![0.0; size * size], exponent: 0 };
    for row in 0..size {
        for column in 0..size.min(row + 2) {
            let mut cell = 1.0;
            if column == 0 {
                cell -= h.powi(row as i32 + 1);
            }
            if row == size - 1 {
                cell -= h.powi((size - column) as i32);
            }
            if column == 0 && row == size - 1 {
                cell += (2.0 * h - 1.0).max(0.0).powi(size as i32);
            }
            matrix.cells[row * size + column] = cell * inverse_factorials[row + 1 - column];
        }
    }
    let power = matrix.to_the(n as u32);
    let middle = k as usize - 1;
    // Times n! / n^n, whose logarithm alone would lose digits.
    let mut exponent = power.exponent;
    let mut value = power.cells[middle * size + middle];
    for i in 1..=n as u32 {
        value *= f64::from(i) / n;
        if value < 1e-140 {
            value *= SCALE;
            exponent -= 1;
        }
    }
    value * SCALE.powi(exponent)
}

/// What a matrix is divided by before its cells overflow.
const SCALE: f64 = 1e140;

/// Cells times `SCALE^exponent`.
#[derive(Clone)]
struct Matrix {
    size: usize,
    cells: Vec<f64>,
    exponent: i32,
}

impl Matrix {
    fn to_the(&self, power: u32) -> Self {
        if power == 1 {
            return self.clone();
        }
        let half = self.to_the(power / 2);
        let square = half.times(&half);
        if power.is_multiple_of(2) { square } else { square.times(self) }
    }

    fn times(&self, other: &Self) -> Self {
        let size = self.size;
        let mut cells = vec![0.0; size * size];
        for (row, target) in cells.chunks_exact_mut(size).enumerate() {
            for (factor, source) in
                self.cells[row * size..].iter().zip(other.cells.chunks_exact(size))
            {
                target.iter_mut().zip(source).for_each(|(cell, value)| *cell += factor * value);
            }
        }
        let mut exponent = self.exponent + other.exponent;
        if cells[size * size / 2] > SCALE {
            cells.iter_mut().for_each(|cell| *cell /= SCALE);
            exponent += 1;
        }
        Self { size, cells, exponent }
    }
}

/// P(D_n < d) = K0 + K1/n^(1/2) + K2/n + K3/n^(3/2), functions of z = d sqrt(n).
fn pelz_good(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let pi2 = PI * PI;
    let (z2, z4, z6) = (z.powi(2), z.powi(4), z.powi(6));
    let ln_q = -pi2 / (8.0 * z2);
    let mut sums = [0.0; 4];
    let (mut k2_extra, mut k3_extra) = (0.0, 0.0);
    // exp(-x) of the last term is below 1e-16 of the first for every z up to 4.
    for k in 1..=(16.0 * z / PI).ceil() as u32 + 1 {
        let m2 = f64::from(2 * k - 1).powi(2);
        let weight = (ln_q * m2).exp();
        let k2 = 6.0 * z6
            + 2.0 * z4
            + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2
            + pi2.powi(2) * (1.0 - 2.0 * z2) / 16.0 * m2 * m2;
        let k3 = -30.0 * z6 - 90.0 * z4 * z4
            + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
            + pi2.powi(2) * (212.0 * z4 - 60.0 * z2) / 16.0 * m2 * m2
            + pi2.powi(3) * (5.0 - 30.0 * z2) / 64.0 * m2.powi(3);
        for (sum, term) in sums.iter_mut().zip([1.0, pi2 / 4.0 * m2 - z2, k2, k3]) {
            *sum += weight * term;
        }
        let square = f64::from(k).powi(2);
        let weight = (4.0 * ln_q * square).exp() * square;
        k2_extra += weight;
        k3_extra += weight * (3.0 * z2 - pi2 * square);
    }
    let root = (2.0 * PI).sqrt();
    let k0 = sums[0] * root / z;
    let k1 = sums[1] * root / (6.0 * z4);
    let k2 = sums[2] * root / (72.0 * z.powi(7)) - k2_extra * pi2 * root / (36.0 * z.powi(3));
    let k3 = sums[3] * root / (6480.0 * z.powi(10)) + k3_extra * pi2 * root / (216.0 * z6);
    k0 + (k1 + (k2 + k3 / n.sqrt()) / n.sqrt()) / n.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_agrees_with_scipy() {
        // scipy.stats.kstwo.sf(d, n)
        for (n, d, expected) in REFERENCE {
            let found = kolmogorov_tail(n, d);
            assert!((found / expected - 1.0).abs() < 1e-9, "{n} {d}: {found:e}, not {expected:e}");
        }
        assert_eq!(kolmogorov_tail(5.0, 0.0), 1.0);
        assert_eq!(kolmogorov_tail(5.0, 1.0), 0.0);
        assert_eq!(kolmogorov_tail(1e11, 0.5), 0.0);
    }

    #[test]
    fn skipping_terms_of_a_smooth_sum_changes_nothing() {
        for (n, d) in [(2e4, 0.02), (2e4, 0.1), (1e5, 0.005), (3e4, 0.01), (2e4, 0.5)] {
            let all: f64 = (0..=(n * (1.0 - d)) as u32)
                .map(|j| {
                    let j = f64::from(j);
                    let p = d + j / n;
                    d / p * ln_binomial(j, n, p, (1.0 - d) - j / n).exp()
                })
                .sum();
            let found = one_sided_tail(n, d);
            assert!((found / all - 1.0).abs() < 1e-10 || all == 0.0, "{n} {d}: {found:e} {all:e}");
        }
    }

    const REFERENCE: [(f64, f64, f64); 33] = [
        (1.0, 0.3, 1.0),
        (1.0, 0.7, 0.6000000000000001),
        (2.0, 0.4, 0.82),
        (10.0, 0.07, 0.9999999619492741),
        (10.0, 0.25, 0.4841115325000003),
        (10.0, 0.45, 0.022891810311717498),
        (10.0, 0.6, 0.0005681672000000003),
        (10.0, 0.95, 1.9531250000000172e-13),
        (50.0, 0.05, 0.9990238098461883),
        (50.0, 0.15, 0.19026366518248072),
        (50.0, 0.28, 0.0005850122324396745),
        (50.0, 0.35, 5.573523514803185e-06),
        (140.0, 0.04, 0.9719726587618661),
        (140.0, 0.1, 0.11353657290090946),
        (140.0, 0.2, 2.1981563302200222e-05),
        (141.0, 0.03, 0.9992107601012719),
        (141.0, 0.05, 0.854845693009663),
        (141.0, 0.08, 0.31084170879264117),
        (141.0, 0.13, 0.015449346308454497),
        (1000.0, 0.01, 0.9999496745370611),
        (1000.0, 0.013, 0.9951380918092512),
        (1000.0, 0.03, 0.3226902143914636),
        (1000.0, 0.05, 0.013012074781090332),
        (1000.0, 0.2, 1.5528629204250538e-35),
        (20000.0, 0.004, 0.9048968240702959),
        (20000.0, 0.009, 0.07785289326070222),
        (20000.0, 0.012, 0.006251252284121751),
        (20000.0, 0.03, 4.516330038670992e-16),
        (500000.0, 0.002, 0.036582179671620585),
        (500000.0, 0.0025, 0.0038544560212235442),
        (500000.0, 0.01, 7.374635645083527e-44),
        (10000000.0, 0.0003, 0.32903987173741867),
        (10000000.0, 0.00045, 0.03483411015746485),
    ];
}
