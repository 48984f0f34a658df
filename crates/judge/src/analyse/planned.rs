//! Planned looks: which data `look: once` and `look: weekly xK` judge, and at which share of alpha.
//!
//! Part of `analyse`. `once` judges at the checkpoint, on the first data it finds there. `weekly`
//! judges at the first look of each week since the cycle's start, up to K of them, and at every
//! checkpoint; it spends alpha by the share of the planned information that is in (statistics.md
//! 1.2). Between planned looks the result of the last one is repeated on its frozen data, so that
//! looking more often buys nothing. Harm, `stop_when` and guardrails do not come here: they are
//! always judged by the always-valid interval.
//!
//! Invariants: a planned look is used up when its data are there, and only then; fractions never
//! exceed 1 and an overrun keeps the last bound.

use std::collections::BTreeMap;

use super::PlannedLook;
use super::basis::Share;
use super::look::Look;
use super::measure::Gap;
use super::{SignalState, UnknownWhy, share_of_plan};
use crate::observe::{Observation, Observed};
use crate::record::{Carry, LookInput, PlannedLooks, TestState};
use crate::spec::{Design, Form, LookPlan, Signal};
use crate::stats::special::{norm_isf, norm_sf};
use crate::stats::{Sides, group_sequential};
use crate::time::{Span, Timestamp, add};

/// Information that moves by less buys no look of its own.
const STEP: f64 = 1.0e-5;

/// The planned looks of every signal, and where they are remembered.
#[derive(Debug, Default)]
pub(super) struct Planned {
    looks: BTreeMap<String, PlannedLooks>,
}

impl Planned {
    /// Takes this look where the plan says so; remembers it in the carry.
    pub(super) fn new(input: &LookInput, carry: &mut Carry, at_checkpoint: bool) -> Self {
        let plan = input.experiment.checkpoint.look;
        let mut planned = Self::default();
        if plan == LookPlan::Always {
            return planned;
        }
        let week = week_of(input);
        for signal in &input.experiment.signals {
            let id = format!("planned|{}", signal.name);
            let epoch = super::look::planned_epoch(&input.experiment, signal);
            let stored = carry.get(&id).filter(|state| state.epoch == epoch);
            let before = stored.and_then(|state| state.planned.as_deref());
            let due = match plan {
                LookPlan::Weekly(looks) => is_due(input, before, week, looks, at_checkpoint),
                _ => at_checkpoint && before.is_none(),
            };
            let taken = match (due, input.observations.get(&signal.name)) {
                (true, Some(Observation::Ok(observed))) => {
                    Some(take(input, signal, observed, before, (week, at_checkpoint)))
                }
                _ => before.cloned(),
            };
            let Some(looks) = taken else {
                continue;
            };
            if due {
                carry.insert(id, remembered(carry, &looks, epoch, input.at, &signal.name));
            }
            planned.looks.insert(signal.name.clone(), looks);
        }
        planned
    }

    /// The looks of a signal so far.
    pub(super) fn of(&self, signal: &str) -> Option<&PlannedLooks> {
        self.looks.get(signal)
    }
}

fn remembered(
    carry: &Carry,
    looks: &PlannedLooks,
    epoch: String,
    at: Timestamp,
    signal: &str,
) -> TestState {
    let stored = carry.get(&format!("planned|{signal}"));
    let same = stored.filter(|state| state.epoch == epoch);
    let earlier = stored.filter(|state| state.epoch != epoch);
    TestState {
        epoch,
        tau: 0.0,
        alpha: 0.0,
        ln_p: 0.0,
        looks: looks.fractions.len() as u64,
        opened_at: same.map_or(at, |state| state.opened_at),
        earlier_epochs: match (same, earlier) {
            (Some(state), _) => state.earlier_epochs,
            (None, Some(state)) => state.earlier_epochs.saturating_add(1),
            (None, None) => 0,
        },
        planned: Some(Box::new(looks.clone())),
    }
}

/// Whole weeks since the cycle's start, by the calendar of the file's zone.
fn week_of(input: &LookInput) -> u32 {
    let zone =
        jiff::tz::TimeZone::get(&input.experiment.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    let begun = |week: &u32| {
        add(input.cycle.started_at, Span::days(7 * i64::from(*week)), &zone) <= input.at
    };
    // The file allows 52 weekly looks; a cycle of more weeks has none left to take.
    (1..=104).take_while(begun).last().unwrap_or(0)
}

/// A weekly look is due in a new week while some are left, and once at each checkpoint.
fn is_due(
    input: &LookInput,
    before: Option<&PlannedLooks>,
    week: u32,
    looks: u32,
    at_checkpoint: bool,
) -> bool {
    let taken = before.map_or(0, |before| before.fractions.len() as u32);
    let last_week = before.map_or(0, |before| before.week);
    let new_week = week > last_week && taken < looks;
    let here = Some(input.cycle.checkpoint_at);
    let new_checkpoint = at_checkpoint && before.is_none_or(|before| before.checkpoint != here);
    new_week || new_checkpoint
}

fn take(
    input: &LookInput,
    signal: &Signal,
    observed: &Observed,
    before: Option<&PlannedLooks>,
    (week, at_checkpoint): (u32, bool),
) -> PlannedLooks {
    let fraction = match input.experiment.checkpoint.look {
        LookPlan::Weekly(_) => information(input, signal, observed),
        _ => 1.0,
    };
    let mut fractions = before.map(|before| before.fractions.clone()).unwrap_or_default();
    fractions.push(fraction.clamp(0.0, 1.0));
    PlannedLooks {
        observed: observed.clone(),
        judged_at: input.at,
        week,
        checkpoint: at_checkpoint.then_some(input.cycle.checkpoint_at),
        fractions,
        overrun: fraction > 1.0 + STEP,
    }
}

/// Share of the planned information: units, or time for rates and values. Against a measured
/// baseline of `n0` units information is `1/(1/n0 + 1/n)`, of which the baseline's part never
/// grows.
fn information(input: &LookInput, signal: &Signal, observed: &Observed) -> f64 {
    let plain = share_of_plan(input, signal, observed);
    let counted = !matches!(signal.form, Form::Value | Form::Rate);
    if Design::of(&input.experiment, signal) != Some(Design::Measured) || !counted {
        return plain;
    }
    let now: f64 = observed.arms.values().map(|arm| arm.sums.units()).sum();
    let before = match (&observed.baseline, signal.from) {
        (Some(baseline), _) => baseline.sums.units(),
        (None, Some(crate::spec::Baseline::Counted { n, .. })) => n,
        _ => return plain,
    };
    let planned = now / plain;
    let share = (1.0 / before + 1.0 / planned) / (1.0 / before + 1.0 / now);
    if share.is_finite() { share } else { plain }
}

/// What a signal's plan lets a test judge at this look.
#[derive(Debug)]
pub(super) struct Turn {
    /// The data of the newest planned look.
    pub(super) observed: Observed,
    pub(super) look: PlannedLook,
    pub(super) share: Share,
}

/// The newest planned look of a signal for a test at `alpha`; `None` when every look is judged.
///
/// A [`Gap`] while the plan has not come to the signal yet, and at a checkpoint whose data lack.
pub(super) fn turn(
    look: &Look<'_>,
    signal: &Signal,
    alpha: f64,
    sides: Sides,
) -> Result<Option<Turn>, Gap> {
    let plan = look.experiment().checkpoint.look;
    if plan == LookPlan::Always {
        return Ok(None);
    }
    let Some(looks) = look.planned.of(&signal.name) else {
        look.observed(signal)?;
        return Err(not_now(plan));
    };
    let here = Some(look.input.cycle.checkpoint_at);
    let weekly = matches!(plan, LookPlan::Weekly(_));
    if weekly && look.at_checkpoint && looks.checkpoint != here {
        // The checkpoint's own look waits for its data.
        look.observed(signal)?;
    }
    let spent = spent(look.experiment().checkpoint.spending, &looks.fractions, plan, alpha, sides);
    let fraction = looks.fractions.last().copied().unwrap_or(1.0);
    Ok(Some(Turn {
        observed: looks.observed.clone(),
        look: PlannedLook {
            plan,
            judged_at: looks.judged_at,
            looks: looks.fractions.len() as u32,
            fraction,
            bound: spent.bound,
            alpha: alpha * spent.share.now,
            overrun: looks.overrun,
        },
        share: spent.share,
    }))
}

/// The outlook of a signal whose first planned look has not come: the last look's share of alpha.
pub(super) fn ahead(look: &Look<'_>, alpha: f64, sides: Sides) -> (PlannedLook, Share) {
    let plan = look.experiment().checkpoint.look;
    let spent = spent(look.experiment().checkpoint.spending, &[1.0], plan, alpha, sides);
    let at = PlannedLook {
        plan,
        judged_at: look.input.at,
        looks: 0,
        fraction: 0.0,
        bound: spent.bound,
        alpha,
        overrun: false,
    };
    (at, spent.share)
}

/// The state of a signal before its first planned look.
pub(super) fn not_now(plan: LookPlan) -> Gap {
    let words = match plan {
        LookPlan::Weekly(_) => "judged in the planned weekly looks",
        _ => "judged once, at the checkpoint",
    };
    Gap { why: UnknownWhy::NotNow, state: SignalState::TooEarly, words: Some(words.to_owned()) }
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    bound: f64,
    share: Share,
}

fn spent(power: u32, fractions: &[f64], plan: LookPlan, alpha: f64, sides: Sides) -> Spent {
    let halves = if sides == Sides::Two { 2.0 } else { 1.0 };
    if !matches!(plan, LookPlan::Weekly(_)) {
        let bound = norm_isf(alpha / halves);
        return Spent { bound, share: Share { now: 1.0, last: 1.0 } };
    }
    let mut to_the_end = fractions.to_vec();
    to_the_end.push(1.0);
    let bounds = group_sequential::bounds_again(&to_the_end, alpha, sides, f64::from(power));
    let of = |bound: Option<&f64>| {
        let share = bound.map_or(0.0, |bound| halves * norm_sf(*bound) / alpha);
        share.clamp(f64::MIN_POSITIVE, 1.0)
    };
    let now = bounds.get(fractions.len().wrapping_sub(1));
    Spent {
        bound: now.copied().unwrap_or_default(),
        share: Share { now: of(now), last: of(bounds.last()) },
    }
}
