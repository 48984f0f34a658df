//! Running totals to periods: each row less the row before it, arm by arm.
//!
//! Part of the contract step, after every row was checked as the total that it is. Added up again
//! the steps give the totals back, which is all that is judged; a step alone may be less than
//! nothing where a total of amounts fell (goods came back), so steps are not checked again. Counts
//! cannot fall: then the export does not count one thing.

use std::collections::BTreeMap;

use super::{Kept, Refusal};
use crate::points::Sums;

/// What each row adds to the one before it of the same arm.
pub(super) fn steps(totals: Kept<'_>) -> Result<Kept<'_>, Refusal> {
    let mut before: BTreeMap<String, Sums> = BTreeMap::new();
    let mut steps = Kept::new();
    for ((start, arm), (total, end, place)) in totals {
        let Some(total) = total else {
            continue;
        };
        let step = match before.get(&arm) {
            Some(before) => step(total, *before, place)?,
            None => total,
        };
        before.insert(arm.clone(), total);
        steps.insert((start, arm), (Some(step), end, place));
    }
    Ok(steps)
}

fn step(total: Sums, before: Sums, place: &str) -> Result<Sums, Refusal> {
    let (mut sums, earlier) = (total.to_array(), before.to_array());
    for (sum, earlier) in sums.iter_mut().zip(earlier) {
        *sum -= earlier;
    }
    let counts = match total {
        Sums::Proportion { .. } | Sums::Rate { .. } | Sums::Detailed { share: true, .. } => 2,
        _ => 0,
    };
    if sums.iter().take(counts).any(|sum| *sum < 0.0) {
        let why = "a running total that falls";
        let fix = "totals since the start only grow: export the whole history again";
        return Err(Refusal::new(place, why, fix));
    }
    Ok(Sums::from_array(total.form_name(), sums).unwrap_or(total))
}
