//! Links: from the sums of an ensemble to its answer.
//!
//! The formulas and their precision are those of the libraries, so that answers agree to the bit where the
//! exponential function of the platform is the same.

/// The last step of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    /// The score itself.
    Identity,
    /// `1 / (1 + exp(-scale * score))`, for each number by itself.
    Sigmoid {
        /// LightGBM's parameter `sigmoid`; 1 elsewhere.
        scale: f64,
    },
    /// Sigmoids divided by their sum: one model against the rest for each class.
    SigmoidShares,
    /// XGBoost's sigmoid in `f32`.
    SigmoidSingle,
    /// `exp(score_k) / sum of exp(score_j)`.
    Softmax,
    /// XGBoost's softmax: exponentials in `f32`, their sum in `f64`.
    SoftmaxSingle,
    /// `exp(score)`: Poisson, gamma, Tweedie.
    Exponential,
    /// `exp(score)` in `f32`.
    ExponentialSingle,
    /// `ln(1 + exp(score))`: LightGBM's `cross_entropy_lambda`.
    Softplus,
    /// `sign(score) * score^2`: LightGBM's regression with `sqrt`.
    SignedSquare,
}

impl Link {
    /// Replaces scores by the answer.
    pub fn apply(self, scores: &mut [f64]) {
        let each: fn(f64) -> f64 = match self {
            Self::Identity => return,
            Self::Sigmoid { scale } => {
                scores.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-scale * *x).exp()));
                return;
            }
            Self::SigmoidShares => {
                Self::Sigmoid { scale: 1.0 }.apply(scores);
                let sum: f64 = scores.iter().sum();
                scores.iter_mut().for_each(|x| *x /= sum);
                return;
            }
            Self::Softmax => return softmax(scores),
            Self::SoftmaxSingle => return softmax_single(scores),
            Self::SigmoidSingle => |x| f64::from(sigmoid_single(x as f32)),
            Self::Exponential => f64::exp,
            Self::ExponentialSingle => |x| f64::from((x as f32).exp()),
            Self::Softplus => |x| x.exp().ln_1p(),
            Self::SignedSquare => |x| x.signum() * x * x,
        };
        scores.iter_mut().for_each(|x| *x = each(*x));
    }
}

/// XGBoost adds 1e-16 to the denominator (nothing in `f32`) and caps the exponent at 88.7, just below the
/// overflow of `f32`.
fn sigmoid_single(score: f32) -> f32 {
    let exponent = (-score).min(88.7);
    1.0 / (exponent.exp() + 1.0 + 1e-16)
}

fn softmax(scores: &mut [f64]) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn softmax_single(scores: &mut [f64]) {
    let largest = scores.iter().map(|x| *x as f32).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for score in scores.iter_mut() {
        *score = f64::from((*score as f32 - largest).exp());
        sum += *score;
    }
    let sum = sum as f32;
    scores.iter_mut().for_each(|score| *score = f64::from(*score as f32 / sum));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_scores_stay_probabilities() {
        let links = [Link::Sigmoid { scale: 2.0 }, Link::SigmoidSingle];
        for link in links {
            for score in [-1e30, -800.0, -1.0, 0.0, 3.0, 800.0, 1e30] {
                let mut answer = [score];
                link.apply(&mut answer);
                assert!((0.0..=1.0).contains(&answer[0]), "{link:?} {score}");
            }
        }
        for link in [Link::Softmax, Link::SoftmaxSingle] {
            let mut answer = [-1e30, 5.0, 900.0];
            link.apply(&mut answer);
            assert_eq!(answer, [0.0, 0.0, 1.0], "{link:?}");
        }
    }
}
