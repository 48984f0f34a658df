//! `threshold`: a value against a bound; `for` and `keep_firing_for` are applied by `hysteresis`.
//!
//! With `drift` it is a control chart, judged by [`super::drift`]. A breach is strictly beyond the
//! bound, after rounding both to 12 significant digits.

use super::seen::{lifetime, newest_value};
use super::{GuardrailInput, Seen};
use crate::analyse::GuardrailState;
use crate::record::round12;
use crate::spec::Threshold;

pub(super) fn look(input: &GuardrailInput<'_>, threshold: &Threshold) -> Seen {
    if let Some(drift) = &threshold.drift {
        return super::drift::look(input, threshold, drift);
    }
    let points = match lifetime(input, input.at) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let Some(value) = newest_value(&points) else {
        return Seen::no_data(None, "no value came");
    };
    let above = threshold.at_most.filter(|bound| round12(value) > round12(*bound));
    let below = threshold.at_least.filter(|bound| round12(value) < round12(*bound));
    let state = match above.or(below) {
        Some(_) => GuardrailState::Tripped,
        None => GuardrailState::Ok,
    };
    let shown = above.or(below).or(threshold.at_most).or(threshold.at_least);
    Seen { limit: shown, value: Some(value), ..Seen::state(state) }
}
