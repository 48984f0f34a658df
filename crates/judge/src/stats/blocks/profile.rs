//! A weekly profile: the median of the reference period per slot of the week.
//!
//! Place in the line: subtracted from both periods before blocking when the reference covers at
//! least 14 days (statistics 1.5, rule 1); then blocks need not be whole days.
//!
//! Formula: `y'_i = y_i - median{ y_j : j in reference, slot_j = slot_i } + median(reference)`.
//! The overall median is added back so that levels stay readable and relative thresholds keep
//! their meaning.
//! What is left of the reference is too smooth by the profile's degrees of freedom
//! ([`Profile::widening`], ADR 0013).
//! Assumption: the season adds to the level. Invariants: NaN stays NaN; a slot never seen twice in
//! the reference makes the profile unusable (`None`).

/// Medians of the reference by slot (hour of the week, 0 to 167, or any other numbering).
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    medians: Vec<Option<f64>>,
    overall: f64,
    widening: f64,
}

impl Profile {
    /// Builds the profile from the reference period: parallel slices of values and slots.
    ///
    /// `None` unless every slot that occurs has at least two finite values.
    #[must_use]
    pub fn new(values: &[f64], slots: &[u16]) -> Option<Self> {
        let size = usize::from(*slots.iter().max()?) + 1;
        let mut groups: Vec<Vec<f64>> = vec![Vec::new(); size];
        let mut seen = vec![false; size];
        for (value, slot) in values.iter().zip(slots) {
            seen[usize::from(*slot)] = true;
            if value.is_finite() {
                groups[usize::from(*slot)].push(*value);
            }
        }
        let thin = groups.iter().zip(&seen).any(|(group, seen)| *seen && group.len() < 2);
        if thin || values.len() != slots.len() {
            return None;
        }
        let mut all: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        let overall = median(&mut all)?;
        let slots = seen.iter().filter(|seen| **seen).count() as f64;
        let widening = (all.len() as f64 / (all.len() as f64 - slots)).sqrt();
        let medians = groups.iter_mut().map(|group| median(group)).collect();
        Some(Self { medians, overall, widening })
    }

    /// The factor on the sd of what is left of the reference: its own profile was taken off it, at
    /// the price of one degree of freedom per slot, `sqrt(n/(n - slots))`.
    #[must_use]
    pub fn widening(&self) -> f64 {
        self.widening
    }

    /// The series without its profile; points in slots the reference never saw become missing.
    #[must_use]
    pub fn remove(&self, values: &[f64], slots: &[u16]) -> Vec<f64> {
        let slot_median = |slot: &u16| self.medians.get(usize::from(*slot)).copied().flatten();
        values
            .iter()
            .zip(slots)
            .map(|(x, slot)| slot_median(slot).map_or(f64::NAN, |m| x - m + self.overall))
            .collect()
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { 0.5 * values[middle - 1] + 0.5 * upper })
}
