//! Thresholds for inputs that the original rounds to `f32`.
//!
//! XGBoost and scikit-learn's trees round inputs to `f32` and compare then. Rounding is monotonic, so for each
//! of their splits some `f64` is the largest input that goes left. With that number as the threshold, the
//! input is compared as it came, and every input takes the same side as in the original:
//!
//! ```text
//! round(x) <= v   if and only if   x <= limit(v)
//! limit(v) = the midpoint of v and the next f32 above, if ties round to v (v is even)
//!          = the f64 just below that midpoint, otherwise
//! ```
//!
//! A midpoint of two neighboring `f32` has 25 significant bits and is exact in `f64`.

/// The threshold of `round(x) < split`, the split of XGBoost.
pub fn below(split: f32) -> f64 {
    // Both zeros are equal, and the number below both is the smallest negative one.
    if split == f32::NEG_INFINITY {
        f64::NEG_INFINITY.next_down()
    } else {
        limit(split.next_down())
    }
}

/// The threshold of `round(x) <= split` where only the input is rounded, the split of scikit-learn's
/// trees.
pub fn at_most(split: f64) -> f64 {
    let rounded = split as f32;
    // The largest f32 that is not above the split.
    let floor = if f64::from(rounded) > split { rounded.next_down() } else { rounded };
    limit(floor)
}

/// The largest `f64` that rounds to `value` or below.
fn limit(value: f32) -> f64 {
    if value == f32::INFINITY {
        return f64::INFINITY;
    }
    if value == f32::NEG_INFINITY {
        // What rounds to minus infinity: all at and below the midpoint, for the largest f32 is odd.
        return -overflow();
    }
    let next = value.next_up();
    if next.is_infinite() {
        // From the midpoint on, inputs round to infinity.
        return overflow().next_down();
    }
    // Exact: both have 24 significant bits and neighboring exponents.
    let middle = (f64::from(value) + f64::from(next)) / 2.0;
    if value.to_bits() & 1 == 0 { middle } else { middle.next_down() }
}

/// The midpoint of the largest `f32` and 2^128.
fn overflow() -> f64 {
    f64::from(f32::MAX) + f64::from(2.0_f32.powi(103))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits() -> Vec<f32> {
        let mut splits = vec![0.0, -0.0, 1.0, -1.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE];
        splits.extend([f32::from_bits(1), f32::from_bits(2), -f32::from_bits(1), f32::INFINITY]);
        splits.extend([f32::NEG_INFINITY, 16_777_216.0, 0.1, 29.85, f32::MAX.next_down()]);
        let mut state = 7_u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let split = f32::from_bits(state.rotate_left(11));
            if !split.is_nan() {
                splits.push(split);
            }
        }
        splits
    }

    /// Inputs near a split: its neighbors, their midpoints, and the `f64` around those.
    fn inputs(split: f32) -> Vec<f64> {
        let mut inputs = vec![f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX, f64::MIN];
        for near in [split.next_down().next_down(), split.next_down(), split, split.next_up()] {
            let (low, high) = (f64::from(near), f64::from(near.next_up()));
            for x in [low, (low + high) / 2.0, overflow(), -overflow()] {
                inputs.extend([x.next_down(), x, x.next_up()]);
            }
        }
        inputs.retain(|x| !x.is_nan());
        inputs
    }

    #[test]
    fn every_input_takes_the_side_that_it_takes_after_rounding() {
        for split in splits() {
            for x in inputs(split) {
                let strict = (x as f32) < split;
                // Nothing is below minus infinity, so that split is refused by its reader.
                if split != f32::NEG_INFINITY {
                    assert_eq!(x <= below(split), strict, "{x:e} < {split:e}");
                }
                for split in [f64::from(split), f64::from(split).next_up()] {
                    let rounded = f64::from(x as f32);
                    assert_eq!(x <= at_most(split), rounded <= split, "{x:e} <= {split:e}");
                }
            }
        }
    }
}
