//! Inputs and outputs of a forecast for one metric.

/// The traffic to come, for one metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    /// The canary's share, between 0 and 1, exclusive.
    pub(crate) share: f64,
    /// Samples per request.
    pub(crate) samples_per_request: f64,
    /// Requests of both tracks until the end of the bake.
    pub(crate) requests: f64,
}

/// Further requests of both tracks until something happens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// Harm is shown; `None` if that is not in sight.
    pub(crate) harm_in: Option<f64>,
    /// Non-inferiority is shown.
    pub(crate) proof_in: Option<f64>,
    /// Both tracks have the samples that the metric needs to pass.
    pub(crate) enough_in: Option<f64>,
    /// The minimum detectable effect at the end of the bake.
    pub(crate) smallest_detectable: Option<f64>,
}

/// The 80 % quantile of the standard normal distribution: the power of the minimum detectable effect.
pub(crate) const FOUR_OF_FIVE: f64 = 0.8416;

impl Ahead {
    /// Effective samples per request.
    pub(crate) fn information(&self) -> f64 {
        self.samples_per_request * self.share * (1.0 - self.share)
    }
}

/// The effect to extrapolate: shrunk within its own noise, unchanged far beyond it.
///
/// Most canaries do no harm. Without the shrinkage, every other forecast of the first minute would predict
/// harm from noise alone.
pub(crate) fn settled(effect: f64, standard_error: f64) -> f64 {
    let square = (effect / standard_error).powi(2);
    if effect == 0.0 { 0.0 } else { effect * beyond_noise(square) }
}

/// How far to trust an estimate, by the square of its distance from 0 in standard errors: 1/2 at one
/// standard error, 4/5 at two.
pub(super) fn beyond_noise(square: f64) -> f64 {
    if square.is_infinite() { 1.0 } else { square / (1.0 + square) }
}
