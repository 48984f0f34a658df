//! Plain series on a regular grid, reduced to block means (statistics.md 1.5).
//!
//! Part of `observe`. Paired arms use only steps that both arms have. The block length is chosen
//! on data from before the start where there are enough, else on the longest prefix of a doubling
//! ladder: a question of the data alone, so that the same instant has the same blocks whatever was
//! looked at before (ADR 0034).

use super::frame::{Cell, Frame};
use super::{Blocks, Observation, Observed, Steps};
use crate::points::{ALL, Sums};
use crate::spec::{Compare, Design, Form, LookPlan, MethodName, fitting};
use crate::stats::blocks::{
    BlockPlan, MIN_LATER_BLOCKS, MIN_REFERENCE_BLOCKS, Profile, Refusal, START, block_means,
    missing_share, plan, plan_before,
};
use crate::time::{DAY_MS, HOUR_MS, Timestamp, ms_between};

/// Most steps that an evaluation freezes of one side.
const MAX_STEPS: usize = 2_048;

/// Values by step; NaN where the source said nothing.
type Grid = Vec<f64>;

/// A chosen length with the fewest blocks it asks of the cycle, or why there is none.
type Chosen = Result<(BlockPlan, usize), Refusal>;

/// Fills in the blocks of every judged population and says how many more complete ones are needed;
/// `Err` where gaps make it no data.
pub(super) fn add_blocks(frame: &Frame<'_>, observed: &mut Observed) -> Result<f64, Observation> {
    match frame.compare {
        Compare::Arms { control, treatment, .. } => paired(frame, observed, control, treatment),
        _ if frame.baseline.is_some() => before_after(frame, observed),
        _ => one_sample(frame, observed),
    }
}

fn paired(
    frame: &Frame<'_>,
    observed: &mut Observed,
    control: &str,
    treatment: &str,
) -> Result<f64, Observation> {
    let end = observed.data_as_of;
    let of = |arm: &str| grid(frame, frame.counted(), arm, frame.window.start, end);
    let (mut control_values, mut treatment_values) = (of(control), of(treatment));
    mask(&mut control_values, &mut treatment_values);
    let deltas = differences(&treatment_values, &control_values);
    refuse_gaps(frame, observed, &deltas)?;
    let day = (frame.grain.ms >= DAY_MS).then(|| step_seconds(frame));
    let chosen = match reference_deltas(frame, control, treatment) {
        Some(reference) if plan(&reference, day).is_ok() => {
            plan(&reference, day).map(|plan| (plan, MIN_LATER_BLOCKS))
        }
        _ => by_ladder(&deltas, day),
    };
    observed.paired = Some(blocks(&deltas, &chosen));
    keep_steps(frame, observed, &treatment_values, &control_values);
    for (arm, values) in [(control, &control_values), (treatment, &treatment_values)] {
        if let Some(sample) = observed.arms.get_mut(arm) {
            sample.blocks = Some(blocks(values, &chosen));
        }
    }
    Ok(missing_blocks(&deltas, &chosen))
}

/// Paired differences before the start, if both arms were already reported then.
fn reference_deltas(frame: &Frame<'_>, control: &str, treatment: &str) -> Option<Grid> {
    let start = frame.earlier().map(|cell| cell.start).min()?;
    let end = frame.window.start;
    let of = |arm: &str| grid(frame, frame.earlier(), arm, start, end);
    Some(differences(&of(treatment), &of(control)))
}

fn before_after(frame: &Frame<'_>, observed: &mut Observed) -> Result<f64, Observation> {
    let Some(window) = frame.baseline else {
        return Ok(0.0);
    };
    let (start, end) = (frame.window.start, observed.data_as_of);
    let mut reference = grid(frame, frame.before(), ALL, window.start, window.end);
    let mut later = grid(frame, frame.counted(), ALL, start, end);
    refuse_gaps(frame, observed, &reference)?;
    refuse_gaps(frame, observed, &later)?;
    let mut day = Some(step_seconds(frame));
    let mut smoothed = 1.0;
    let two_weeks = ms_between(window.start, window.end) >= 14 * DAY_MS;
    if two_weeks && frame.grain.ms <= DAY_MS {
        let slots = |from: Timestamp, len: usize| week_slots(frame, from, len);
        let reference_slots = slots(window.start, reference.len());
        if let Some(profile) = Profile::new(&reference, &reference_slots) {
            let later_slots = slots(start, later.len());
            reference = profile.remove(&reference, &reference_slots);
            later = profile.remove(&later, &later_slots);
            smoothed = profile.widening();
            // Steps of a day cannot be cut finer; their weekdays are in the profile.
            day = day.filter(|_| frame.grain.ms == DAY_MS);
        }
    }
    let chosen = plan_before(&reference, day).map(|plan| (plan, MIN_LATER_BLOCKS));
    keep_steps(frame, observed, &later, &reference);
    if let Some(sample) = observed.baseline.as_mut() {
        let blocks = uncontrolled(blocks(&reference, &chosen));
        sample.blocks = Some(Blocks { sd: blocks.sd * smoothed, ..blocks });
    }
    if let Some(sample) = observed.arms.get_mut(ALL) {
        sample.blocks = Some(uncontrolled(blocks(&later, &chosen)));
    }
    Ok(missing_blocks(&later, &chosen))
}

/// A level against a constant: whole-day blocks, since nothing tells season from change.
fn one_sample(frame: &Frame<'_>, observed: &mut Observed) -> Result<f64, Observation> {
    let values = grid(frame, frame.counted(), ALL, frame.window.start, observed.data_as_of);
    refuse_gaps(frame, observed, &values)?;
    let chosen = by_ladder(&values, Some(step_seconds(frame)));
    keep_steps(frame, observed, &values, &[]);
    if let Some(sample) = observed.arms.get_mut(ALL) {
        sample.blocks = Some(uncontrolled(blocks(&values, &chosen)));
    }
    Ok(missing_blocks(&values, &chosen))
}

/// A refusal of a series without a control says what needs less of it.
fn uncontrolled(blocks: Blocks) -> Blocks {
    let advice = "two arms side by side (`design: arms`) need no quiet past";
    let refused = blocks.refused.map(|why| format!("{why}; {advice}"));
    Blocks { refused, ..blocks }
}

/// Keeps the steps themselves where a method of the file may need them: one planned look, and
/// not the blocks by name. Missing steps are left out.
fn keep_steps(frame: &Frame<'_>, observed: &mut Observed, treatment: &[f64], comparison: &[f64]) {
    let design = Design::of(frame.experiment, frame.signal);
    let fits = design.map(|design| fitting(design, Form::Value, LookPlan::Once));
    let method = frame.signal.method.or(fits.and_then(|fits| fits.first().copied()));
    let needed = matches!(method, Some(MethodName::NeweyWest | MethodName::BlockBootstrap));
    if frame.experiment.checkpoint.look == LookPlan::Once && needed {
        let (treatment, comparison) = (coarse(treatment), coarse(comparison));
        observed.steps = Some(Steps { treatment, comparison });
    }
}

/// Means of as many neighbouring steps as leave at most [`MAX_STEPS`].
fn coarse(values: &[f64]) -> Vec<f64> {
    let present: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    let group = present.len().div_ceil(MAX_STEPS).max(1);
    let mean = |chunk: &[f64]| chunk.iter().map(|x| x / chunk.len() as f64).sum();
    present.chunks_exact(group).map(mean).collect()
}

/// Complete blocks still to come before the series may be judged.
fn missing_blocks(values: &[f64], chosen: &Chosen) -> f64 {
    let (count, needed) = match *chosen {
        Ok((plan, needed)) => (block_means(values, plan.length).iter().flatten().count(), needed),
        Err(Refusal::TooFewLater { blocks, needed, .. }) => (blocks, needed),
        Err(_) => return 0.0,
    };
    needed.saturating_sub(count) as f64
}

/// Chooses the length on the longest prefix of 16, 32, 64, ... first-length blocks: what a longer
/// past says about its dependence replaces what a shorter one seemed to say.
fn by_ladder(values: &[f64], day_step: Option<f64>) -> Chosen {
    let first = match day_step {
        Some(step) => (86_400.0 / step).max(1.0) as usize,
        None => START,
    };
    let blocks = values.len() / first;
    if blocks < MIN_REFERENCE_BLOCKS {
        return Err(match plan(values, day_step) {
            Err(Refusal::StepNotInDay) => Refusal::StepNotInDay,
            _ => Refusal::TooFewLater { blocks, needed: MIN_REFERENCE_BLOCKS, length: first },
        });
    }
    let doublings = (blocks / MIN_REFERENCE_BLOCKS).ilog2();
    let prefix = (first * MIN_REFERENCE_BLOCKS) << doublings;
    plan(&values[..prefix], day_step).map(|plan| (plan, MIN_REFERENCE_BLOCKS))
}

/// Block means of one population, or the reason why they may not be judged.
fn blocks(values: &[f64], chosen: &Chosen) -> Blocks {
    let plan = match chosen {
        Ok((plan, _)) => *plan,
        Err(why) => return refused(values, why),
    };
    let means: Vec<f64> = block_means(values, plan.length).into_iter().flatten().collect();
    let count = means.len();
    let size = count.max(1) as f64;
    let mean: f64 = means.iter().map(|mean| mean / size).sum();
    let squares: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
    let sd = if count > 1 { (squares / (size - 1.0)).sqrt() * plan.widening() } else { 0.0 };
    Blocks {
        mean,
        sd,
        count: count as u32,
        block_len: plan.length as u32,
        lag1: plan.lag1,
        refused: None,
    }
}

fn refused(values: &[f64], why: &Refusal) -> Blocks {
    let present: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    let size = present.len().max(1) as f64;
    let (length, lag1, count) = match *why {
        Refusal::TooShort { length, lag1, blocks } => (length, lag1, blocks),
        Refusal::TooFewLater { length, blocks, .. } => (length, 0.0, blocks),
        _ => (1, 0.0, 0),
    };
    Blocks {
        mean: present.iter().map(|x| x / size).sum(),
        sd: 0.0,
        count: count as u32,
        block_len: length as u32,
        lag1,
        refused: Some(words(why)),
    }
}

fn words(why: &Refusal) -> String {
    match *why {
        Refusal::Missing { share, .. } => {
            format!("{:.0} % of the steps are missing", share * 100.0)
        }
        Refusal::TooShort { blocks, length, .. } => format!(
            "too short for its autocorrelation: {blocks} blocks of {length} steps, \
             {MIN_REFERENCE_BLOCKS} needed"
        ),
        Refusal::TooFewLater { blocks, needed, .. } => {
            format!("{blocks} complete blocks, {needed} needed")
        }
        Refusal::StepNotInDay => "a day is not a whole number of steps".to_owned(),
        Refusal::Constant => "constant".to_owned(),
    }
}

/// Steps from `start` to `end`; a step without a finite value is NaN.
fn grid<'a>(
    frame: &Frame<'_>,
    cells: impl Iterator<Item = &'a Cell<'a>>,
    arm: &str,
    start: Timestamp,
    end: Timestamp,
) -> Grid {
    let steps = step_of(frame, start, end);
    let mut values = vec![f64::NAN; steps];
    for cell in cells.filter(|cell| cell.arm == arm && cell.start >= start) {
        let step = step_of(frame, start, cell.start);
        if let (Some(slot), Sums::Value { value }) = (values.get_mut(step), cell.sums) {
            *slot = value;
        }
    }
    values
}

/// Whole grains between two instants, to the nearest: a civil day may have 23 or 25 hours.
fn step_of(frame: &Frame<'_>, start: Timestamp, at: Timestamp) -> usize {
    let steps = ms_between(start, at) as f64 / frame.grain.ms as f64;
    libm::round(steps.max(0.0)) as usize
}

fn step_seconds(frame: &Frame<'_>) -> f64 {
    frame.grain.ms as f64 / 1000.0
}

/// Hour of the week of every step, in the experiment's zone.
fn week_slots(frame: &Frame<'_>, from: Timestamp, len: usize) -> Vec<u16> {
    (0..len)
        .map(|step| {
            let ms = frame.grain.ms.saturating_mul(step as i64);
            let local = crate::time::add_ms(from, ms).to_zoned(frame.zone.clone());
            let day = local.weekday().to_monday_zero_offset();
            (i64::from(day) * (DAY_MS / HOUR_MS) + i64::from(local.hour())) as u16
        })
        .collect()
}

/// Keeps only steps that both arms have.
fn mask(left: &mut [f64], right: &mut [f64]) {
    for (left, right) in left.iter_mut().zip(right) {
        if !(left.is_finite() && right.is_finite()) {
            (*left, *right) = (f64::NAN, f64::NAN);
        }
    }
}

fn differences(treatment: &[f64], control: &[f64]) -> Grid {
    treatment.iter().zip(control).map(|(treatment, control)| treatment - control).collect()
}

/// More than a fifth of the steps missing is no data, not a shorter series.
fn refuse_gaps(frame: &Frame<'_>, observed: &Observed, values: &[f64]) -> Result<(), Observation> {
    let share = missing_share(values);
    if share <= crate::stats::blocks::MAX_MISSING {
        return Ok(());
    }
    let why = format!("{:.0} % of the steps of `{}` are missing", share * 100.0, frame.signal.name);
    Err(Observation::NoData { since: Some(observed.data_as_of), why })
}
