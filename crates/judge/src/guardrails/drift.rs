//! `threshold` with `drift`: a control chart that trips on a sudden shift of a series.
//!
//! Values are averaged into blocks, blocks are standardised by the reference, mirrored so that up
//! is bad, and fed to [`Cusum`] or [`Ewma`] (statistics.md 1.5; ADR 0015). Each value is taken
//! once, in time order, by any look that sees it; a slot without one changes nothing. The sum of a
//! CUSUM is capped at `2h`, so that the all-clear comes a few blocks after the shift has gone.
//! An average run length guarantees a false alarm some day: a drift alerts, it never stops.

use super::seen::lifetime;
use super::{GuardrailInput, Seen};
use crate::analyse::{DriftStatus, GuardrailState, Learnt, OpenBlock};
use crate::ids::hash128;
use crate::points::Sums;
use crate::spec::{Drift, DriftChart, DriftReference, Threshold};
use crate::stats::tripwire::{Cusum, Ewma, standardise};
use crate::time::Timestamp;

pub(super) fn look(input: &GuardrailInput<'_>, threshold: &Threshold, drift: &Drift) -> Seen {
    let points = match lifetime(input, input.at) {
        Ok(points) => points,
        Err(missing) => return *missing,
    };
    let epoch = epoch_of(input, threshold, drift);
    let stored = input.stored.as_ref().and_then(|stored| stored.drift.clone());
    let mut chart = match stored.filter(|stored| stored.epoch == epoch) {
        Some(stored) => stored,
        None => fresh(epoch, input.cycle.started_at),
    };
    for point in points {
        if let Sums::Value { value } = point.sums
            && point.end > chart.taken_to
        {
            take(&mut chart, drift, value, point.end);
        }
    }
    finding(chart, drift, threshold)
}

/// What changes the chart's meaning changes its epoch.
fn epoch_of(input: &GuardrailInput<'_>, threshold: &Threshold, drift: &Drift) -> String {
    let definition = format!("{drift:?}");
    let query = format!("{:?}", threshold.query);
    let started_at = input.cycle.started_at.to_string();
    hash128(&["drift", &threshold.source, &query, &definition, &started_at])
}

fn fresh(epoch: String, started_at: Timestamp) -> DriftStatus {
    DriftStatus {
        epoch,
        taken_to: started_at,
        open: None,
        learnt: Learnt::default(),
        blocks: 0,
        statistic: 0.0,
        newest: None,
    }
}

/// Takes one value; a value of a later block, or one at the very end of its own, closes a block.
fn take(chart: &mut DriftStatus, drift: &Drift, value: f64, end: Timestamp) {
    let block_ms = drift.block.ms.max(1);
    // The end of a period belongs to the block that it ends.
    let index = (end.as_millisecond() - 1).div_euclid(block_ms);
    chart.taken_to = end;
    if let Some(open) = chart.open.filter(|open| open.index != index) {
        close(chart, drift, open);
    }
    let open = chart.open.get_or_insert(OpenBlock { index, sum: 0.0, n: 0.0 });
    open.sum += value;
    open.n += 1.0;
    if end.as_millisecond().rem_euclid(block_ms) == 0 {
        let open = *open;
        close(chart, drift, open);
    }
}

fn close(chart: &mut DriftStatus, drift: &Drift, block: OpenBlock) {
    chart.open = None;
    let mean = block.sum / block.n;
    if !mean.is_finite() {
        return;
    }
    chart.newest = Some(mean);
    if let DriftReference::Blocks(wanted) = drift.reference
        && chart.learnt.n < wanted
    {
        let learnt = &mut chart.learnt;
        learnt.n += 1;
        let away = mean - learnt.mean;
        learnt.mean += away / f64::from(learnt.n);
        learnt.m2 += away * (mean - learnt.mean);
        return;
    }
    let Some((centre, sd)) = reference(chart, drift) else {
        return;
    };
    let Some(z) = standardise(mean, centre, sd).map(|z| z * drift.watch.sign()) else {
        return;
    };
    chart.statistic = match drift.chart {
        DriftChart::Cusum { k, h } => {
            let next = Cusum { sum: chart.statistic }.step(z, k);
            next.sum.min(2.0 * h)
        }
        DriftChart::Ewma { lambda, .. } => {
            Ewma { mean: chart.statistic, count: chart.blocks }.step(z, lambda).mean
        }
    };
    chart.blocks += 1;
}

/// Mean and sd in control; `None` while they are learnt or when the blocks do not vary.
fn reference(chart: &DriftStatus, drift: &Drift) -> Option<(f64, f64)> {
    match drift.reference {
        DriftReference::Stated { mean, sd } => Some((mean, sd)),
        DriftReference::Blocks(wanted) => {
            let Learnt { n, mean, m2 } = chart.learnt;
            let sd = (m2 / (f64::from(n) - 1.0)).sqrt();
            (n >= wanted && sd > 0.0 && sd.is_finite()).then_some((mean, sd))
        }
    }
}

fn finding(chart: DriftStatus, drift: &Drift, threshold: &Threshold) -> Seen {
    let (limit, statistic) = match drift.chart {
        DriftChart::Cusum { h, .. } => (h, chart.statistic),
        DriftChart::Ewma { lambda, width } => {
            let state = Ewma { mean: chart.statistic, count: chart.blocks };
            (state.limit(1.0, lambda, width), chart.statistic)
        }
    };
    let state = match (reference(&chart, drift), chart.blocks) {
        (Some(_), 1..) if statistic > limit => GuardrailState::Tripped,
        (Some(_), 1..) => GuardrailState::Ok,
        _ => GuardrailState::Insufficient,
    };
    let why = words(&chart, drift, threshold);
    let numbers = (state != GuardrailState::Insufficient).then_some((statistic, limit));
    Seen {
        value: numbers.map(|numbers| numbers.0),
        limit: numbers.map(|numbers| numbers.1),
        why: Some(why),
        drift: Some(chart),
        ..Seen::state(state)
    }
}

fn words(chart: &DriftStatus, drift: &Drift, threshold: &Threshold) -> String {
    let unit = threshold.unit.as_deref().map_or_else(String::new, |unit| format!(" {unit}"));
    match (drift.reference, reference(chart, drift), chart.newest) {
        (DriftReference::Blocks(wanted), None, _) if chart.learnt.n >= wanted => {
            format!("the first {wanted} blocks do not vary: nothing to measure a shift with")
        }
        (DriftReference::Blocks(wanted), None, _) => {
            format!("learning what is usual: {} of {wanted} blocks", chart.learnt.n)
        }
        (_, Some((mean, sd)), Some(newest)) if chart.blocks > 0 => {
            format!("newest block {newest:.4}{unit}, usually {mean:.4}{unit} with sd {sd:.4}")
        }
        _ => "the first block has not closed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Want;

    /// Standard normal numbers from a seed: SplitMix64 and Box-Muller.
    struct Dice(u64);

    impl Dice {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (u, v) = (1.0 - self.uniform(), self.uniform());
            (-2.0 * libm::log(u)).sqrt() * libm::cos(std::f64::consts::TAU * v)
        }
    }

    const HOUR_MS: i64 = 3_600_000;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millisecond(hour * HOUR_MS).unwrap()
    }

    fn drift(chart: DriftChart, reference: DriftReference) -> Drift {
        let block = crate::time::Span::hours(1);
        Drift { chart, watch: Want::Up, reference, block }
    }

    const CUSUM: DriftChart = DriftChart::Cusum { k: 0.5, h: 5.0 };
    const EWMA: DriftChart = DriftChart::Ewma { lambda: 0.2, width: 2.96 };
    const KNOWN: DriftReference = DriftReference::Stated { mean: 0.0, sd: 1.0 };

    /// Blocks until the first alarm, at most `most`.
    fn run_length(drift: &Drift, shift: f64, dice: &mut Dice, most: u64) -> u64 {
        let mut chart = fresh(String::new(), at(0));
        for hour in 1.. {
            take(&mut chart, drift, dice.normal() + shift, at(hour));
            let limit = match drift.chart {
                DriftChart::Cusum { h, .. } => h,
                DriftChart::Ewma { lambda, width } => {
                    Ewma { mean: 0.0, count: chart.blocks }.limit(1.0, lambda, width)
                }
            };
            if chart.statistic > limit || chart.blocks >= most {
                return chart.blocks;
            }
        }
        most
    }

    /// Mean over 400 runs.
    fn mean_length(drift: &Drift, shift: f64) -> f64 {
        let mut dice = Dice(7);
        let all = (0..400).map(|_| run_length(drift, shift, &mut dice, 20_000));
        all.sum::<u64>() as f64 / 400.0
    }

    #[test]
    fn a_known_reference_has_the_run_lengths_of_the_literature() {
        // Siegmund's approximation for k = 0.5, h = 5: (exp(6.166) - 6.166 - 1)/0.5 = 938 in
        // control; one sd of shift: (exp(-6.166) + 6.166 - 1)/0.5 = 10.3. Standard error of the
        // mean of 400 nearly exponential runs: 5 %.
        let in_control = mean_length(&drift(CUSUM, KNOWN), 0.0);
        assert!((800.0..1_080.0).contains(&in_control), "{in_control}");
        let shifted = mean_length(&drift(CUSUM, KNOWN), 1.0);
        assert!((9.8..11.0).contains(&shifted), "{shifted}");
        // One-sided EWMA: about 1,000 in control (two-sided 500 in Lucas & Saccucci 1990).
        let in_control = mean_length(&drift(EWMA, KNOWN), 0.0);
        assert!((800.0..1_200.0).contains(&in_control), "{in_control}");
    }

    #[test]
    fn blocks_are_means_and_close_at_their_end() {
        let drift = drift(CUSUM, DriftReference::Stated { mean: 10.0, sd: 2.0 });
        let mut chart = fresh(String::new(), at(0));
        let quarter = |n: i64| Timestamp::from_millisecond(n * HOUR_MS / 4).unwrap();
        for (n, value) in [(1, 13.0), (2, 15.0), (3, 13.0)] {
            take(&mut chart, &drift, value, quarter(n));
        }
        assert_eq!((chart.blocks, chart.newest), (0, None));
        // The fourth quarter ends the hour: mean 14, z = 2, sum = 2 - 0.5.
        take(&mut chart, &drift, 15.0, quarter(4));
        assert_eq!((chart.blocks, chart.newest, chart.statistic), (1, Some(14.0), 1.5));
        // Two lost hours; the next value alone makes its block when a later one comes.
        take(&mut chart, &drift, 10.0, quarter(13));
        assert_eq!((chart.blocks, chart.statistic), (1, 1.5));
        take(&mut chart, &drift, 10.0, quarter(17));
        assert_eq!((chart.blocks, chart.statistic), (2, 1.0));
    }

    #[test]
    fn the_sum_is_capped_so_that_the_all_clear_comes() {
        let drift = drift(CUSUM, KNOWN);
        let mut chart = fresh(String::new(), at(0));
        (1..=5).for_each(|hour| take(&mut chart, &drift, 1e9, at(hour)));
        assert_eq!(chart.statistic, 10.0);
        // Eleven usual blocks: 10 - 11 x 0.5 = 4.5, below 5.
        (6..=16).for_each(|hour| take(&mut chart, &drift, 0.0, at(hour)));
        assert_eq!(chart.statistic, 4.5);
        take(&mut chart, &drift, f64::NAN, at(17));
        assert_eq!((chart.statistic, chart.blocks), (4.5, 16));
    }
}
