//! `error_budget`: the remaining budget of a service's SLO against a floor.
//!
//! Trips when the newest value lies below the floor (equal is inside). The value is asked for, or
//! counted: of an imported objective bad and total events are summed over its own period, as for
//! an `slo` without alerts.

use super::burn;
use super::seen::{lifetime, newest_value};
use super::{GuardrailInput, Seen};
use crate::analyse::GuardrailState;
use crate::record::round12;
use crate::spec::ErrorBudget;

pub(super) fn look(input: &GuardrailInput<'_>, budget: &ErrorBudget) -> Seen {
    if let Some((slo, rules)) = budget.slo.as_ref().and_then(|slo| Some((slo, slo.burn.as_ref()?)))
    {
        let counted = burn::look(input, slo, rules);
        return match counted.budget_left {
            Some(left) => Seen { why: None, ..held(counted, left, budget.at_least) },
            None => counted,
        };
    }
    let points = match lifetime(input, input.at) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let Some(value) = newest_value(&points) else {
        return Seen::no_data(None, "no value came");
    };
    let seen = Seen { budget_left: Some(value), ..Seen::state(GuardrailState::Ok) };
    held(seen, value, budget.at_least)
}

/// What is left against the floor.
fn held(seen: Seen, left: f64, at_least: f64) -> Seen {
    let below = round12(left) < round12(at_least);
    let state = if below { GuardrailState::Tripped } else { GuardrailState::Ok };
    Seen { state, value: Some(left), limit: Some(at_least), ..seen }
}
