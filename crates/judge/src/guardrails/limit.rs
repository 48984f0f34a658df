//! `limit`: a configured number, units over a limit, or a share sampled from traffic.
//!
//! Configured numbers and counts of units are exact: they trip on the number itself, over the
//! whole lifetime (`over > allow x units`) or, for a single number, over every period since the
//! last look, so that a spike between two slots is not lost. A sampled share is the exact
//! sequential test of one proportion with q = limit at 0.01 and tau = q (product.md 4.2, 4.5).

use super::seen::{accrual_end, lifetime, pairs};
use super::slo::{ALPHA, ShareTest};
use super::{GuardrailInput, Seen};
use crate::analyse::GuardrailState;
use crate::points::Sums;
use crate::record::{Carry, round12};
use crate::spec::{Limit, LimitOf};

pub(super) fn look(input: &GuardrailInput<'_>, limit: &Limit, carry: &mut Carry) -> Seen {
    match (limit.of, &limit.per) {
        (LimitOf::Sampled, _) => sampled(input, limit, carry),
        (LimitOf::Configured, Some(_)) => units_over(input, limit),
        (LimitOf::Configured, None) => configured(input, limit),
    }
}

fn configured(input: &GuardrailInput<'_>, limit: &Limit) -> Seen {
    let points = match lifetime(input, input.at) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let last_look = input.stored.as_ref().and_then(|stored| stored.evaluated_at);
    let newest_end = points.last().map(|point| point.end);
    let new = points.iter().filter(|point| {
        last_look.is_none_or(|last| point.end > last) || Some(point.end) == newest_end
    });
    let largest = new
        .filter_map(|point| match point.sums {
            Sums::Value { value } => Some(value),
            _ => None,
        })
        .fold(None, |most: Option<f64>, value| Some(most.map_or(value, |most| most.max(value))));
    let Some(value) = largest else {
        return Seen::no_data(None, "no value came");
    };
    let over = round12(value) > round12(limit.at_most);
    let state = if over { GuardrailState::Tripped } else { GuardrailState::Ok };
    Seen::value(state, value, limit.at_most)
}

fn units_over(input: &GuardrailInput<'_>, limit: &Limit) -> Seen {
    let points = match lifetime(input, accrual_end(input)) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let (over, units) =
        pairs(&points).iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let trips = round12(over) > round12(limit.allow * units);
    let state = if trips { GuardrailState::Tripped } else { GuardrailState::Ok };
    Seen {
        bad: Some(over),
        total: Some(units),
        value: (units > 0.0).then(|| over / units),
        limit: Some(limit.allow),
        ..Seen::state(state)
    }
}

fn sampled(input: &GuardrailInput<'_>, limit: &Limit, carry: &mut Carry) -> Seen {
    let points = match lifetime(input, input.at) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let Some(test) = ShareTest::of(&pairs(&points), limit.at_most) else {
        return Seen::insufficient("nothing was sampled yet");
    };
    let breached = test.breached(input, carry);
    let state = if breached {
        GuardrailState::Tripped
    } else if test.interval(ALPHA).hi < limit.at_most {
        GuardrailState::Ok
    } else {
        GuardrailState::Unproven
    };
    Seen {
        bad: Some(test.bad),
        total: Some(test.total),
        interval: Some(test.interval(ALPHA)),
        ..Seen::value(state, test.share(), limit.at_most)
    }
}
