//! Inputs and outputs of a forecast for one metric.

/// What is to come, of one metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    /// The canary's share; more than 0 and less than 1.
    pub(crate) share: f64,
    /// Samples that a request brings, on the track that answers it.
    pub(crate) samples_per_request: f64,
    /// Requests of both tracks until the end of the bake.
    pub(crate) requests: f64,
}

/// After how many more requests of both tracks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// Harm would be proven; `None`: not in sight.
    pub(crate) harm_in: Option<f64>,
    /// Its absence would be proven.
    pub(crate) proof_in: Option<f64>,
    /// Both tracks would have the samples that the metric needs to pass.
    pub(crate) enough_in: Option<f64>,
    /// The smallest difference that would be found as harm by the end of the bake.
    pub(crate) smallest_detectable: Option<f64>,
}

/// The distance, in standard errors, that four of five estimates do not fall short by.
pub(crate) const FOUR_OF_FIVE: f64 = 0.8416;

impl Ahead {
    /// Effective samples that a request brings.
    pub(crate) fn information(&self) -> f64 {
        self.samples_per_request * self.share * (1.0 - self.share)
    }
}

/// The effect that is counted on: within its own noise little of it, far beyond as it is.
///
/// Most canaries do no harm. Taken as it stands, the noise of the first minute would be taken for
/// harm in every other forecast.
pub(crate) fn settled(effect: f64, standard_error: f64) -> f64 {
    let square = (effect / standard_error).powi(2);
    if effect == 0.0 { 0.0 } else { effect * beyond_noise(square) }
}

/// How far to trust an estimate, by the square of its distance from 0 in standard errors: 1/2 at one
/// standard error, 4/5 at two.
pub(super) fn beyond_noise(square: f64) -> f64 {
    if square.is_infinite() { 1.0 } else { square / (1.0 + square) }
}
