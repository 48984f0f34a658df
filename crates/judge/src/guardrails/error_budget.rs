//! `error_budget`: the remaining budget of a service's SLO against a floor.
//!
//! Trips when the newest value lies below the floor (equal is inside).

use super::seen::{lifetime, newest_value};
use super::{GuardrailInput, Seen};
use crate::analyse::GuardrailState;
use crate::record::round12;
use crate::spec::ErrorBudget;

pub(super) fn look(input: &GuardrailInput<'_>, budget: &ErrorBudget) -> Seen {
    let points = match lifetime(input, input.at) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let Some(value) = newest_value(&points) else {
        return Seen::no_data(None, "no value came");
    };
    let below = round12(value) < round12(budget.at_least);
    let state = if below { GuardrailState::Tripped } else { GuardrailState::Ok };
    Seen { budget_left: Some(value), ..Seen::value(state, value, budget.at_least) }
}
