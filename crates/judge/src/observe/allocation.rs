//! Epochs of allocation: stretches of time in which the arms' shares of the units stayed the same.
//!
//! Part of `observe`. A ramp (10 % of the users, then 50 %) changes who is compared with whom; the
//! exact test of rare events needs to know. Invariants: only unit counts are looked at, never
//! outcomes, and only earlier periods decide about a later one, so an epoch that has begun is
//! never cut again.

use super::Allocation;

/// Standard errors between the shares of a period and of its epoch that end the epoch.
const FAR: f64 = 5.0;
/// And the least difference of the shares: less cannot matter.
const LEAST: f64 = 0.05;

/// Groups periods, in time order; empty when there is only one epoch.
pub(super) fn epochs(periods: &[Allocation]) -> Vec<Allocation> {
    let mut found: Vec<Allocation> = Vec::new();
    for period in periods {
        match found.last_mut() {
            Some(epoch) if same(epoch, period) => {
                epoch.control.0 += period.control.0;
                epoch.control.1 += period.control.1;
                epoch.treatment.0 += period.treatment.0;
                epoch.treatment.1 += period.treatment.1;
            }
            _ => found.push(*period),
        }
    }
    if found.len() > 1 { found } else { Vec::new() }
}

fn same(epoch: &Allocation, period: &Allocation) -> bool {
    let size = |of: &Allocation| of.control.1 + of.treatment.1;
    let (before, now) = (size(epoch), size(period));
    if before <= 0.0 || now <= 0.0 {
        return true;
    }
    let gap = period.treatment.1 / now - epoch.treatment.1 / before;
    let pooled = (period.treatment.1 + epoch.treatment.1) / (before + now);
    let error = libm::sqrt(pooled * (1.0 - pooled) * (1.0 / before + 1.0 / now));
    gap.abs() < LEAST || gap.abs() <= FAR * error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(control: f64, treatment: f64) -> Allocation {
        Allocation { control: (1.0, control), treatment: (2.0, treatment) }
    }

    #[test]
    fn a_ramp_is_three_epochs_and_noise_is_one() {
        let ramp = [(900.0, 100.0), (905.0, 95.0), (500.0, 500.0), (510.0, 490.0), (100.0, 900.0)];
        let days: Vec<_> = ramp.iter().map(|&(c, t)| day(c, t)).collect();
        let found = epochs(&days);
        let sizes: Vec<_> = found.iter().map(|e| (e.control.1, e.treatment.1)).collect();
        assert_eq!(sizes, [(1805.0, 195.0), (1010.0, 990.0), (100.0, 900.0)]);
        assert_eq!((found[0].control.0, found[0].treatment.0), (2.0, 4.0));
        let noise: Vec<_> =
            [(52.0, 48.0), (40.0, 60.0), (55.0, 45.0)].iter().map(|&(c, t)| day(c, t)).collect();
        assert_eq!(epochs(&noise), []);
    }

    /// What came before decides, so more days never cut an epoch that has begun.
    #[test]
    fn a_later_day_changes_no_earlier_epoch() {
        let days: Vec<_> =
            (0..30).map(|i| if i < 12 { day(90.0, 10.0) } else { day(50.0, 50.0) }).collect();
        let whole = epochs(&days);
        assert_eq!(whole.len(), 2);
        assert_eq!(epochs(&days[..20])[0], whole[0]);
    }
}
